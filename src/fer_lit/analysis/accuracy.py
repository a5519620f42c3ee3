"""What the networks of each condition get right, and what an occlusion costs.

Predictions come as a mapping: condition → seed → what the run with that seed predicted for the
faces that validate it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from sklearn.calibration import calibration_curve
from statsmodels.stats.proportion import proportion_confint
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_f1_score,
)

from fer_lit.analysis.repeated_splits import resampled_t
from fer_lit.runs.predictions import Predictions

Conditions = Mapping[str, Mapping[int, Predictions]]
Row = dict[str, Any]

BINS = 15
"""Bins of equal width for the calibration, as in Guo et al., "On Calibration of Modern Neural
Networks", ICML 2017."""
RESAMPLES = 9999


def pooled(by_seed: Mapping[int, Predictions]) -> Predictions:
    """Return each photograph once, as the first run that it validates predicts it.

    Args:
        by_seed: one or more runs; the first is the one with the lowest seed.

    Returns:
        N photographs, in the order of the runs and of the faces in each; one run's are its own.
    """
    runs = [by_seed[seed] for seed in sorted(by_seed)]
    names = [name for run in runs for name in run.names]
    # Filled from the end, so that the first run with a photograph has the last word.
    first = dict(zip(reversed(names), reversed(range(len(names))), strict=True))
    kept = sorted(first.values())
    return Predictions(
        names=tuple(names[index] for index in kept),
        labels=np.concatenate([run.labels for run in runs])[kept],
        probabilities=np.concatenate([run.probabilities for run in runs])[kept],
    )


def shared_seeds(predictions: Conditions, conditions: Sequence[str]) -> list[int]:
    """Return the seeds, ascending, that the conditions have in common, on the same faces."""
    runs = [predictions[condition] for condition in conditions]
    return [
        seed
        for seed in sorted(set.intersection(*map(set, runs)))
        if len({frozenset(run[seed].names) for run in runs}) == 1
    ]


def paired(
    predictions: Conditions, conditions: Sequence[str], seeds: Sequence[int]
) -> list[Predictions]:
    """Return the pooled predictions of each condition for the same photographs in the same order.

    Each photograph is predicted by runs with the same seed in all conditions.

    Args:
        predictions: the runs.
        conditions: which of them to pair.
        seeds: one or more of their `shared_seeds`.
    """
    return [
        _in_order_of_names(pooled({seed: predictions[condition][seed] for seed in seeds}))
        for condition in conditions
    ]


def _in_order_of_names(given: Predictions) -> Predictions:
    order = sorted(range(len(given.names)), key=given.names.__getitem__)
    names = tuple(given.names[index] for index in order)
    return Predictions(names, given.labels[order], given.probabilities[order])


def accuracy_table(
    predictions: Conditions, ratios: Mapping[str, float | None], emotions: Sequence[str]
) -> list[Row]:
    """Return how often each condition's networks are right.

    Args:
        predictions: the runs.
        ratios: tested faces for each face trained on, by condition; None where the runs do not
            repeat the split.
        emotions: in the order of the labels.

    Returns:
        A row a condition: `condition`, `seeds` (their number), and of its pooled faces: `faces`,
        `accuracy`, `low` and `high` (95 % Wilson interval); `mean` and `sd` of the accuracies of
        the single runs (`sd` is None for one run), `mean_low` and `mean_high` (95 % interval of the
        mean by `repeated_splits`, cut off at 0 and 1; None without a ratio or a spread); of the
        pooled faces again: `macro_f1` (over the emotions that occur as label or prediction),
        `recall_<emotion>` (None if it has no face) and `ece`, the expected calibration error in 15
        bins. All but the counts are 0–1.
    """
    return [
        _accuracy_row(name, by_seed, ratios[name], emotions)
        for name, by_seed in predictions.items()
    ]


def _accuracy_row(
    condition: str,
    by_seed: Mapping[int, Predictions],
    ratio: float | None,
    emotions: Sequence[str],
) -> Row:
    pool = pooled(by_seed)
    right = pool.right
    low, high = proportion_confint(right.sum(), len(right), alpha=0.05, method="wilson")
    accuracies = [float(run.right.mean()) for run in by_seed.values()]
    over_splits = None if ratio is None else resampled_t(accuracies, ratio)
    recalls = [_share(right[pool.labels == label]) for label in range(len(emotions))]
    predicted, labels = torch.tensor(pool.predicted), torch.tensor(pool.labels)
    return {
        "condition": condition,
        "seeds": len(by_seed),
        "faces": len(right),
        "accuracy": float(right.mean()),
        "low": float(low),
        "high": float(high),
        "mean": mean(accuracies),
        "sd": stdev(accuracies) if len(accuracies) > 1 else None,
        "mean_low": over_splits and max(over_splits.low, 0.0),
        "mean_high": over_splits and min(over_splits.high, 1.0),
        "macro_f1": float(multiclass_f1_score(predicted, labels, len(emotions), "macro")),
        **{f"recall_{name}": share for name, share in zip(emotions, recalls, strict=True)},
        "ece": _calibration_error(pool, len(emotions)),
    }


