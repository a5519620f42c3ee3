"""What figures and sentences have in common: sizes for print, colours, bands, legends, numbers."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lit.files import replacing

PAGE_WIDTH = 7.0
"""Inches. On a page 17 cm wide this becomes 6.7 in, so `SMALL` stays above 7 pt."""
SMALL, NORMAL = 8, 9
"""Font sizes in points: of ticks, captions and legends; of titles and axis labels."""
DPI = 200

_CHARACTER = 0.58 * SMALL / 72  # inches: the mean width of a small character
# Okabe and Ito's colours for all kinds of colour vision, the strongest on white paper first; their
# yellow is darker here, or nobody would see it.
_COLOURS = (
    *("#000000", "#D55E00", "#0072B2", "#009E73"),
    *("#E69F00", "#CC79A7", "#56B4E9", "#B3A800"),
)
# Five and seven have no factor in common with the eight colours: no look comes back early.
_LINES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (9, 2)))
_MARKERS = "osD^vPX"
_PDF = {
    "pdf.fonttype": 42,  # TrueType: many publishers refuse Type 3, the default
    # Otherwise Matplotlib merges images that lie on each other, and applies their opacity twice.
    "image.composite_image": False,
}


class Look(NamedTuple):
    """How one of several things is drawn, told apart by more than its colour."""

    colour: str
    line: Any
    marker: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a look for each name."""
    parts = zip(names, cycle(_COLOURS), cycle(_LINES), cycle(_MARKERS), strict=False)
    return {name: Look(*own) for name, *own in parts}


def percent(share: float, decimals: int = 1) -> str:
    """Return a share, 0–1, as `72.0 %`."""
    return f"{points(share, decimals)} %"


def points(share: float, decimals: int = 1) -> str:
    """Return a share or a difference of shares in percentage points, as `−1.3`."""
    return f"{100 * share:.{decimals}f}".replace("-", "−")


def p_value(p: float) -> str:
    """Return `p = 0.012`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def wrapped(text: str, inches: float) -> str:
    """Break a text that is set in `SMALL` into lines of a width."""
    return textwrap.fill(text, max(8, int(inches / _CHARACTER)), break_on_hyphens=False)


class ColumnNames(NamedTuple):
    """Names above or below columns: broken into lines, or upright if a word does not fit."""

    texts: list[str]
    rotation: int  # degrees
    height: float  # inches


def column_names(labels: Sequence[str], inches: float) -> ColumnNames:
    """Fit labels to columns of a width."""
    longest = max(len(word) for label in labels for word in label.split())
    if longest * _CHARACTER > inches:
        return ColumnNames(list(labels), 90, _CHARACTER * max(map(len, labels)))
    texts = [wrapped(label, inches) for label in labels]
    return ColumnNames(texts, 0, 0.16 * max(text.count("\n") + 1 for text in texts))


def style_axis(axis: Axes) -> None:
    """Give an axis small ticks and labels, and a frame that stays in the background."""
    axis.tick_params(labelsize=SMALL, width=0.6, length=2.5)
    for text in (axis.xaxis.label, axis.yaxis.label, axis.title):
        text.set_size(NORMAL)
    axis.spines[:].set(linewidth=0.6, color="0.4")


def panels(figure: Figure, count: int, most: int) -> tuple[list[Axes], int]:
    """Divide a figure into `count` panels with common axes, at most `most` beside each other.

    Return the panels, row by row, and how many a row has. The last that many are those with nothing
    beneath them.
    """
    columns, rows = panel_grid(count, most)
    axes = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    for axis in axes[max(0, count - columns) : count]:
        axis.tick_params(labelbottom=True)
    return axes[:count], columns


def panel_grid(count: int, most: int) -> tuple[int, int]:
    """Return columns and rows for panels, at most `most` beside each other, evenly filled."""
    rows = math.ceil(count / most)
    return math.ceil(count / rows), rows


def band_edges(bands: Mapping[str, slice]) -> list[float]:
    """Return where bands begin and end on an axis that numbers the middles of pixels."""
    ends = {row for rows in bands.values() for row in (rows.start, rows.stop)}
    return [row - 0.5 for row in sorted(ends)]


def name_bands(axis: Axes, bands: Mapping[str, slice], size: float = SMALL) -> None:
    """Write the bands' names beside the right edge of an axis whose y are the rows of a face."""
    font = {"textcoords": "offset points", "va": "center", "fontsize": size}
    for name, rows in bands.items():
        middle = (rows.start + rows.stop - 1) / 2
        axis.annotate(name, (1, middle), (3, 0), ("axes fraction", "data"), **font)


def say_missing(axis: Axes, size: float = SMALL) -> None:
    """Write into a panel that it has nothing to show."""
    font = {"ha": "center", "va": "center", "fontsize": size, "color": "0.3"}
    box = {"facecolor": "0.94", "linewidth": 0, "pad": 2}
    # over the marks of bands
    axis.text(0.5, 0.5, "no\nphotographs", transform=axis.transAxes, bbox=box, zorder=5, **font)


def legend_below(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Put a legend under all panels, in as few lines as the figure's width has room for."""
    width = figure.get_figwidth()
    most = next((n for n in range(len(labels), 1, -1) if _legend_width(labels, n) < width), 1)
    columns = math.ceil(len(labels) / math.ceil(len(labels) / most))
    look = {"fontsize": SMALL, "frameon": False, "handlelength": 2.6}
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, **look)


def _legend_width(labels: Sequence[str], columns: int) -> float:
    """Estimate, in inches, the width of a legend, which Matplotlib fills column by column."""
    filled = np.array_split(np.array(labels), columns)
    return sum(0.7 + _CHARACTER * max(map(len, column)) for column in filled)


def save_figure(figure: Figure, folder: Path, name: str) -> Path:
    """Write `name.png`, 200 dpi, and `name.pdf`, with its fonts embedded as TrueType.

    Return the path of the PNG.
    """
    png, pdf = folder / f"{name}.png", folder / f"{name}.pdf"
    with replacing(png) as aside:
        figure.savefig(aside, format="png", dpi=DPI)
    figure.set_layout_engine("none")  # it is laid out, which takes a third of the time
    with replacing(pdf) as aside, rc_context(_PDF):
        figure.savefig(aside, format="pdf", dpi=DPI)
    return png
