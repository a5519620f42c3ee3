"""Figures of attention by row and by band of the face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fer_lit.analysis.figures.style import (
    NORMAL,
    PAGE_WIDTH,
    Look,
    band_edges,
    legend_below,
    looks,
    name_bands,
    panel_grid,
    panels,
    say_missing,
    style_axis,
    wrapped,
)
from fer_lit.faces.face_set import SIZE

_UNIFORM = {"color": "0.35", "linewidth": 0.8, "linestyle": (0, (1, 2))}


def draw_row_profiles(
    profiles: np.ndarray,
    emotions: Sequence[str],
    conditions: Sequence[str],
    bands: Mapping[str, slice],
) -> Figure:
    """Draw how attention is spread over the rows of the face, from its top to its bottom.

    Args:
        profiles: float (emotions, conditions, 48), share of a map's attention in each row: each
            profile sums to 1. NaN in a cell without photographs.
        emotions: a panel each.
        conditions: a line each.
        bands: rows of each band.
    """
    columns, rows = panel_grid(len(emotions), most=4)
    size = (min(PAGE_WIDTH, 1.2 + 2.2 * columns), 2.7 * rows + 0.3 + 0.1 * len(conditions))
    figure = Figure(figsize=size, layout="constrained")
    axes, columns = panels(figure, len(emotions), most=4)
    styles = looks(conditions)
    for number, (axis, emotion, lines) in enumerate(zip(axes, emotions, profiles, strict=True)):
        style_axis(axis)
        axis.set_title(emotion, fontsize=NORMAL)
        _shade(axis, bands)
        axis.axvline(100 / SIZE, **_UNIFORM)
        for line, style in zip(lines, styles.values(), strict=True):
            axis.plot(100 * line, np.arange(SIZE), color=style.colour, linestyle=style.line)
        if np.isnan(lines).all():
            say_missing(axis)
        if number % columns == columns - 1:
            name_bands(axis, bands)
    axes[0].set_ylim(SIZE - 0.5, -0.5)
    axes[0].set_yticks([0, 10, 20, 30, 40, SIZE - 1])
    axes[0].set_xlim(left=0)
    for axis in axes[::columns]:
        axis.set_ylabel("row of the face")
    for axis in axes[-columns:]:
        axis.set_xlabel("attention in a row, %")
    lines = [Line2D([], [], color=look.colour, linestyle=look.line) for look in styles.values()]
    uniform = f"uniform (1/{SIZE})"
    legend_below(figure, [*lines, Line2D([], [], **_UNIFORM)], [*conditions, uniform])
    return figure


def _shade(axis: Axes, bands: Mapping[str, slice]) -> None:
    for number, rows in enumerate(bands.values()):
        axis.axhspan(
            rows.start - 0.5, rows.stop - 0.5, color=("0.93", "0.88")[number % 2], zorder=0
        )
    for edge in band_edges(bands):
        axis.axhline(edge, color="0.75", linewidth=0.5, zorder=0.5)


def draw_shares(rows: Sequence[Mapping[str, Any]], bands: Mapping[str, slice]) -> Figure:
    """Draw the share of attention inside each band, with its interval, by condition and emotion.

    Args:
        rows: a table with `condition`, `emotion`, `band`, and `share`, `low` and `high`, 0-1;
            None or NaN where there are no photographs.
        bands: rows of each band, a panel each: they say where a uniform map would be.
    """
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    emotions = list(dict.fromkeys(row["emotion"] for row in rows))
    styles = looks(emotions)
    height = 0.75 + len(conditions) * (0.125 * len(emotions) + 0.12)
    figure = Figure(figsize=(PAGE_WIDTH, max(2.0, height)), layout="constrained")
    axes, _ = panels(figure, len(bands), most=len(bands))
    for axis, (band, covered) in zip(axes, bands.items(), strict=True):
        style_axis(axis)
        uniform = 100 * (covered.stop - covered.start) / SIZE
        axis.set_title(f"in the {band} band", fontsize=NORMAL)
        axis.set_xlabel("share of attention, %")
        axis.axvline(uniform, **_UNIFORM)
        for number in range(1, len(conditions), 2):
            axis.axhspan(number - 0.5, number + 0.5, color="0.95", zorder=0)
        for row in rows:
            if row["band"] == band:
                place = _place(row, conditions, emotions)
                _draw_interval(axis, row, place, styles[row["emotion"]])
    axes[0].set_yticks(range(len(conditions)), [wrapped(name, 1.0) for name in conditions])
    axes[0].set_ylim(len(conditions) - 0.5, -0.5)
    axes[0].set_xlim(left=0)
    axes[0].xaxis.set_major_locator(MaxNLocator(5))
    marks = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4)
        for look in styles.values()
    ]
    legend_below(figure, [*marks, Line2D([], [], **_UNIFORM)], [*emotions, "uniform attention"])
    return figure


def _place(row: Mapping[str, Any], conditions: list[str], emotions: list[str]) -> float:
    """Return where a row of the table is drawn: emotions above each other within a condition."""
    middle = (len(emotions) - 1) / 2
    offset = (emotions.index(row["emotion"]) - middle) * 0.75 / len(emotions)
    return conditions.index(row["condition"]) + offset


def _draw_interval(axis: Axes, row: Mapping[str, Any], place: float, look: Look) -> None:
    share, low, high = (
        np.nan if row[column] is None else 100 * row[column] for column in ("share", "low", "high")
    )
    axis.plot([low, high], [place, place], color=look.colour, linewidth=1.2)
    axis.plot(share, place, color=look.colour, marker=look.marker, markersize=4)
