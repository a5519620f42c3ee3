"""Attention maps averaged over photographs and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from fer_lit.faces.face_set import SIZE
from fer_lit.files import replacing

SCALINGS = ("scaled", "raw", "mass")
"""What an average is of: maps scaled to 0–1 each (the paper's), maps as they are after the ReLU,
and maps scaled so that, enlarged to a face, they sum to 1. All-zero maps have no mass and are left
out of the last."""


@lru_cache(maxsize=4)
def enlargement(side: int) -> np.ndarray:
    """Return linear interpolation from `side` cells to 48 pixels along one axis, (48, side).

    A map m becomes `e @ m @ e.T`, which is what `torch.nn.functional.interpolate` (bilinear) gives.
    """
    cells = torch.eye(side, dtype=torch.float64).unsqueeze(1)
    rows = torch.nn.functional.interpolate(cells, SIZE, mode="linear", align_corners=False)
    return rows[:, 0].T.numpy()


def enlarge(maps: np.ndarray) -> np.ndarray:
    """Return maps of (..., h, h) as (..., 48, 48)."""
    matrix = enlargement(maps.shape[-1])
    return matrix @ maps @ matrix.T


def scale(raw: np.ndarray) -> dict[str, np.ndarray]:
    """Return maps of 0 or more, (..., h, h), in each of the `SCALINGS`.

    An all-zero map stays so, but its mass, which there is none of, is NaN.
    """
    lowest = raw.min(axis=(-2, -1), keepdims=True)
    span = raw.max(axis=(-2, -1), keepdims=True) - lowest
    column = enlargement(raw.shape[-1]).sum(axis=0)
    total = (raw * np.outer(column, column)).sum(axis=(-2, -1), keepdims=True)
    with np.errstate(invalid="ignore"):  # 0 / 0
        scaled, mass = (raw - lowest) / span, raw / total
    return {"scaled": np.where(span == 0, 0, scaled), "raw": raw, "mass": mass}


@dataclass(frozen=True)
class Attention:
    """Averaged maps of E emotions under C conditions, of h×h cells.

    Attributes:
        emotions: E names.
        conditions: C labels.
        mean: by scaling, float64, (E, C, h, h). Each photograph counts once, with the average of
            its maps over the checkpoints; NaN where there is no photograph.
        sd_photographs: by scaling, the standard deviation of these maps over photographs.
        sd_checkpoints: by scaling, the standard deviation of the checkpoints' own average maps;
            NaN for a single checkpoint.
        photographs: int64, (E, C).
        pairs: int64, (E, C): pairs of a photograph and a checkpoint that did not train on it.
        zero_share: float64, (E, C): share of the pairs whose map is zero everywhere.
    """

    emotions: tuple[str, ...]
    conditions: tuple[str, ...]
    mean: dict[str, np.ndarray]
    sd_photographs: dict[str, np.ndarray]
    sd_checkpoints: dict[str, np.ndarray]
    photographs: np.ndarray
    pairs: np.ndarray
    zero_share: np.ndarray

    def save(self, path: Path) -> None:
        """Write an `.npz` file; `mean` has an array a scaling there: `mean_scaled` and so on."""
        arrays = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, dict):
                arrays |= {f"{field.name}_{scaling}": maps for scaling, maps in value.items()}
            else:
                arrays[field.name] = np.array(value)
        with replacing(path) as aside, aside.open("wb") as file:
            np.savez_compressed(file, **arrays)


class ConditionAverage:
    """Adds up the maps of one condition, photograph by photograph.

    Args:
        emotions: number of emotions.
        checkpoints: number of checkpoints.
        side: height and width of the maps in cells.
    """

    def __init__(self, emotions: int, checkpoints: int, side: int):
        shape = (emotions, side, side)
        self._sum = {scaling: np.zeros(shape) for scaling in SCALINGS}
        self._squares = {scaling: np.zeros(shape) for scaling in SCALINGS}
        self._by_checkpoint = {s: np.zeros((checkpoints, *shape)) for s in SCALINGS}
        self._count = {scaling: np.zeros(emotions, int) for scaling in SCALINGS}
        self._checkpoint_count = {s: np.zeros((checkpoints, emotions), int) for s in SCALINGS}
        self._zeros = np.zeros(emotions, int)

    def add(self, raw: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Add photographs.

        Args:
            raw: maps of 0 or more, (checkpoints, B, h, h), NaN where a checkpoint has trained on
                the photograph.
            labels: int64, (B,).

        Returns:
            The photographs' average maps of mass, (B, h, h); NaN where all are zero.
        """
        there = ~np.isnan(raw[:, :, 0, 0])
        np.add.at(self._zeros, labels, ((raw == 0).all(axis=(2, 3)) & there).sum(axis=0))
        for scaling, maps in scale(raw).items():
            average = self._add(scaling, maps, labels)
        return average  # of the last scaling, mass

    def _add(self, scaling: str, maps: np.ndarray, labels: np.ndarray) -> np.ndarray:
        there = ~np.isnan(maps[:, :, 0, 0])
        maps = np.where(there[:, :, None, None], maps, 0)
        count = there.sum(axis=0)
        with np.errstate(invalid="ignore"):  # 0 / 0 where no checkpoint has a map
            average = maps.sum(axis=0) / count[:, None, None]
        kept = count > 0
        np.add.at(self._sum[scaling], labels[kept], average[kept])
        np.add.at(self._squares[scaling], labels[kept], average[kept] ** 2)
        np.add.at(self._count[scaling], labels[kept], 1)
        for checkpoint, own in enumerate(maps):
            np.add.at(self._by_checkpoint[scaling][checkpoint], labels, own)
            np.add.at(self._checkpoint_count[scaling][checkpoint], labels, there[checkpoint])
        return average

    def mean(self, scaling: str) -> np.ndarray:
        """Return the average over photographs, (E, h, h)."""
        return _divide(self._sum[scaling], self._count[scaling])

    def sd_photographs(self, scaling: str) -> np.ndarray:
        """Return the standard deviation over photographs, (E, h, h)."""
        count = self._count[scaling]
        variance = _divide(self._squares[scaling], count) - self.mean(scaling) ** 2
        unbiased = _divide(variance.clip(min=0) * count[:, None, None], count - 1)
        return np.sqrt(unbiased)

    def sd_checkpoints(self, scaling: str) -> np.ndarray:
        """Return the standard deviation of the checkpoints' averages, (E, h, h)."""
        averages = self.checkpoint_means(scaling)
        count = (self._checkpoint_count[scaling] > 0).sum(axis=0)
        middle = _divide(np.nansum(averages, axis=0), count)
        return np.sqrt(_divide(np.nansum((averages - middle) ** 2, axis=0), count - 1))

    def checkpoint_means(self, scaling: str) -> np.ndarray:
        """Return each checkpoint's own average, (checkpoints, E, h, h); NaN where it has none."""
        return _divide(self._by_checkpoint[scaling], self._checkpoint_count[scaling])

    @property
    def photographs(self) -> np.ndarray:
        """Number of photographs, (E,)."""
        return self._count["raw"]

    @property
    def pairs(self) -> np.ndarray:
        """Number of photographs and checkpoints, (E,)."""
        return self._checkpoint_count["raw"].sum(axis=0)

    @property
    def zero_share(self) -> np.ndarray:
        """Share of the pairs whose map is zero everywhere, (E,)."""
        return _divide(self._zeros[:, None, None].astype(float), self.pairs)[:, 0, 0]


def collect(
    emotions: Sequence[str], conditions: Sequence[str], averages: Sequence[ConditionAverage]
) -> Attention:
    """Return the averages of all conditions side by side."""

    def by_scaling(name: str) -> dict[str, np.ndarray]:
        return {
            scaling: np.stack([getattr(one, name)(scaling) for one in averages], axis=1)
            for scaling in SCALINGS
        }

    return Attention(
        tuple(emotions),
        tuple(conditions),
        by_scaling("mean"),
        by_scaling("sd_photographs"),
        by_scaling("sd_checkpoints"),
        np.stack([one.photographs for one in averages], axis=1),
        np.stack([one.pairs for one in averages], axis=1),
        np.stack([one.zero_share for one in averages], axis=1),
    )


def mean_known(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean along an axis of what is not NaN; NaN, and no warning, where all are."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # 0 / 0
        return np.where(known, values, 0).sum(axis=axis) / known.sum(axis=axis)


def _divide(sums: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return sums of (..., h, w) divided by counts of (...); NaN where there is nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count[..., None, None] > 0, sums / count[..., None, None], np.nan)
