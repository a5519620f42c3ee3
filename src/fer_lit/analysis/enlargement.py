"""Maps of a few cells, enlarged to the 48×48 face from where their cells lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from fer_lit.faces.face_set import SIZE

SCALINGS = ("scaled", "raw", "mass")
"""What an average is of: maps scaled to 0–1 each (the paper's), maps as they are after the ReLU,
and maps scaled so that, enlarged to a face, they sum to 1. All-zero maps have no mass and are left
out of the last."""
Centres = Sequence[float]
"""Where the h rows (and columns) of a map's cells have their centres: rows of the face, whose first
is 0 (see `TrainedNetwork.centres`)."""


@lru_cache(maxsize=8)
def _enlargement(centres: tuple[float, ...]) -> np.ndarray:
    cells = np.eye(len(centres))
    return np.stack([np.interp(np.arange(SIZE), centres, cell) for cell in cells], axis=1)


def enlargement(centres: Centres) -> np.ndarray:
    """Return linear interpolation from cells to the 48 rows of the face, (48, h).

    A map m becomes `e @ m @ e.T`. Beyond the outermost centres it is constant. Where the cells
    tile the face evenly this is `torch.nn.functional.interpolate` (bilinear).
    """
    return _enlargement(tuple(centres))


def enlarge(maps: np.ndarray, centres: Centres) -> np.ndarray:
    """Return maps of (..., h, h) as (..., 48, 48)."""
    matrix = enlargement(centres)
    return matrix @ maps @ matrix.T


def scale(raw: np.ndarray, centres: Centres) -> dict[str, np.ndarray]:
    """Return maps of 0 or more, (..., h, h), in each of the `SCALINGS`.

    An all-zero map stays so, but its mass, which there is none of, is NaN.
    """
    lowest = raw.min(axis=(-2, -1), keepdims=True)
    span = raw.max(axis=(-2, -1), keepdims=True) - lowest
    column = enlargement(centres).sum(axis=0)
    total = (raw * np.outer(column, column)).sum(axis=(-2, -1), keepdims=True)
    with np.errstate(invalid="ignore"):  # 0 / 0
        scaled, mass = (raw - lowest) / span, raw / total
    return {"scaled": np.where(span == 0, 0, scaled), "raw": raw, "mass": mass}


def row_shares(mass: np.ndarray, centres: Centres) -> np.ndarray:
    """Return how much of each map's mass, (…, h, h), lies in each row of the face, (…, 48)."""
    matrix = enlargement(centres)
    return mass @ matrix.sum(axis=0) @ matrix.T
