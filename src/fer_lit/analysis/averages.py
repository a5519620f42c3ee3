"""Attention maps averaged over photographs and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np

from fer_lit.analysis.enlargement import SCALINGS, Centres, enlarge, row_shares, scale
from fer_lit.files import replacing


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
        centres: float64, (C, h): where the cells lie (see `enlargement.Centres`).
    """

    emotions: tuple[str, ...]
    conditions: tuple[str, ...]
    mean: dict[str, np.ndarray]
    sd_photographs: dict[str, np.ndarray]
    sd_checkpoints: dict[str, np.ndarray]
    photographs: np.ndarray
    pairs: np.ndarray
    zero_share: np.ndarray
    centres: np.ndarray

    def enlarged(self, scaling: str) -> np.ndarray:
        """Return the `mean` of a scaling on the face, (E, C, 48, 48)."""
        columns = zip(self.mean[scaling].swapaxes(0, 1), self.centres, strict=True)
        return np.stack([enlarge(maps, centres) for maps, centres in columns], axis=1)

    def save(self, path: Path) -> None:
        """Write an `.npz` file, where `mean` is one array per scaling: `mean_scaled` and so on."""
        arrays = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, dict):
                arrays |= {f"{field.name}_{scaling}": maps for scaling, maps in value.items()}
            else:
                arrays[field.name] = np.array(value)
        with replacing(path) as aside, aside.open("wb") as file:
            np.savez_compressed(file, **arrays)


@dataclass(frozen=True)
class MappedPhotographs:
    """Attention to P photographs under C conditions.

    Attributes:
        indices: int64, (P,), ascending: which faces.
        labels: int64, (P,).
        rows: float64, (C, P, 48): share of the attention mass in each row of the face, averaged
            over checkpoints; NaN where all maps are zero.
        checkpoint_rows: for each condition float64, (checkpoints, E, 48): the same, averaged over
            each checkpoint's own photographs of an emotion.
        attention: the averages over the photographs.
    """

    indices: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    checkpoint_rows: tuple[np.ndarray, ...]
    attention: Attention


def average_maps(
    maps: Mapping[str, np.ndarray],
    centres: Mapping[str, Centres],
    indices: np.ndarray,
    labels: np.ndarray,
    emotions: Sequence[str],
) -> MappedPhotographs:
    """Average the maps of P photographs over checkpoints, and by emotion.

    Args:
        maps: by condition, 0 or more, (checkpoints, P, h, h); NaN where a checkpoint has trained on
            the photograph.
        centres: by condition, h places each.
        indices: int64, (P,), ascending: which faces the photographs are.
        labels: int64, (P,).
        emotions: E names.
    """
    parts = [labels == label for label in range(len(emotions))]
    averages, rows, checkpoint_rows = [], [], []
    for condition, own in maps.items():
        places = centres[condition]
        scaled = scale(own.astype(float), places)
        photographs = {scaling: mean_known(one, axis=0) for scaling, one in scaled.items()}
        checkpoints = {scaling: _of_checkpoints(one, parts) for scaling, one in scaled.items()}
        averages.append(
            {
                "mean": _by_emotion(photographs, parts, partial(mean_known, axis=0)),
                "sd_photographs": _by_emotion(photographs, parts, _deviation),
                "sd_checkpoints": {name: _deviation(one) for name, one in checkpoints.items()},
            }
        )
        rows.append(row_shares(photographs["mass"], places))
        checkpoint_rows.append(row_shares(checkpoints["mass"], places))
    by_scaling = {
        name: {
            scaling: np.stack([average[name][scaling] for average in averages], axis=1)
            for scaling in SCALINGS
        }
        for name in averages[0]
    }
    counts = np.stack([_counts(own, parts) for own in maps.values()], axis=2)
    whole = (counts[0].astype(int), counts[1].astype(int), counts[2])
    places = np.array([centres[condition] for condition in maps])
    attention = Attention(tuple(emotions), tuple(maps), *by_scaling.values(), *whole, places)
    return MappedPhotographs(indices, labels, np.stack(rows), tuple(checkpoint_rows), attention)


def _by_emotion(
    maps: Mapping[str, np.ndarray],
    parts: Sequence[np.ndarray],
    statistic: Callable[[np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    """Return a statistic of the photographs' maps, (P, h, h), of each emotion, (E, h, h)."""
    return {
        scaling: np.stack([statistic(own[part]) for part in parts]) for scaling, own in maps.items()
    }


def _of_checkpoints(maps: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return each checkpoint's own average, (checkpoints, E, h, h); NaN where it has none."""
    return np.stack([mean_known(maps[:, part], axis=1) for part in parts], axis=1)


def _counts(maps: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return photographs, pairs, and the share of pairs whose map is zero: (3, E)."""
    known, zero = ~np.isnan(maps[:, :, 0, 0]), (maps == 0).all(axis=(2, 3))
    of_emotions = [(known[:, part], zero[:, part]) for part in parts]
    return np.array(
        [(own.any(axis=0).sum(), own.sum(), mean_known(none[own], 0)) for own, none in of_emotions]
    ).T


def mean_known(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean along an axis of what is not NaN; NaN, and no warning, where all are."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # 0 / 0
        return np.where(known, values, 0).sum(axis=axis) / known.sum(axis=axis)


def _deviation(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation, along the first axis, of what is not NaN: NaN of one."""
    squares = (values - mean_known(values, axis=0)) ** 2
    count = (~np.isnan(values)).sum(axis=0)
    unbiased = np.where(count > 1, count / np.maximum(count - 1, 1), np.nan)
    return np.sqrt(mean_known(squares, axis=0) * unbiased)