def _share(right: np.ndarray) -> float | None:
    return float(right.mean()) if right.size else None


def _calibration_error(pool: Predictions, classes: int) -> float:
    # torchmetrics takes numbers outside 0–1, were it by a rounding error, for logits.
    probabilities = torch.tensor(pool.probabilities).clamp(0, 1)
    labels = torch.tensor(pool.labels)
    return float(multiclass_calibration_error(probabilities, labels, classes, BINS, "l1"))


def drop_table(
    predictions: Conditions, emotions: Sequence[str], reference: str = "none"
) -> list[Row]:
    """Return what each occlusion costs, emotion by emotion, on the same photographs.

    Only `shared_seeds` of a condition and the reference count; a condition without any has no rows,
    and neither has anything if there is no reference.

    Args:
        predictions: the runs.
        emotions: in the order of the labels.
        reference: the condition that the others are compared with.

    Returns:
        For each other condition, a row an emotion, then one for all emotions together (`emotion` is
        `all`): `condition`, `reference`, `emotion`, `faces`, `recall`, `reference_recall`, `drop`
        (the second minus the first), `low`, `high` (95 % percentile bootstrap interval of the drop
        over photographs). Recalls are 0–1; an emotion without faces has None.
    """
    if reference not in predictions:
        return []
    rows = []
    for condition in predictions:
        seeds = shared_seeds(predictions, (reference, condition))
        if condition != reference and seeds:
            without, covered = paired(predictions, (reference, condition), seeds)
            parts = {name: without.labels == label for label, name in enumerate(emotions)}
            for name, part in (*parts.items(), ("all", slice(None))):
                figures = _drop(without.right[part], covered.right[part])
                key = {"condition": condition, "reference": reference, "emotion": name}
                rows.append({**key, **figures})
    return rows


def _drop(without: np.ndarray, covered: np.ndarray) -> Row:
    recalls = {
        "faces": len(without),
        "recall": _share(covered),
        "reference_recall": _share(without),
    }
    if not len(without):
        return {**recalls, "drop": None, "low": None, "high": None}
    differences = without.astype(int) - covered
    low, high = _bootstrap_interval(differences)
    return {**recalls, "drop": float(differences.mean()), "low": low, "high": high}


def _bootstrap_interval(differences: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean of a few distinct numbers.

    How often each number occurs in a resample is multinomial. To draw those counts gives the same
    distribution as to draw each photograph (`scipy.stats.bootstrap`), a hundred times as fast.
    """
    values, counts = np.unique(differences, return_counts=True)
    size = len(differences)
    resamples = np.random.default_rng(0).multinomial(size, counts / size, RESAMPLES)
    low, high = np.quantile(resamples @ values / size, (0.025, 0.975))
    return float(low), float(high)


def calibration_table(predictions: Conditions, bins: int = BINS) -> list[Row]:
    """Return the reliability diagram of each condition's pooled faces.

    Args:
        predictions: the runs.
        bins: how many, of equal width.

    Returns:
        A row a condition and bin with faces, in ascending order: `condition`, `confidence` (mean
        of the highest probability), `accuracy`, `faces`. A bin includes its upper end.
    """
    return [
        {"condition": condition, **row}
        for condition, by_seed in predictions.items()
        for row in _reliability(pooled(by_seed), bins)
    ]


def _reliability(pool: Predictions, bins: int) -> list[Row]:
    confidence = pool.probabilities.max(axis=1).clip(0, 1)
    accuracies, confidences = calibration_curve(pool.right, confidence, n_bins=bins)
    # scikit-learn does not say how many faces are in its bins, which are these.
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    faces = np.bincount(np.searchsorted(inner_edges, confidence))
    return [
        {"confidence": float(centre), "accuracy": float(share), "faces": int(count)}
        for centre, share, count in zip(confidences, accuracies, faces[faces > 0], strict=True)
    ]
