"""How good a network's predictions are, by the measures of the field."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_calibration_error,
    multiclass_f1_score,
)

from fer_lit.runs.predictions import probability_columns

BINS = 15
"""Bins of equal width, as in Guo et al., "On Calibration of Modern Neural Networks", ICML 2017."""
_LEAST = np.finfo(float).eps
"""A probability below counts as this: the logarithm of 0 is infinite."""


def mean_scores(predictions: pd.DataFrame) -> dict[str, float]:
    """Return the mean over networks of each network's `scores`; what none of them has is NaN.

    `predictions` are those of one condition: see `join_predictions`.
    """
    single = [scores(own) for _, own in predictions.groupby("seed")]
    return pd.DataFrame(single).astype(float).mean().to_dict()


def mean_calibration_error(predictions: pd.DataFrame) -> float:
    """Return the `ece` of `mean_scores` alone."""
    return float(np.mean([_calibration_error(own) for _, own in predictions.groupby("seed")]))


def scores(predictions: pd.DataFrame) -> dict[str, float]:
    """Return the scores of one network's predictions: see `prediction_frame`.

    Returns:
        `baseline`: the share of the most frequent label, which is right about that often whatever
        it sees. `balanced_accuracy`: the mean recall, and `macro_f1`, over the emotions that occur.
        `auc`: area under the ROC curve of each emotion against the rest, the mean over emotions,
        leaving out those that no face has or all have. `log_loss`: minus the mean natural
        logarithm of the label's probability. `ece`: expected calibration error in `BINS` bins.
        `recall_<emotion>`, NaN without a face.
    """
    labels = predictions["label"].cat.codes.to_numpy(np.int64)
    predicted = predictions["prediction"].cat.codes.to_numpy(np.int64)
    table, classes = probabilities(predictions), len(predictions["label"].cat.categories)
    recalls = predictions.groupby("label", observed=False)["right"].mean()
    f1 = multiclass_f1_score(torch.tensor(predicted), torch.tensor(labels), classes, "macro")
    return {
        "baseline": float(np.bincount(labels).max() / len(labels)),
        "balanced_accuracy": float(recalls.mean()),
        "macro_f1": float(f1),
        "auc": _mean_auc(torch.tensor(table), torch.tensor(labels)),
        "log_loss": float(-np.log(table[np.arange(len(labels)), labels].clip(_LEAST)).mean()),
        "ece": _calibration_error(predictions),
        **recalls.add_prefix("recall_"),
    }


def probabilities(predictions: pd.DataFrame) -> np.ndarray:
    """Return probabilities, (N, classes), cut off at 0 and 1.

    torchmetrics takes numbers outside, were it by a rounding error, for logits.
    """
    columns = probability_columns(predictions["label"].cat.categories)
    return predictions[columns].to_numpy().clip(0, 1)


def _mean_auc(table: Tensor, labels: Tensor) -> float:
    counts = labels.bincount(minlength=table.shape[1])
    told_apart = [emotion for emotion, n in enumerate(counts) if 0 < n < len(labels)]
    areas = [float(binary_auroc(table[:, one], (labels == one).int())) for one in told_apart]
    return float(np.mean(areas)) if areas else np.nan


def _calibration_error(predictions: pd.DataFrame) -> float:
    labels = torch.tensor(predictions["label"].cat.codes.to_numpy(np.int64))
    table = torch.tensor(probabilities(predictions))
    return float(multiclass_calibration_error(table, labels, table.shape[1], BINS, "l1"))
