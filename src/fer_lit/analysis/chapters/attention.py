"""Where the networks look: averaged attention maps of each emotion under each condition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fer_lit.analysis.averages import Attention
from fer_lit.analysis.chapter import Analysis, Chapter, Drawing, Finding, Table
from fer_lit.analysis.chapters.photographs import OPACITY, draw_samples
from fer_lit.analysis.report import style
from fer_lit.analysis.report.map_grid import add_bar, draw_maps, limits, map_grid, mark
from fer_lit.analysis.resolution import resolution_table
from fer_lit.analysis.settings import describe, finer_layer
from fer_lit.faces.occlusion import occlude
from fer_lit.paper import BAND_HEIGHT

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
