"""The figure of the band map: how often networks are right, by where a band lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fer_lit.analysis.chapter import ALL
from fer_lit.analysis.report import style
from fer_lit.faces.face_set import SIZE
from fer_lit.paper import BANDS

_REFERENCE = {"color": "0.35", "linewidth": 0.8, "linestyle": (0, (1, 2))}
_FACE = slice(8, SIZE - 8)  # columns that are drawn
_LEAST_WIDTH = 4  # percentage points in a panel
_SAID = {"trained": "trained under the band", "tested": "tested only"}


def draw_band_map(table: pd.DataFrame, face: np.ndarray | None) -> Figure:
    """Draw accuracy and recalls from the top of the face to its bottom, beside a face.

    Args:
        table: see `band_map.band_table`; an emotion is a panel.
        face: float, (48, 48), 0–255: a mean face; None, if there is none to show.
    """
    emotions = list(table["emotion"].unique())
    bands = table.loc[table["top"].notna(), ["kind", "fill"]].drop_duplicates()
    curves = list(bands.itertuples(index=False, name=None))
    styles = dict(zip(curves, style.looks([str(curve) for curve in curves]).values(), strict=True))
    columns, lines = style.panel_grid(len(emotions), most=4)
    beside = 0 if face is None else 1
    size = (min(style.PAGE_WIDTH, 1.2 + 1.5 * (columns + beside)), 2.6 * lines + 0.75)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(
        lines,
        columns + beside,
        sharey=True,
        squeeze=False,
        width_ratios=[1.25] * beside + [1] * columns,
    )
    if face is not None:
        for axis in grid[:, 0]:
            _draw_face(axis, face)
    axes = list(grid[:, beside:].flat)
    for axis in axes[len(emotions) :]:
        axis.remove()
    for number, (axis, emotion) in enumerate(zip(axes, emotions, strict=False)):
        _draw_panel(axis, emotion, table[table["emotion"] == emotion], styles)
        if number % columns == columns - 1:
            style.name_bands(axis, BANDS)
    _make_widths_equal(axes[: len(emotions)])
    axes[0].set_ylim(SIZE - 0.5, -0.5)
    axes[0].set_yticks([0, 10, 20, 30, 40, SIZE - 1])
    for axis in grid[:, 0]:
        axis.set_ylabel("row of the face (middle of the band)")
    _draw_legend(figure, styles, (table["kind"] == "reference").any())
    return figure


def _make_widths_equal(axes: Sequence[Axes]) -> None:
    """Let a percentage point be as wide in each panel, wherever its curves lie."""
    ends = {axis: axis.dataLim.intervalx for axis in axes if np.isfinite(axis.dataLim.x0)}
    half = 0.55 * max([_LEAST_WIDTH, *(high - low for low, high in ends.values())])
    for axis, (low, high) in ends.items():
        middle = (low + high) / 2
        axis.set_xlim(middle - half, middle + half)
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _draw_face(axis: Axes, face: np.ndarray) -> None:
    style.style_axis(axis)
    axis.imshow(face[:, _FACE], cmap="gray", aspect="auto")
    axis.set_xticks([])
    axis.set_title("mean face", fontsize=style.NORMAL)
    for edge in style.band_edges(BANDS):
        axis.axhline(edge, color="white", linewidth=0.7, linestyle=(0, (3, 2)))


def _draw_panel(
    axis: Axes,
    emotion: str,
    table: pd.DataFrame,
    styles: Mapping[tuple[str, str], style.Look],
) -> None:
    style.style_axis(axis)
    whole = emotion == ALL
    axis.set_title("all emotions" if whole else emotion, fontsize=style.NORMAL)
    axis.set_xlabel("accuracy, %" if whole else "recall, %")
    for edge in style.band_edges(BANDS):
        axis.axhline(edge, color="0.85", linewidth=0.6, zorder=0)
    for accuracy in table.loc[table["kind"] == "reference", "accuracy"].dropna():
        axis.axvline(100 * accuracy, **_REFERENCE)
    for (kind, fill), look in styles.items():
        own = table[(table["kind"] == kind) & (table["fill"] == fill)]
        _draw_curve(axis, own.sort_values("top"), look)


def _draw_legend(
    figure: Figure, styles: Mapping[tuple[str, str], style.Look], with_reference: bool
) -> None:
    names = {
        f"{_SAID[kind]} ({fill})": {"color": look.colour, "linestyle": look.line}
        for (kind, fill), look in styles.items()
    }
    if with_reference:
        names["without occlusion"] = _REFERENCE
    style.legend_below(figure, [Line2D([], [], **look) for look in names.values()], list(names))


def _draw_curve(axis: Axes, curve: pd.DataFrame, look: style.Look) -> None:
    middles = (curve["top"] + (curve["height"] - 1) / 2).to_numpy(float)
    share, low, high = (100 * curve[name].to_numpy(float) for name in ("accuracy", "low", "high"))
    axis.fill_betweenx(middles, low, high, color=look.colour, alpha=0.15, linewidth=0)
    # A single band is a point, which no line shows.
    marker = "o" if len(curve) == 1 else ""
    axis.plot(share, middles, color=look.colour, linestyle=look.line, marker=marker, linewidth=1.3)
