"""Maps made by hand."""

from __future__ import annotations

from fer_lit.faces.face_set import SIZE


def even(side: int) -> list[float]:
    """Return the centres of cells that tile the face evenly."""
    return [(cell + 0.5) * SIZE / side - 0.5 for cell in range(side)]
