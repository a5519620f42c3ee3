"""Figures of one run: the faces as the network sees them, the curves, the confusion matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from fer_lit.faces.datamodule import FaceDataModule
from fer_lit.files import replacing

DPI = 150
FACES_PER_EMOTION = 4


@rc_context({"text.parse_math": False})  # an emotion may be called a$b
def draw_run(folder: Path, data: FaceDataModule, metrics: Mapping[str, Any]) -> None:
    """Draw `faces.png`, `curves.png` and `confusion_matrix.png` from a finished run's metrics."""
    title = f"{metrics['occlusion']}, seed {metrics['seed']}, {metrics['data']} faces"
    matrix = np.array(metrics["validation"]["confusion_matrix"])
    for name, figure in (
        ("faces", draw_faces(data, title)),
        ("curves", draw_curves(metrics["epochs"], title)),
        ("confusion_matrix", draw_confusion_matrix(matrix, metrics["classes"], title)),
    ):
        with replacing(folder / f"{name}.png") as aside:
            figure.savefig(aside, dpi=DPI, format="png")


def draw_faces(data: FaceDataModule, title: str) -> Figure:
    """Draw training faces of each emotion: as they are, and as the first epoch sees them."""
    view = data.training_view(epoch=0)
    rows, columns = len(data.faces.classes), 2 * FACES_PER_EMOTION
    figure = Figure(figsize=(1.15 * columns, 1.15 * rows + 0.6), layout="constrained")
    figure.suptitle(f"Faces as the network sees them: {title}", fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False)
    for label, emotion in enumerate(data.faces.classes):
        for axis, face in zip(axes[label], _sample(data, label, view), strict=False):
            axis.imshow(face[0], cmap="gray", vmin=0, vmax=255)
        axes[label, 0].set_ylabel(emotion)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], frame_on=False)
    both = "in training and validation"
    axes[0, 0].set_title("in validation" if view else both, loc="left", fontsize=9)
    if view:
        second = axes[0, FACES_PER_EMOTION]
        second.set_title(f"the same in training (view {view})", loc="left", fontsize=9)
    return figure


def _sample(data: FaceDataModule, label: int, view: int) -> np.ndarray:
    """Return faces as they are, then the same ones in a view; more faces if that is view 0."""
    train = data.split.train[data.faces.labels[data.split.train] == label]
    views = [0, view] if view else [0]
    chosen = torch.from_numpy(train[: 2 * FACES_PER_EMOTION // len(views)])
    return torch.cat([data.views(chosen, one) for one in views]).cpu().numpy()


def draw_curves(epochs: list[Mapping[str, Any]], title: str) -> Figure:
    """Draw accuracy and loss by epoch for training and validation."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    numbers = np.arange(1, len(epochs) + 1)
    for axis, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        for part, style in (("train", "C1--"), ("validation", "C0-")):
            axis.plot(numbers, [epoch[part][name] for epoch in epochs], style, label=part)
        axis.set(xlabel="epoch", ylabel=name)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    return figure


def draw_confusion_matrix(matrix: np.ndarray, classes: list[str], title: str) -> Figure:
    """Draw counts, (classes, classes), rows: the label; shaded by the share of the row."""
    side = 1.9 + 0.75 * len(classes)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axis = figure.subplots()
    image = plot_confusion_matrix(axis, matrix, classes)
    figure.colorbar(image, label="share of the label's faces")
    axis.set_title(title, fontsize=10)
    return figure


def plot_confusion_matrix(
    axis: Axes, matrix: np.ndarray, classes: Sequence[str], font_size: float = 10
) -> AxesImage:
    """Draw counts, (classes, classes), rows: the label, into an axis, with shares of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    style = {"ha": "center", "va": "center", "fontsize": font_size}
    for (row, column), share in np.ndenumerate(shares):
        text = f"{matrix[row, column]:,}\n{share:.0%}"
        axis.text(column, row, text, color="w" if share > 0.5 else "k", **style)
    ticks = np.arange(len(classes))
    axis.set_xticks(ticks, classes, rotation=30, ha="right", fontsize=font_size)
    axis.set_yticks(ticks, classes, fontsize=font_size)
    axis.set_xlabel("prediction", fontsize=font_size)
    axis.set_ylabel("label", fontsize=font_size)
    return image
