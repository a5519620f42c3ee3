"""Whether networks are as sure as they should be."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fer_lit.analysis.chapter import Analysis, Chapter, Drawing, Table
from fer_lit.analysis.report import style
from fer_lit.analysis.report.style import NORMAL, PAGE_WIDTH, SMALL
from fer_lit.analysis.scores import BINS, mean_calibration_error, probabilities

_COLOUR = "#0072B2"


def chapter(analysis: Analysis) -> Chapter:
    """Compare confidence and accuracy, bin by bin."""
    predictions = analysis.selection.predictions
    table = calibration_table(predictions)
    by_condition = predictions.groupby("condition", sort=False)
    errors = {name: mean_calibration_error(own) for name, own in by_condition}
    caption = (
        "Calibration: how often predictions of a confidence are right, those of all networks "
        "together. On the dashed line a network is as sure as it should be; ECE is the expected "
        "calibration error, the mean over networks."
    )
    return Chapter(
        "Are the networks as sure as they should be?",
        [Drawing("calibration", draw_reliability(table, errors), caption)],
        [Table("calibration", table, {"Calibration by bin of confidence.": None})],
    )


def calibration_table(predictions: pd.DataFrame, bins: int = BINS) -> pd.DataFrame:
    """Return the reliability diagram of each condition's predictions, in bins of equal width.

    Returns:
        One row per condition and bin that is not empty, in ascending order: `condition`,
        `confidence` (mean of the highest probability), `accuracy`, `predictions` (how many, of all
        networks). A bin includes its upper end.
    """
    confidence = probabilities(predictions).max(axis=1)
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    bins_of = np.searchsorted(inner_edges, confidence)
    binned = predictions.assign(confidence=confidence, bin=bins_of)
    by_condition = {
        condition: own.groupby("bin").agg(
            confidence=("confidence", "mean"),
            accuracy=("right", "mean"),
            predictions=("right", "size"),
        )
        for condition, own in binned.groupby("condition", sort=False)
    }
    return pd.concat(by_condition, names=["condition"]).droplevel("bin").reset_index()


def draw_reliability(table: pd.DataFrame, ece: Mapping[str, float]) -> Figure:
    """Draw how often predictions of a confidence are right: on the diagonal if calibrated.

    Empty bins are left out of the `calibration_table`; `ece` is the expected calibration
    error, 0–1, by condition.
    """
    conditions = list(table["condition"].unique())
    columns, lines = style.panel_grid(len(conditions), most=4)
    side = min(2.2, (PAGE_WIDTH - 0.6) / columns)
    size = (max(3.4, 0.6 + side * columns), (side + 0.25) * lines + 0.85)
    figure = Figure(figsize=size, layout="constrained")
    axes, columns = style.panels(figure, len(conditions), most=4)
    largest = int(table["predictions"].max())
    for axis, condition in zip(axes, conditions, strict=True):
        _draw_bins(
            axis, table[(table["condition"] == condition) & (table["predictions"] > 0)], largest
        )
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
    areas = [_size(count, largest) ** 2 for count in bins["predictions"]]
    axis.plot(*points, color=_COLOUR, linewidth=0.6)
    axis.scatter(*points, areas, color=_COLOUR, linewidths=0, clip_on=False, zorder=3)


def _explain_sizes(figure: Figure, largest: int) -> None:
    # Round numbers, with one digit other than 0.
    counts = sorted({int(float(f"{largest * part:.0e}")) for part in (0.01, 0.1, 1)} - {0})
    marks = [
        Line2D([], [], linestyle="", marker="o", color=_COLOUR, markersize=_size(count, largest))
        for count in counts
    ]
    style.legend_below(
        figure, marks, [f"{count:,} prediction{'s' * (count > 1)}" for count in counts]
    )


def _size(count: int, largest: int) -> float:
    """Return the diameter of a dot in points; its area is proportional to the predictions."""
    return max(2.0, 9 * (count / largest) ** 0.5)
