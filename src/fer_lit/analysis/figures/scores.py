"""Figures of what the networks achieve: accuracy, confusions, transfer, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from fer_lit.analysis.figures.style import (
    NORMAL,
    PAGE_WIDTH,
    SMALL,
    column_names,
    legend_below,
    panel_grid,
    panels,
    percent,
    style_axis,
    wrapped,
)
from fer_lit.paper import OTHER_STUDIES
from fer_lit.runs.figures import plot_confusion_matrix

_OURS, _PAPER, _SEED = "#0072B2", "#D55E00", "#56B4E9"
_OTHERS = (("#009E73", "s"), ("#CC79A7", "^"))


def draw_accuracy(
    rows: Sequence[Mapping[str, Any]],
    paper: Mapping[str, float] | None,
    seeds: Mapping[str, Sequence[float]],
) -> Figure:
    """Draw the accuracy of each condition with its interval, beside the paper's figures.

    Args:
        rows: a table with `condition`, and `accuracy`, `low` and `high`, 0-1; `mean_low` and
            `mean_high`, the interval over seeds, or None.
        paper: condition -> the paper's accuracy in %, see `paper.ACCURACY`. None if nothing
            can be compared: then the other studies are left out, too.
        seeds: condition -> accuracy of each run, 0-1; conditions may be missing.
    """
    heights = [0.5 + 0.3 * len(rows), *([] if paper is None else [1.6])]
    figure = Figure(figsize=(PAGE_WIDTH, sum(heights) + 0.9), layout="constrained")
    axes = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    marks = _draw_conditions(axes[0], rows, seeds)
    if paper is not None:
        marks |= _draw_paper(axes[0], [row["condition"] for row in rows], paper)
        marks |= _draw_other_studies(axes[1])
    axes[-1].set_xlabel("accuracy, %")
    legend_below(figure, list(marks.values()), list(marks))
    return figure


def _draw_conditions(
    axis: Axes, rows: Sequence[Mapping[str, Any]], seeds: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """Draw dots, intervals and single runs; return what the legend shows."""
    _list_conditions(axis, [row["condition"] for row in rows])
    _write_column(axis, "these\nruns", [100 * row["accuracy"] for row in rows], 6)
    marks = {}
    for place, row in enumerate(rows):
        axis.plot([100 * row["low"], 100 * row["high"]], [place, place], color=_OURS)
        dot = axis.plot(100 * row["accuracy"], place, "o-", color=_OURS, markersize=5)
        marks["these runs, 95 % interval"] = dot[0]
        single = np.array(seeds.get(row["condition"], ()), float)
        if len(single):
            places = np.full(len(single), place + 0.22)
            (marks["single seeds"],) = axis.plot(100 * single, places, ".", color=_SEED)
        if row["mean_low"] is not None:
            ends = [100 * row["mean_low"], 100 * row["mean_high"]]
            (line,) = axis.plot(ends, [place + 0.22] * 2, "|-", color=_SEED, linewidth=1)
            marks["95 % interval of their mean"] = line
    return marks


def _draw_paper(axis: Axes, conditions: list[str], paper: Mapping[str, float]) -> dict[str, Any]:
    known = [(paper[label], place) for place, label in enumerate(conditions) if label in paper]
    if not known:
        return {}
    _write_column(axis, "paper", [paper.get(label) for label in conditions], 44)
    (mark,) = axis.plot(*zip(*known, strict=True), "D", color=_PAPER, fillstyle="none")
    return {"paper": mark}


def _draw_other_studies(axis: Axes) -> dict[str, Any]:
    conditions = list(dict.fromkeys(name for study in OTHER_STUDIES.values() for name in study))
    conditions.sort(key=["none", "eyes", "nose", "mouth"].index)
    _list_conditions(axis, conditions)
    axis.set_title("other studies, other data", loc="left", fontsize=NORMAL)
    axis.set_facecolor("0.96")
    marks = {}
    for (study, figures), (colour, marker) in zip(OTHER_STUDIES.items(), _OTHERS, strict=True):
        places = [conditions.index(label) for label in figures]
        (marks[study],) = axis.plot(list(figures.values()), places, marker, color=colour)
    return marks


def _list_conditions(axis: Axes, conditions: Sequence[str]) -> None:
    style_axis(axis)
    axis.set_yticks(range(len(conditions)), conditions)
    axis.set_ylim(len(conditions) - 0.5, -0.5)
    axis.grid(alpha=0.3)


def _write_column(axis: Axes, title: str, values: Sequence[float | None], distance: float) -> None:
    """Write numbers beside the right edge of an axis, `distance` points away from it."""
    style = {"textcoords": "offset points", "fontsize": SMALL, "ha": "left"}
    for place, value in enumerate(values):
        text = "–" if value is None else f"{value:.1f}"
        at = ("axes fraction", "data")
        axis.annotate(text, (1, place), (distance, 0), at, va="center", **style)
    axis.annotate(title, (1, 1), (distance, 3), "axes fraction", va="bottom", **style)


def draw_confusions(matrices: Mapping[str, np.ndarray], emotions: Sequence[str]) -> Figure:
    """Draw a confusion matrix for each condition: counts, and shares of the label's faces.

    Args:
        matrices: condition -> int (emotions, emotions); rows: the label, columns: the prediction.
        emotions: names of both.
    """
    cell = 0.38 if len(emotions) > 3 else 0.44
    most = max(1, int((PAGE_WIDTH - 1.4) / (cell * len(emotions) + 0.06)))
    columns, rows = panel_grid(len(matrices), most)
    side = cell * len(emotions)
    size = (1.5 + (side + 0.06) * columns, (side + 0.3) * rows + 0.55)
    figure = Figure(figsize=size, layout="compressed")
    axes, columns = panels(figure, len(matrices), most)
    for number, (axis, (label, matrix)) in enumerate(zip(axes, matrices.items(), strict=True)):
        image = plot_confusion_matrix(axis, matrix, emotions, font_size=SMALL)
        axis.set_title(wrapped(label, side), fontsize=NORMAL)
        if number % columns:
            axis.set_ylabel("")
        if number < len(matrices) - columns:
            axis.set_xlabel("")
    height = min(1.8, side * rows)  # inches
    bar = figure.colorbar(image, ax=axes, shrink=height / (side * rows), aspect=18)
    bar.set_label(wrapped("share of the label's faces", height), fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def draw_transfer(
    matrix: np.ndarray, trained: Sequence[str], tested: Sequence[str], own: np.ndarray
) -> Figure:
    """Draw the accuracy of each network under each condition; framed: the one it was trained for.

    Args:
        matrix: float (trained, tested), accuracy, 0-1; NaN where it is not known.
        trained: labels of the rows.
        tested: labels of the columns.
        own: bool (trained, tested), whether networks are tested under what they were trained for.
    """
    cell = min(0.8, (PAGE_WIDTH - 2.4) / len(tested))
    names = column_names(tested, cell)
    size = (2.4 + cell * len(tested), 0.7 + names.height + max(cell, 0.4) * len(trained))
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(matrix, cmap="cividis", aspect="auto")
    style_axis(axis)
    for (row, column), accuracy in np.ndenumerate(matrix):
        dark = image.norm(accuracy) < 0.5
        axis.text(
            *(column, row, "–" if np.isnan(accuracy) else f"{100 * accuracy:.1f}"),
            ha="center",
            va="center",
            fontsize=NORMAL,
            color="white" if dark else "black",
        )
        if own[row, column]:
            _frame(axis, column, row)
    axis.set_xticks(range(len(tested)), names.texts, rotation=names.rotation)
    axis.set_yticks(range(len(trained)), [wrapped(label, 1.0) for label in trained])
    axis.set(xlabel="tested under", ylabel="trained under")
    bar = figure.colorbar(image)
    bar.set_label("accuracy, %", fontsize=SMALL)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def _frame(axis: Axes, column: int, row: int) -> None:
    """Draw a frame inside a cell that is seen on dark and on light colours."""
    frame = Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor="white")
    frame.set(linewidth=1.5, path_effects=[withStroke(linewidth=3.5, foreground="black")])
    axis.add_patch(frame)


def draw_reliability(rows: Sequence[Mapping[str, Any]], ece: Mapping[str, float]) -> Figure:
    """Draw how often predictions of a confidence are right: on the diagonal if calibrated.

    Args:
        rows: a row a condition and bin, with `condition`, `confidence` (mean of the bin),
            `accuracy`, both 0-1, and `faces`; bins without faces are left out.
        ece: condition -> expected calibration error, 0-1.
    """
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    columns, lines = panel_grid(len(conditions), most=4)
    side = min(2.2, (PAGE_WIDTH - 0.6) / columns)
    size = (max(3.4, 0.6 + side * columns), (side + 0.25) * lines + 0.85)
    figure = Figure(figsize=size, layout="constrained")
    axes, columns = panels(figure, len(conditions), most=4)
    largest = max(row["faces"] for row in rows)
    for axis, condition in zip(axes, conditions, strict=True):
        bins = [row for row in rows if row["condition"] == condition and row["faces"]]
        _draw_bins(axis, bins, largest)
        style_axis(axis)
        axis.set_title(wrapped(condition, side), fontsize=NORMAL)
        error = f"ECE {percent(ece[condition])}"
        axis.text(0.05, 0.95, error, transform=axis.transAxes, va="top", fontsize=SMALL)
    axes[0].set(xlim=(0, 100), ylim=(0, 100), xticks=(0, 50, 100), yticks=(0, 50, 100))
    for axis in axes[::columns]:
        axis.set_ylabel("right, %")
    for axis in axes[-columns:]:
        axis.set_xlabel("confidence, %")
    # Round numbers, with one digit other than 0.
    counts = sorted({int(float(f"{largest * part:.0e}")) for part in (0.01, 0.1, 1)} - {0})
    marks = [
        Line2D([], [], linestyle="", marker="o", color=_OURS, markersize=_size(count, largest))
        for count in counts
    ]
    legend_below(figure, marks, [f"{count:,} face{'s' * (count > 1)}" for count in counts])
    return figure


def _draw_bins(axis: Axes, bins: Sequence[Mapping[str, Any]], largest: int) -> None:
    axis.plot([0, 100], [0, 100], color="0.5", linewidth=0.8, linestyle=(0, (4, 2)))
    confidences = [100 * row["confidence"] for row in bins]
    accuracies = [100 * row["accuracy"] for row in bins]
    areas = [_size(row["faces"], largest) ** 2 for row in bins]
    axis.plot(confidences, accuracies, color=_OURS, linewidth=0.6)
    axis.scatter(confidences, accuracies, areas, color=_OURS, linewidths=0, clip_on=False, zorder=3)


def _size(faces: int, largest: int) -> float:
    """Return the diameter of a dot in points, whose area is proportional to the faces in a bin."""
    return max(2.0, 9 * (faces / largest) ** 0.5)
