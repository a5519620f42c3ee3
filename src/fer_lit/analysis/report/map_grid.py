"""A picture of a map for each emotion (row) and condition (column), all on one scale of colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke

from fer_lit.analysis.report import style
from fer_lit.faces.face_set import SIZE
from fer_lit.paper import BAND_HEIGHT, BANDS

_MARGIN = 1.6  # inches: emotions on the left, names of bands and the colour bar on the right


def map_grid(emotions: Sequence[str], conditions: Sequence[str]) -> tuple[Figure, np.ndarray]:
    """Return a figure and its panels, (emotions, conditions), named and without ticks."""
    rows, columns = len(emotions), len(conditions)
    panel = _side(columns)
    names = style.column_names(conditions, panel)
    size = (_MARGIN + panel * columns, (panel + 0.04) * rows + names.height + 0.3)
    figure = Figure(figsize=size, layout="compressed")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], facecolor="0.94")
        axis.spines[:].set(linewidth=0.5, color="0.4")
    font_size = style.NORMAL if columns <= 5 else style.SMALL
    for axis, name in zip(axes[0], names.texts, strict=True):
        axis.set_title(name, fontsize=font_size, rotation=names.rotation)
    for axis, emotion in zip(axes[:, 0], emotions, strict=True):
        axis.set_ylabel(emotion, fontsize=style.NORMAL)
    return figure, axes


def _side(columns: int) -> float:
    """Return the side of a panel in inches."""
    return min(1.7, (style.PAGE_WIDTH - _MARGIN) / columns)


def draw_maps(
    axes: np.ndarray,
    maps: np.ndarray,
    colormap: str,
    opacity: float = 1.0,
    ends: tuple[float, float] | None = None,
) -> AxesImage:
    """Draw a map into each panel, all on the same scale, and return one of them.

    Args:
        axes: (emotions, conditions).
        maps: float, (emotions, conditions, 48, 48), any unit; NaN in a cell without photographs.
        colormap: one of Matplotlib's.
        opacity: 0–1.
        ends: of the scale; those of the maps if None.
    """
    low, high = ends or limits(maps)
    for cell, axis in np.ndenumerate(axes):
        image = axis.imshow(maps[cell], cmap=colormap, vmin=low, vmax=high, alpha=opacity)
        if np.isnan(maps[cell]).all():
            style.say_missing(axis, size=min(style.SMALL, 11 * _side(axes.shape[1])))
    return image


def limits(maps: np.ndarray) -> tuple[float, float]:
    """Return the least and the largest number that is not NaN, never the same twice."""
    known = maps[~np.isnan(maps)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def mark(figure: Figure, axes: np.ndarray, covered: Sequence[slice | None], colour: str) -> None:
    """Draw the edges of the bands, brackets around what is covered, names, and what they mean.

    Args:
        figure: of the panels.
        axes: (emotions, conditions).
        covered: the rows that each condition covers; None where it covers none.
        colour: of the edges.
    """
    for axis in axes.flat:
        for edge in style.band_edges(BANDS):
            axis.axhline(edge, color=colour, linewidth=0.5, linestyle=(0, (4, 3)))
    size = 72 * _side(axes.shape[1]) * BAND_HEIGHT / SIZE  # points
    for axis in axes[:, -1]:
        style.name_bands(axis, BANDS, min(style.SMALL, size))
    for column, rows in zip(axes.T, covered, strict=True):
        for axis in column if rows else ():
            _bracket(axis, rows)
    if any(covered):
        note = "dashed lines: the bands; brackets [ ]: the rows that the condition covers"
        figure.supxlabel(style.wrapped(note, figure.get_figwidth()), fontsize=style.SMALL)


def _bracket(axis: Axes, rows: slice) -> None:
    """Draw thick brackets just inside the left and right edges of a panel."""
    top, bottom = rows.start - 0.5, rows.stop - 0.5
    for edge, inward in ((0.5, 1), (SIZE - 1.5, -1)):
        axis.plot(
            [edge + 4 * inward, edge, edge, edge + 4 * inward],
            [top, top, bottom, bottom],
            color="black",
            linewidth=1.6,
            solid_joinstyle="miter",
            path_effects=[withStroke(linewidth=3.2, foreground="white")],
        )


def add_bar(figure: Figure, axes: np.ndarray, image: AxesImage, label: str) -> Colorbar:
    """Add a colour bar at the right of all panels, 3.3 inches high if they are."""
    panels = figure.get_figheight() - 0.6  # inches
    height = min(3.3, panels)
    bar = figure.colorbar(image, ax=axes, shrink=height / panels, aspect=7 * height, pad=0.02)
    bar.set_label(style.wrapped(label, height), fontsize=style.SMALL)
    return bar
