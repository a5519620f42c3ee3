"""Figures of single photographs: what each condition shows, and where a network looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lit.analysis.figures.maps import OPACITY
from fer_lit.analysis.figures.style import (
    NORMAL,
    PAGE_WIDTH,
    SMALL,
    column_names,
    percent,
    style_axis,
    wrapped,
)

_CAPTION = 7.5  # points: as large as "surprise 97 %" can be under one of eight faces
_RIGHT, _WRONG = "#0072B2", "#D55E00"


class Seen(NamedTuple):
    """A picture under one condition.

    Attributes:
        face: uint8 (48, 48), with the band applied.
        map: float (48, 48), 0-1: mean over the networks of the attention map of the prediction.
        probabilities: float (classes,), 0-1, mean over the networks.
    """

    face: np.ndarray
    map: np.ndarray
    probabilities: np.ndarray


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


def draw_samples(faces: Mapping[str, np.ndarray], titles: Sequence[str]) -> Figure:
    """Draw the same faces in each condition, a column a condition: Figure 1 of the paper.

    Args:
        faces: condition -> uint8 (K, 48, 48).
        titles: K names of the rows: the emotions of the faces.
    """
    rows, columns = len(titles), len(faces)
    panel = min(1.5, (PAGE_WIDTH - 0.4) / columns)
    names = column_names(list(faces), panel)
    size = (0.4 + panel * columns, (panel + 0.04) * rows + names.height + 0.1)
    figure = Figure(figsize=size, layout="compressed")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    axes = figure.subplots(rows, columns, squeeze=False)
    font_size = NORMAL if columns <= 5 else SMALL
    for column, name, pictures in zip(axes.T, names.texts, faces.values(), strict=True):
        column[0].set_title(name, fontsize=font_size, rotation=names.rotation)
        for axis, picture in zip(column, pictures, strict=True):
            _draw_face(axis, picture)
    for axis, title in zip(axes[:, 0], titles, strict=True):
        axis.set_ylabel(title, fontsize=NORMAL)
    return figure


def draw_examples(examples: Sequence[Example], colormap: str = "jet") -> Figure:
    """Draw attention maps over single photographs: Figure 2 of the paper.

    Each condition has a row: first the photographs that its network got right, then those that it
    got wrong, in the order given. Up to eight a row are readable.

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
            axes[0, first].set_title(title, loc="left", fontsize=NORMAL, fontweight="bold")
        for row, chosen in zip(axes[:, first:], groups[right], strict=True):
            for axis, example in zip(row, chosen, strict=False):
                _draw_example(axis, example, colormap)
        first += widths[right] + 1
    return figure


def draw_own_picture(
    name: str, seen: Mapping[str, Seen], classes: Sequence[str], colormap: str = "jet"
) -> Figure:
    """Draw one picture under each condition, a column a condition.

    From the top: the face with its band, the attention map over it, and the probabilities.

    Args:
        name: of the picture.
        seen: condition -> what its networks see.
        classes: the emotions.
        colormap: one of Matplotlib's.
    """
    panel = min(1.6, (PAGE_WIDTH - 0.8) / len(seen))
    names = column_names(list(seen), panel)
    bars = 0.5 + 0.17 * len(classes)
    size = (0.8 + panel * len(seen), 2 * panel + bars + names.height + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(name, fontsize=NORMAL)
    axes = figure.subplots(3, len(seen), squeeze=False, height_ratios=[panel, panel, bars])
    for column, text, one in zip(axes.T, names.texts, seen.values(), strict=True):
        column[0].set_title(text, fontsize=NORMAL, rotation=names.rotation)
        _draw_face(column[0], one.face)
        _draw_face(column[1], one.face)
        column[1].imshow(one.map, cmap=colormap, vmin=0, vmax=1, alpha=OPACITY)
        _draw_probabilities(column[2], one.probabilities, classes)
    for axis in axes[2, 1:]:
        axis.set_yticklabels([])
    return figure


def _draw_probabilities(axis: Axes, values: np.ndarray, classes: Sequence[str]) -> None:
    style_axis(axis)
    bars = axis.barh(classes, 100 * values, color="#0072B2", height=0.65)
    axis.bar_label(bars, [f"{100 * value:.0f}" for value in values], padding=2, fontsize=SMALL)
    axis.set(xlim=(0, 125), xticks=(0, 50, 100))
    axis.invert_yaxis()
    axis.set_xlabel("probability, %", fontsize=SMALL)


def _example_grid(
    conditions: Sequence[str], widths: Mapping[bool, int]
) -> tuple[Figure, np.ndarray]:
    """Return a figure and empty panels: the right ones, a gap, the wrong ones."""
    columns = sum(widths.values())
    panel = min(1.15, (PAGE_WIDTH - 0.6) / columns)
    size = (0.6 + panel * columns, (panel + 0.38) * len(conditions) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.04)
    ratios = [1] * widths[True] + [0.12] + [1] * widths[False]
    axes = figure.subplots(len(conditions), columns + 1, squeeze=False, width_ratios=ratios)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for axis, name in zip(axes[:, 0], conditions, strict=True):
        axis.set_ylabel(wrapped(name, panel), fontsize=NORMAL)
    return figure, axes


def _draw_example(axis: Axes, example: Example, colormap: str) -> None:
    _draw_face(axis, example.face)
    axis.imshow(example.map, cmap=colormap, vmin=0, vmax=1, alpha=OPACITY)
    caption = f"{example.prediction} {percent(example.probability, 0)}"
    caption += "" if example.right else f"\nis {example.label}"
    axis.set_xlabel(caption, fontsize=_CAPTION, labelpad=2)
    axis.spines[:].set(
        visible=True,
        linewidth=1.5,
        color=_RIGHT if example.right else _WRONG,
        linestyle="-" if example.right else (0, (2, 1)),
        capstyle="butt",  # others would fill the gaps between the dashes
    )


def _draw_face(axis: Axes, face: np.ndarray) -> None:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.imshow(face, cmap="gray", vmin=0, vmax=255)
