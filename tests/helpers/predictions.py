"""Made-up predictions, whose right and wrong ones are known."""

from __future__ import annotations

import numpy as np

from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.accuracy import accuracy_table
from fer_lit.runs.predictions import join_predictions, prediction_frame

EMOTIONS = ["angry", "happy", "neutral"]


def guesses(labels, predicted, names=None, confidence=0.8, classes=3):
    """Return predictions with the same confidence for all faces."""
    probabilities = np.full((len(labels), classes), (1 - confidence) / (classes - 1))
    probabilities[np.arange(len(labels)), predicted] = confidence
    names = names or [f"{index}.jpg" for index in range(len(labels))]
    return prediction_frame(list(names), np.array(labels), probabilities, EMOTIONS[:classes])


def outcome(right, **options):
    """Return predictions for angry faces, of which some are taken for happy."""
    return guesses([0] * len(right), [0 if one else 1 for one in right], **options)


def accuracies(predictions, ratio=None):
    """Return the rows of the accuracies."""
    table = accuracy_table(join_predictions(predictions), dict.fromkeys(predictions, ratio))
    return records(table)
