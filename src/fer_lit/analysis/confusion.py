"""Which emotions are taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix

from fer_lit.analysis.accuracy import Conditions, Row, pooled


def confusion_matrices(predictions: Conditions, classes: int) -> dict[str, np.ndarray]:
    """Return counts of each condition's pooled faces, int64, (classes, classes).

    Rows are the labels, columns the predictions.
    """
    pools = {condition: pooled(by_seed) for condition, by_seed in predictions.items()}
    return {
        condition: multiclass_confusion_matrix(
            torch.tensor(pool.predicted), torch.tensor(pool.labels), classes
        ).numpy()
        for condition, pool in pools.items()
    }


def confusion_table(matrices: Mapping[str, np.ndarray], emotions: Sequence[str]) -> list[Row]:
    """Return the matrices, row by row: `condition`, `label`, `prediction`, `faces`."""
    return [
        {"condition": condition, "label": label, "prediction": prediction, "faces": int(count)}
        for condition, matrix in matrices.items()
        for label, counts in zip(emotions, matrix, strict=True)
        for prediction, count in zip(emotions, counts, strict=True)
    ]
