"""What a trained network achieved, epoch by epoch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from torch import Tensor

from fer_lit.files import write_csv


def rates_of(matrix: Tensor, classes: Sequence[str]) -> dict[str, Tensor]:
    """Return what follows from a matrix, int64, (classes, classes), rows the label.

    `accuracy`; `macro_f1`, the mean over the emotions that occur as label or prediction;
    `recall_<emotion>`, 0 without a face; all float32, 0–1; and the `confusion_matrix`.
    """
    right, labels, predictions = matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)
    occurring = labels + predictions > 0
    f1 = 2 * right[occurring] / (labels + predictions)[occurring]
    recalls = right / labels.clamp(min=1)
    return {
        "accuracy": right.sum() / matrix.sum(),
        "macro_f1": (f1 / len(f1)).sum(),
        "confusion_matrix": matrix,
        **{f"recall_{emotion}": recall for emotion, recall in zip(classes, recalls, strict=True)},
    }


class MetricsTable(L.Callback):
    """Keep a CSV up to date: one row per epoch, with the data's name, whatever happens later."""

    def __init__(self, path: Path, data: str):
        self._path, self._data = path, data

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the epochs so far."""
        rows = []
        for number, epoch in enumerate(pl_module.history):
            scalars = {name: value for name, value in epoch.items() if not isinstance(value, list)}
            rows.append({"epoch": number, "data": self._data, **scalars})
        write_csv(self._path, rows)


def summarise(history: Sequence[dict[str, Any]], classes: Sequence[str]) -> dict[str, Any]:
    """Return what `EmotionClassifier.history` comes to.

    Returns:
        `validation` and `train`: `accuracy`, `macro_f1`, `loss`, `recall` by emotion and
        `confusion_matrix` (rows: the label, columns: the prediction) after the last epoch; those of
        training are measured on augmented faces while the head learns. `best`: the epoch (from 0)
        with the highest validation accuracy. `epochs`: the same figures of every epoch.
    """
    accuracies = [epoch["val/accuracy"] for epoch in history]
    best = int(np.argmax(accuracies))
    epochs = [
        {"validation": nested(epoch, "val", classes), "train": nested(epoch, "train", classes)}
        for epoch in history
    ]
    return {**epochs[-1], "best": {"epoch": best, "accuracy": accuracies[best]}, "epochs": epochs}


def nested(epoch: dict[str, Any], part: str, classes: Sequence[str]) -> dict[str, Any]:
    """Return the metrics of a part (`train`, `val` or `test`) as `summarise` returns them."""
    return {
        **{name: epoch[f"{part}/{name}"] for name in ("accuracy", "macro_f1", "loss")},
        "recall": {emotion: epoch[f"{part}/recall_{emotion}"] for emotion in classes},
        "confusion_matrix": epoch[f"{part}/confusion_matrix"],
    }
