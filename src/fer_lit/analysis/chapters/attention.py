"""Where the networks look: averaged attention maps of each emotion under each condition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke

from fer_lit.analysis.averages import Attention
from fer_lit.analysis.chapter import Analysis, Chapter, Drawing, Finding, Table
from fer_lit.analysis.chapters.photographs import OPACITY, draw_samples
from fer_lit.analysis.report import style
from fer_lit.analysis.resolution import resolution_table
from fer_lit.analysis.settings import describe, finer_layer
from fer_lit.faces.face_set import SIZE
from fer_lit.faces.occlusion import occlude
from fer_lit.paper import BAND_HEIGHT, BANDS

if TYPE_CHECKING:
    from fer_lit.analysis.averages import MappedPhotographs
    from fer_lit.analysis.cam import MapSettings
    from fer_lit.analysis.networks import Networks, TrainedNetwork

_TABLE_CAPTION = (
    "The averaged maps: photographs, pairs of a photograph and a network that did not train on it, "
    "and how many of their maps are zero everywhere."
)
_RESOLUTION_CAPTION = (
    "How finely the maps can tell rows of the face apart: cells a side, rows from one cell to the "
    "next, rows of the outermost cells, and blur: the standard deviation, in rows, of the energy "
    "of the gradient with which a cell answers to the pixels."
)
_MAPS_CAPTION = (
    "Averaged attention maps (Figure 3 of the paper): means of maps scaled to 0–1 each. Brackets "
    "mark the band that a condition covers."
)
_OVER_FACES_CAPTION = "The same maps over the mean of the faces, as the networks see them."
_SAMPLES_CAPTION = "Sample faces in each condition (Figure 1 of the paper)."
_MARGIN = 1.6  # inches: emotions on the left, names of bands and the colour bar on the right


def chapter(analysis: Analysis) -> Chapter | None:
    """Show sample faces and the averaged maps, and keep the maps in `attention.npz`."""
    networks, mapped = analysis.networks, analysis.mapped
    if not mapped:
        return None
    attention, colormap = mapped.attention, analysis.cfg.colormap
    means, faces = attention.enlarged("scaled"), _mean_faces(networks, mapped)
    marks = attention.emotions, attention.conditions, networks.covered_rows
    maps = draw_average_maps(means, *marks, colormap)
    over_faces = draw_average_maps(means, *marks, colormap, faces)
    resolution = resolution_table(networks, analysis.settings.layer, mapped.indices)
    return Chapter(
        "Where the networks look",
        [
            Drawing("samples", _samples(networks, mapped), _SAMPLES_CAPTION),
            Drawing("maps", maps, _MAPS_CAPTION),
            Drawing("maps_over_faces", over_faces, _OVER_FACES_CAPTION),
        ],
        [
            Table("maps", maps_table(attention), {_TABLE_CAPTION: None}),
            Table("resolution", resolution, {_RESOLUTION_CAPTION: None}),
        ],
        [_how_fine(analysis.settings, networks.trained.values(), resolution)],
        notes=_notes_on_seeds(networks),
        files={"attention.npz": attention.save},
    )


def _how_fine(
    settings: MapSettings, networks: Collection[TrainedNetwork], resolution: pd.DataFrame
) -> Finding:
    """Say which maps these are, how finely they see, and which would be finer."""
    spacing, spread = resolution[["spacing", "blur"]].max()
    text = (
        f"Attention is {describe(settings, networks)}. A cell is {spacing:.1f} rows of the face "
        f"from the next and answers to what lies around it with a standard deviation of "
        f"{spread:.1f} rows; a band has {BAND_HEIGHT}."
    )
    if finer := finer_layer(settings.layer, networks):
        text += (
            f" Finer: layer={finer}, whose maps pass through more blocks and have checks of their "
            "own."
        )
    return Finding(text)


def maps_table(attention: Attention) -> pd.DataFrame:
    """Return what is behind each averaged map.

    Returns:
        One row for each condition and emotion with photographs: `condition`, `emotion`,
        `photographs`, `pairs` of a photograph and a network, and `all_zero_share`, 0–1, of these.
    """
    cells = pd.MultiIndex.from_product(
        [attention.conditions, attention.emotions], names=["condition", "emotion"]
    )
    numbers = {
        "photographs": attention.photographs,
        "pairs": attention.pairs,
        "all_zero_share": attention.zero_share,
    }
    table = pd.DataFrame({name: values.T.ravel() for name, values in numbers.items()}, index=cells)
    return table[table["photographs"] > 0].reset_index()


def _notes_on_seeds(networks: Networks) -> list[str]:
    seeds = [{seed for _, seed in networks.keys(label)} for label in networks.conditions]
    notes = []
    if any(own != seeds[0] for own in seeds):
        notes.append(
            "the conditions have networks of different seeds, so that changes of attention and "
            "transfer compare networks of different splits"
        )
    if all(len(own) == 1 for own in seeds):
        notes.append(
            "there is one network per condition: intervals are over photographs, and how much the "
            "maps of other seeds differ is not known (train more with seed=0,1,2,3,4)"
        )
    return notes


def _samples(networks: Networks, mapped: MappedPhotographs) -> Figure:
    """Draw the first mapped photograph of each emotion in each condition."""
    known, first = np.unique(mapped.labels, return_index=True)
    faces = {
        label: occlude(networks.faces.pixels, one.occlusion)[mapped.indices[first]]
        for label, one in networks.conditions.items()
    }
    return draw_samples(faces, [networks.faces.classes[label] for label in known])


def _mean_faces(networks: Networks, mapped: MappedPhotographs) -> np.ndarray:
    """Return the mean of the mapped photographs in each cell, (E, C, 48, 48); NaN without any."""
    pixels = networks.faces.pixels
    means = np.full(mapped.attention.photographs.shape + pixels.shape[1:], np.nan)
    for column, condition in enumerate(networks.conditions.values()):
        seen = occlude(pixels, condition.occlusion)[mapped.indices]
        for label in np.unique(mapped.labels):
            means[label, column] = seen[mapped.labels == label].mean(axis=0)
    return means


def draw_average_maps(
    maps: np.ndarray,
    emotions: Sequence[str],
    conditions: Sequence[str],
    covered: Sequence[slice | None],
    colormap: str = "jet",
    faces: np.ndarray | None = None,
) -> Figure:
    """Draw averaged attention maps, all on one scale of colours: Figure 3 of the paper.

    Args:
        maps: float (emotions, conditions, 48, 48), any unit; NaN in a cell without photographs.
        emotions: names of the rows.
        conditions: labels of the columns.
        covered: the rows that each condition covers, marked by brackets; None where it covers none.
        colormap: one of Matplotlib's; the paper's is `jet`, red where attention is highest.
        faces: the mean face of each cell, over which its map is half transparent: uint8 or float
            (emotions, conditions, 48, 48), grey levels; NaN where the maps are.
    """
    figure, axes = map_grid(emotions, conditions)
    if faces is not None:
        # Mean faces have little contrast: black and white are the extremes of all of them.
        darkest, lightest = limits(faces)
        for cell, axis in np.ndenumerate(axes):
            axis.imshow(faces[cell], cmap="gray", vmin=darkest, vmax=lightest)
    image = draw_maps(axes, maps, colormap, 1.0 if faces is None else OPACITY)
    mark(figure, axes, covered, "white")
    bar = add_bar(figure, axes, image, "attention (mean of min-max scaled maps)")
    low, high = image.get_clim()
    ends = [f"low\n{low:.2g}", f"high\n{high:.2g}"]
    bar.set_ticks([low, high], labels=ends, fontsize=style.SMALL)
    bar.solids.set_alpha(1)
    return figure


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
