"""Figures as files, with what they show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from fer_lit.analysis.figures.files import save_figure


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        path: a PNG; its dots per inch say how large it is shown.
        caption: one or more sentences, without "Figure 1."; said in place of the picture to those
            who do not see it.
    """

    path: Path
    caption: str


def save_pictures(folder: Path, drawn: Mapping[str, tuple[Figure, str]]) -> dict[str, Picture]:
    """Save figures with their captions, by name, as PNG and PDF."""
    return {
        name: Picture(save_figure(figure, folder, name), caption)
        for name, (figure, caption) in drawn.items()
    }
