"""Figures of averaged attention maps: a grid with a row an emotion and a column a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from fer_lit.analysis.figures.style import (
    NORMAL,
    PAGE_WIDTH,
    SMALL,
    band_edges,
    column_names,
    name_bands,
    say_missing,
    wrapped,
)
from fer_lit.faces.face_set import SIZE

OPACITY = 0.5
"""Of a map that lies over a face."""
_MARGIN = 1.6  # inches: emotions on the left, names of bands and the colour bar on the right
_DIVERGING = "PuOr_r"  # orange: more, violet: less; told apart with all kinds of colour vision


def draw_average_maps(
    maps: np.ndarray,
    emotions: Sequence[str],
    conditions: Sequence[str],
    bands: Mapping[str, slice],
    covered: Sequence[slice | None],
    colormap: str = "jet",
) -> Figure:
    """Draw averaged attention maps, all on one scale of colours: Figure 3 of the paper.

    Args:
        maps: float (emotions, conditions, 48, 48), any unit; NaN in a cell without photographs.
        emotions: names of the rows.
        conditions: labels of the columns.
        bands: rows of each band; marked by thin lines and named at the right.
        covered: the rows that each condition covers, marked by brackets; None where it covers none.
        colormap: one of Matplotlib's; the paper's is `jet`, red where attention is highest.
    """
    figure, axes = _grid(emotions, conditions)
    images = _draw_maps(axes, maps, colormap, opacity=1.0)
    _mark(figure, axes, bands, covered, "white")
    _add_scale(figure, axes, images[0])
    return figure


def draw_maps_over_faces(
    maps: np.ndarray,
    mean_faces: np.ndarray,
    emotions: Sequence[str],
    conditions: Sequence[str],
    bands: Mapping[str, slice],
    covered: Sequence[slice | None],
    colormap: str = "jet",
) -> Figure:
    """Draw averaged attention maps, half transparent, over the mean face of each cell.

    Args:
        maps: see `draw_average_maps`.
        mean_faces: uint8 or float (emotions, conditions, 48, 48), grey levels; NaN where the maps
            are.
        emotions: names of the rows.
        conditions: labels of the columns.
        bands: see `draw_average_maps`.
        covered: see `draw_average_maps`.
        colormap: see `draw_average_maps`.
    """
    figure, axes = _grid(emotions, conditions)
    # Mean faces have little contrast: black and white are the extremes of all of them.
    darkest, lightest = _limits(mean_faces)
    for cell, axis in np.ndenumerate(axes):
        axis.imshow(mean_faces[cell], cmap="gray", vmin=darkest, vmax=lightest)
    images = _draw_maps(axes, maps, colormap, OPACITY)
    _mark(figure, axes, bands, covered, "white")
    _add_scale(figure, axes, images[0])
    return figure


def draw_differences(
    differences: np.ndarray,
    emotions: Sequence[str],
    conditions: Sequence[str],
    bands: Mapping[str, slice],
    covered: Sequence[slice | None],
    reference: str,
) -> Figure:
    """Draw where attention is more (orange) or less (violet) than in the reference condition.

    Args:
        differences: float (emotions, conditions, 48, 48), difference of the share of a map's
            attention in each pixel: each map sums to 0. NaN in a cell without photographs.
        emotions: names of the rows.
        conditions: labels of the columns.
        bands: see `draw_average_maps`.
        covered: see `draw_average_maps`.
        reference: label of the condition that was subtracted.
    """
    figure, axes = _grid(emotions, conditions)
    furthest = max(map(abs, _limits(differences)))
    images = _draw_maps(axes, differences, _DIVERGING, 1.0, (-furthest, furthest))
    _mark(figure, axes, bands, covered, "0.35")
    label = f"share of attention in a pixel, minus that of “{reference}”"
    bar = _add_bar(figure, axes, images[0], label)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def _grid(emotions: Sequence[str], conditions: Sequence[str]) -> tuple[Figure, np.ndarray]:
    """Return a figure and its panels, (emotions, conditions), with their names and no ticks."""
    rows, columns = len(emotions), len(conditions)
    panel = _side(columns)
    names = column_names(conditions, panel)
    size = (_MARGIN + panel * columns, (panel + 0.04) * rows + names.height + 0.3)
    figure = Figure(figsize=size, layout="compressed")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], facecolor="0.94")
        axis.spines[:].set(linewidth=0.5, color="0.4")
    for axis, name in zip(axes[0], names.texts, strict=True):
        axis.set_title(name, fontsize=NORMAL if columns <= 5 else SMALL, rotation=names.rotation)
    for axis, emotion in zip(axes[:, 0], emotions, strict=True):
        axis.set_ylabel(emotion, fontsize=NORMAL)
    return figure, axes


def _side(columns: int) -> float:
    """Return the side of a panel in inches."""
    return min(1.7, (PAGE_WIDTH - _MARGIN) / columns)


def _draw_maps(
    axes: np.ndarray,
    maps: np.ndarray,
    colormap: str,
    opacity: float,
    limits: tuple[float, float] | None = None,
) -> list[AxesImage]:
    """Draw a map into each panel, all on the same scale, and return them."""
    low, high = limits or _limits(maps)
    images = []
    for cell, axis in np.ndenumerate(axes):
        images.append(axis.imshow(maps[cell], cmap=colormap, vmin=low, vmax=high, alpha=opacity))
        if np.isnan(maps[cell]).all():
            say_missing(axis, size=min(SMALL, 11 * _side(axes.shape[1])))
    return images


def _limits(maps: np.ndarray) -> tuple[float, float]:
    """Return the least and the largest number that is not NaN, never the same twice."""
    known = maps[~np.isnan(maps)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def _mark(
    figure: Figure,
    axes: np.ndarray,
    bands: Mapping[str, slice],
    covered: Sequence[slice | None],
    colour: str,
) -> None:
    """Draw the edges of the bands, brackets around what is covered, names, and what they mean."""
    for axis in axes.flat:
        for edge in band_edges(bands):
            axis.axhline(edge, color=colour, linewidth=0.5, linestyle=(0, (4, 3)))
    narrowest = min(rows.stop - rows.start for rows in bands.values())
    size = 72 * _side(axes.shape[1]) * narrowest / SIZE  # points
    for axis in axes[:, -1]:
        name_bands(axis, bands, min(SMALL, size))
    for column, rows in zip(axes.T, covered, strict=True):
        for axis in column if rows else ():
            _bracket(axis, rows)
    if any(covered):
        note = "dashed lines: the bands; brackets [ ]: the rows that the condition covers"
        figure.supxlabel(wrapped(note, figure.get_figwidth()), fontsize=SMALL)


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


def _add_scale(figure: Figure, axes: np.ndarray, image: AxesImage) -> None:
    """Add a colour bar for attention, which says which end is low and which is high."""
    bar = _add_bar(figure, axes, image, "attention (mean of min-max scaled maps)")
    low, high = image.get_clim()
    bar.set_ticks([low, high], labels=[f"low\n{low:.2g}", f"high\n{high:.2g}"], fontsize=SMALL)
    bar.solids.set_alpha(1)


def _add_bar(figure: Figure, axes: np.ndarray, image: AxesImage, label: str) -> Colorbar:
    """Add a colour bar at the right of all panels, 3.3 inches high if they are."""
    panels = figure.get_figheight() - 0.6  # inches
    height = min(3.3, panels)
    bar = figure.colorbar(image, ax=axes, shrink=height / panels, aspect=7 * height, pad=0.02)
    bar.set_label(wrapped(label, height), fontsize=SMALL)
    return bar
