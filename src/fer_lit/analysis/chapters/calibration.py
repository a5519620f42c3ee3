"""Whether networks are as sure as they should be."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torchmetrics.functional.classification import multiclass_calibration_error

from fer_lit.analysis.chapter import Analysis, Chapter, Drawing, Table
from fer_lit.analysis.report import style
from fer_lit.analysis.report.style import NORMAL, PAGE_WIDTH, SMALL
from fer_lit.runs.predictions import pooled, probability_columns

BINS = 15
"""Bins of equal width, as in Guo et al., "On Calibration of Modern Neural Networks", ICML 2017."""
_COLOUR = "#0072B2"


def chapter(analysis: Analysis) -> Chapter:
    """Compare confidence and accuracy, bin by bin."""
    pool = pooled(analysis.selection.predictions)
    table = calibration_table(pool)
    errors = {name: calibration_error(own) for name, own in pool.groupby("condition", sort=False)}
    caption = (
        "Calibration: how often predictions of a confidence are right. On the dashed line a "
        "network is as sure as it should be; ECE is the expected calibration error."
    )
    return Chapter(
        "Are the networks as sure as they should be?",
        [Drawing("calibration", draw_reliability(table, errors), caption)],
        [Table("calibration", table, {"Calibration by bin of confidence.": None})],
    )


def calibration_error(pool: pd.DataFrame) -> float:
    """Return the expected calibration error of predictions in `BINS` bins, 0–1."""
    labels = torch.tensor(pool["label"].cat.codes.to_numpy(np.int64))
    classes = len(pool["label"].cat.categories)
    probabilities = torch.tensor(_probabilities(pool))
    return float(multiclass_calibration_error(probabilities, labels, classes, BINS, "l1"))


def calibration_table(predictions: pd.DataFrame, bins: int = BINS) -> pd.DataFrame:
    """Return the reliability diagram of each condition's pooled faces, in bins of equal width.

    Returns:
        One row per condition and bin with faces, in ascending order: `condition`, `confidence`
        (mean of the highest probability), `accuracy`, `faces`. A bin includes its upper end.
    """
    pool = pooled(predictions)
    confidence = _probabilities(pool).max(axis=1)
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    binned = pool.assign(confidence=confidence, bin=np.searchsorted(inner_edges, confidence))
    by_condition = {
        condition: own.groupby("bin").agg(
            confidence=("confidence", "mean"), accuracy=("right", "mean"), faces=("right", "size")
        )
        for condition, own in binned.groupby("condition", sort=False)
    }
    return pd.concat(by_condition, names=["condition"]).droplevel("bin").reset_index()


def _probabilities(pool: pd.DataFrame) -> np.ndarray:
    """Return probabilities, (N, classes), cut off at 0 and 1.

    torchmetrics takes numbers outside, were it by a rounding error, for logits.
    """
    columns = probability_columns(pool["label"].cat.categories)
    return pool[columns].to_numpy().clip(0, 1)


def draw_reliability(table: pd.DataFrame, ece: Mapping[str, float]) -> Figure:
    """Draw how often predictions of a confidence are right: on the diagonal if calibrated.

    Bins without faces are left out of the `calibration_table`; `ece` is the expected calibration
    error, 0–1, by condition.
    """
    conditions = list(table["condition"].unique())
    columns, lines = style.panel_grid(len(conditions), most=4)
    side = min(2.2, (PAGE_WIDTH - 0.6) / columns)
    size = (max(3.4, 0.6 + side * columns), (side + 0.25) * lines + 0.85)
    figure = Figure(figsize=size, layout="constrained")
    axes, columns = style.panels(figure, len(conditions), most=4)
    largest = int(table["faces"].max())
    for axis, condition in zip(axes, conditions, strict=True):
        _draw_bins(axis, table[(table["condition"] == condition) & (table["faces"] > 0)], largest)
        style.style_axis(axis)
        axis.set_title(style.wrapped(condition, side), fontsize=NORMAL)
        error = f"ECE {style.percent(ece[condition])}"
        axis.text(0.05, 0.95, error, transform=axis.transAxes, va="top", fontsize=SMALL)
    axes[0].set(xlim=(0, 100), ylim=(0, 100), xticks=(0, 50, 100), yticks=(0, 50, 100))
    for axis in axes[::columns]:
        axis.set_ylabel("right, %")
    for axis in axes[-columns:]:
        axis.set_xlabel("confidence, %")
    _explain_sizes(figure, largest)
    return figure


def _draw_bins(axis: Axes, bins: pd.DataFrame, largest: int) -> None:
    axis.plot([0, 100], [0, 100], color="0.5", linewidth=0.8, linestyle=(0, (4, 2)))
    points = (100 * bins["confidence"].to_numpy(), 100 * bins["accuracy"].to_numpy())
    areas = [_size(faces, largest) ** 2 for faces in bins["faces"]]
    axis.plot(*points, color=_COLOUR, linewidth=0.6)
    axis.scatter(*points, areas, color=_COLOUR, linewidths=0, clip_on=False, zorder=3)


def _explain_sizes(figure: Figure, largest: int) -> None:
    # Round numbers, with one digit other than 0.
    counts = sorted({int(float(f"{largest * part:.0e}")) for part in (0.01, 0.1, 1)} - {0})
    marks = [
        Line2D([], [], linestyle="", marker="o", color=_COLOUR, markersize=_size(count, largest))
        for count in counts
    ]
    style.legend_below(figure, marks, [f"{count:,} face{'s' * (count > 1)}" for count in counts])


def _size(faces: int, largest: int) -> float:
    """Return the diameter of a dot in points, whose area is proportional to the faces in a bin."""
    return max(2.0, 9 * (faces / largest) ** 0.5)
