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
    rows = [_sample(data, label, view)[:, 0] for label in range(len(data.faces.classes))]
    columns, side = 2 * FACES_PER_EMOTION, rows[0].shape[-1]
    gap = side // 16
    # One picture: a panel for each face takes most of the time of a short run.
    mosaic = np.full((len(rows), columns, side + gap, side + gap), 255, np.float32)
    for row, faces in zip(mosaic, rows, strict=True):
        row[: len(faces), :side, :side] = faces
    figure = Figure(figsize=(1.15 * columns, 1.15 * len(rows) + 0.6), layout="constrained")
    figure.suptitle(f"Faces as the network sees them: {title}", fontsize=11)
    axis = figure.subplots()
    axis.imshow(np.vstack([np.hstack(row) for row in mosaic]), cmap="gray", vmin=0, vmax=255)
    centres = np.arange(len(rows)) * (side + gap) + side / 2
    axis.set_yticks(centres, data.faces.classes, rotation=90, va="center")
    axis.set(xticks=[], frame_on=False)
    axis.tick_params(length=0)
    axis.set_title(
        "in validation" if view else "in training and validation", loc="left", fontsize=9
    )
    if view:
        place = (FACES_PER_EMOTION / columns, 1.0)
        text = f"the same in training (view {view})"
        above = {"textcoords": "offset points", "xytext": (0, 6), "fontsize": 9}
        axis.annotate(text, place, xycoords="axes fraction", **above)
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
