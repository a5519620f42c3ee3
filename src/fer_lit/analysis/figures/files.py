"""Figures as files: a PNG for the screen and the report, a PDF for a paper."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from fer_lit.files import replacing

DPI = 200
_PDF = {
    "pdf.fonttype": 42,  # TrueType: many publishers refuse Type 3, the default
    # Otherwise Matplotlib merges images that lie on each other, and applies their opacity twice.
    "image.composite_image": False,
}


def save_figure(figure: Figure, folder: Path, name: str) -> Path:
    """Write `name.png`, 200 dpi, and `name.pdf`, with its fonts embedded as TrueType.

    Args:
        figure: what to write.
        folder: where to; it exists.
        name: of the files, without an ending.

    Returns:
        The path of the PNG.
    """
    png, pdf = folder / f"{name}.png", folder / f"{name}.pdf"
    with replacing(png) as aside:
        figure.savefig(aside, format="png", dpi=DPI)
    with replacing(pdf) as aside, rc_context(_PDF):
        figure.savefig(aside, format="pdf", dpi=DPI)
    return png
