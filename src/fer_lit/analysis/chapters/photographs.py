"""Single photographs: what each condition shows, and where a network looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lit.analysis.cam import MapSettings, map_faces
from fer_lit.analysis.chapter import Analysis, Chapter, Drawing
from fer_lit.analysis.enlargement import enlarge, scale
from fer_lit.analysis.networks import Networks
from fer_lit.analysis.report import style
from fer_lit.faces.occlusion import occlude

OPACITY = 0.5
"""Of a map that lies over a face."""
EXAMPLES = 4
"""Photographs in Figure 2 that a condition's network got right, and as many that it got wrong."""
_CAPTION = (
    "Attention maps over single photographs (Figure 2 of the paper), by the first network of each "
    "condition: photographs that it gets right (solid frames) and wrong (dashed), drawn at random."
)
_LETTERS = 7.5  # points: as large as "surprise 97 %" can be under one of eight faces
_RIGHT, _WRONG = "#0072B2", "#D55E00"


class Example(NamedTuple):
    """One photograph under one condition.

    Attributes:
        condition: its label.
        face: uint8 (48, 48), as the network sees it.
        map: float (48, 48), its attention map, 0-1.
        label: the emotion that it shows.
        prediction: the emotion that the network sees.
        probability: of the prediction, 0-1.
    """

    condition: str
    face: np.ndarray
    map: np.ndarray
    label: str
    prediction: str
    probability: float

    @property
    def right(self) -> bool:
        """Whether the prediction is the label."""
        return self.prediction == self.label


def chapter(analysis: Analysis) -> Chapter | None:
    """Draw attention maps over a few of the mapped photographs."""
    networks, mapped = analysis.networks, analysis.mapped
    if not mapped:
        return None
    examples = [
        example
        for label in networks.conditions
        for example in find_examples(networks, label, mapped.indices, analysis.settings)
    ]
    if not examples:
        return None
    figure = draw_examples(examples, analysis.cfg.colormap)
    return Chapter("Single photographs", [Drawing("examples", figure, _CAPTION)])


def find_examples(
    networks: Networks, label: str, indices: np.ndarray, settings: MapSettings
) -> list[Example]:
    """Return right and wrong photographs of a condition's first network, none trained on.

    Args:
        networks: and their photographs.
        label: of the condition.
        indices: int64, (P,): the photographs to choose from.
        settings: how maps are made.
    """
    key = networks.keys(label)[0]
    faces, condition = networks.faces, networks.conditions[label]
    known = indices[networks.held_out[key][indices]]
    predictions = condition.runs[key[1]].predictions.set_index("image")
    predictions = predictions.loc[[faces.names[index] for index in known]]
    right = predictions["right"].to_numpy()
    random = np.random.default_rng(0)
    chosen = np.concatenate(
        [random.permutation(np.flatnonzero(group))[:EXAMPLES] for group in (right, ~right)]
    )
    if not len(chosen):
        return []
    own = known[chosen]
    covered = occlude(faces.pixels, condition.occlusion)[own]
    raw = map_faces([networks.trained[key]], covered, faces.labels[own], settings)[0]
    shown = predictions.iloc[chosen]
    certain = shown.filter(like="probability_").max(axis=1)
    centres = networks.trained[key].centres(settings.layer)
    maps = enlarge(scale(raw, centres)["scaled"], centres)
    said = zip(covered, maps, shown["label"], shown["prediction"], certain, strict=True)
    return [Example(label, *one) for one in said]


def draw_samples(faces: Mapping[str, np.ndarray], titles: Sequence[str]) -> Figure:
    """Draw the same faces in each condition, a column for each: Figure 1 of the paper.

    Args:
        faces: condition -> uint8 (K, 48, 48).
        titles: K names of the rows: the emotions of the faces.
    """
    rows, columns = len(titles), len(faces)
    panel = min(1.5, (style.PAGE_WIDTH - 0.4) / columns)
    names = style.column_names(list(faces), panel)
    size = (0.4 + panel * columns, (panel + 0.04) * rows + names.height + 0.1)
    figure = Figure(figsize=size, layout="compressed")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    axes = figure.subplots(rows, columns, squeeze=False)
    font_size = style.NORMAL if columns <= 5 else style.SMALL
    for column, name, pictures in zip(axes.T, names.texts, faces.values(), strict=True):
        column[0].set_title(name, fontsize=font_size, rotation=names.rotation)
        for axis, picture in zip(column, pictures, strict=True):
            draw_face(axis, picture)
    for axis, title in zip(axes[:, 0], titles, strict=True):
        axis.set_ylabel(title, fontsize=style.NORMAL)
    return figure


def draw_examples(examples: Sequence[Example], colormap: str = "jet") -> Figure:
    """Draw attention maps over single photographs: Figure 2 of the paper.

    Each condition has a row: first the photographs that its network got right, then those that it
    got wrong, in the order given. Up to eight in a row are readable.

    Args:
        examples: one or more photographs.
        colormap: one of Matplotlib's; red is high in the paper's, `jet`.
    """
    conditions = list(dict.fromkeys(example.condition for example in examples))
    groups = {
        right: [
            [e for e in examples if e.condition == name and e.right == right] for name in conditions
        ]
        for right in (True, False)
    }
    widths = {right: max(map(len, rows)) for right, rows in groups.items()}
    figure, axes = _example_grid(conditions, widths)
    first = 0
    for right, title in ((True, "✓ right"), (False, "✗ wrong")):
        if widths[right]:
            axes[0, first].set_title(title, loc="left", fontsize=style.NORMAL, fontweight="bold")
        for row, chosen in zip(axes[:, first:], groups[right], strict=True):
            for axis, example in zip(row, chosen, strict=False):
                _draw_example(axis, example, colormap)
        first += widths[right] + 1
    return figure


def _example_grid(
    conditions: Sequence[str], widths: Mapping[bool, int]
) -> tuple[Figure, np.ndarray]:
    """Return a figure and empty panels: the right ones, a gap, the wrong ones."""
    columns = sum(widths.values())
    panel = min(1.15, (style.PAGE_WIDTH - 0.6) / columns)
    size = (0.6 + panel * columns, (panel + 0.38) * len(conditions) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.04)
    ratios = [1] * widths[True] + [0.12] + [1] * widths[False]
    axes = figure.subplots(len(conditions), columns + 1, squeeze=False, width_ratios=ratios)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for axis, name in zip(axes[:, 0], conditions, strict=True):
        axis.set_ylabel(style.wrapped(name, panel), fontsize=style.NORMAL)
    return figure, axes


def _draw_example(axis: Axes, example: Example, colormap: str) -> None:
    draw_face(axis, example.face)
    draw_map(axis, example.map, colormap)
    caption = f"{example.prediction} {style.percent(example.probability, 0)}"
    caption += "" if example.right else f"\nis {example.label}"
    axis.set_xlabel(caption, fontsize=_LETTERS, labelpad=2)
    axis.spines[:].set(
        visible=True,
        linewidth=1.5,
        color=_RIGHT if example.right else _WRONG,
        linestyle="-" if example.right else (0, (2, 1)),
        capstyle="butt",  # others would fill the gaps between the dashes
    )


def draw_face(axis: Axes, face: np.ndarray) -> None:
    """Draw a face, uint8, (48, 48), without a frame."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.imshow(face, cmap="gray", vmin=0, vmax=255)


def draw_map(axis: Axes, attention: np.ndarray, colormap: str) -> None:
    """Draw a map, 0–1, (48, 48), over a face."""
    axis.imshow(attention, cmap=colormap, vmin=0, vmax=1, alpha=OPACITY)
