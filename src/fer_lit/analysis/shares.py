"""How much attention falls on the eyes, the nose and the mouth, and how an occlusion moves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import bootstrap, permutation_test

from fer_lit.analysis.averages import mean_known
from fer_lit.analysis.mapping import MappedPhotographs
from fer_lit.analysis.paired_tests import correct_by_holm
from fer_lit.faces.face_set import SIZE
from fer_lit.paper import BANDS

Row = dict[str, Any]

ALL = "all"
"""In tables, the photographs of all emotions together."""
_RESAMPLES = 4999
_BATCH = 500  # resamples at a time, which bounds the memory


def bootstrap_interval(values: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of 95 % percentile bootstrap intervals of means, (...), of values (..., N).

    Where all values are equal both ends are the mean.
    """
    found = bootstrap(
        (values,),
        np.mean,
        axis=-1,
        n_resamples=_RESAMPLES,
        batch=_BATCH,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return found.confidence_interval.low, found.confidence_interval.high


def share_table(mapped: MappedPhotographs, seed: int) -> list[Row]:
    """Return the share of attention mass inside each band.

    Args:
        mapped: the photographs' maps.
        seed: of the bootstrap.

    Returns:
        For each condition, emotion (`all` last) and band: `condition`, `emotion`, `band`,
        `photographs` (whose maps are not all zero), `share` (0–1; of uniform attention it would be
        0.208), `low`, `high` (95 % bootstrap interval over photographs), and `sd` of the single
        networks' shares (None for one network; `all` averages their emotions).
    """
    rows = []
    for condition, emotion, part in _cells(mapped):
        spread = _spread(mapped, condition, emotion)
        shares = photograph_shares(mapped, condition, part)
        rows += [
            row | {"sd": spread[row["band"]]}
            for row in _rows(condition, emotion, "share", shares, seed)
        ]
    return rows


def change_table(mapped: MappedPhotographs, references: Mapping[str, str], seed: int) -> list[Row]:
    """Return how an occlusion changes the share of attention in each band, on the same photographs.

    Args:
        mapped: the photographs' maps.
        references: condition → the one that it is compared with; others are left out.
        seed: of bootstrap and permutations.

    Returns:
        For each condition with a reference, emotion (`all` last) and band: `condition`, `emotion`,
        `band`, `photographs`, `change` of the share, `low`, `high` (95 % bootstrap interval), `p`
        (permutation test: signs of the differences flipped at random), `p_holm` (Holm's correction
        over the emotions' tests, and apart from it over those of `all`), `rejects`
        (`p_holm` < 0.05).
    """
    rows = []
    compared = [one for one in mapped.attention.conditions if references.get(one) != one]
    tests = len(compared) * len(mapped.attention.emotions) * len(BANDS)
    for condition, emotion, part in _cells(mapped):
        reference = references.get(condition)
        if reference in mapped.attention.conditions and reference != condition:
            change = _shares(mapped, condition) - _shares(mapped, reference)
            known = _known(change[:, part])
            own = _rows(condition, emotion, "change", known, seed)
            rows += _test_rows(own, known, seed, tests)
    tested = [row for row in rows if row["p"] is not None]
    correct_by_holm([row for row in tested if row["emotion"] == ALL])
    correct_by_holm([row for row in tested if row["emotion"] != ALL])
    return rows


def profile_table(mapped: MappedPhotographs) -> list[Row]:
    """Return the row profile: `condition`, `emotion`, `row` of the face (0–47), `share`."""
    profiles = row_profiles(mapped)
    return [
        {"condition": condition, "emotion": emotion, "row": row, "share": float(share)}
        for number, condition in enumerate(mapped.attention.conditions)
        for label, emotion in enumerate(mapped.attention.emotions)
        for row, share in enumerate(profiles[label, number])
        if not np.isnan(share)
    ]


def row_profiles(mapped: MappedPhotographs) -> np.ndarray:
    """Return the mean share of attention in each row, (E, C, 48); NaN without photographs."""
    emotions, conditions = len(mapped.attention.emotions), len(mapped.rows)
    profiles = np.full((emotions, conditions, SIZE), np.nan)
    for label in range(emotions):
        for number, rows in enumerate(mapped.rows):
            known = rows[(mapped.labels == label) & ~np.isnan(rows[:, 0])]
            if len(known):
                profiles[label, number] = known.mean(axis=0)
    return profiles


def _cells(mapped: MappedPhotographs) -> list[tuple[str, str, np.ndarray]]:
    """Return each condition and emotion (`all` last), and which photographs are of it."""
    emotions = mapped.attention.emotions
    parts = [(emotion, mapped.labels == label) for label, emotion in enumerate(emotions)]
    parts.append((ALL, np.ones(len(mapped.labels), dtype=bool)))
    return [(condition, *part) for condition in mapped.attention.conditions for part in parts]


def _shares(mapped: MappedPhotographs, condition: str) -> np.ndarray:
    """Return the share in each band, (bands, P)."""
    rows = mapped.rows[mapped.attention.conditions.index(condition)]
    return np.stack([rows[:, band].sum(axis=1) for band in BANDS.values()])


def photograph_shares(
    mapped: MappedPhotographs, condition: str, part: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """Return the share in each band of each photograph in a part, (bands, N), if it has any."""
    return _known(_shares(mapped, condition)[:, part])


def network_shares(mapped: MappedPhotographs, condition: str, emotion: str) -> np.ndarray:
    """Return the share in each band of each network's own average map, (networks, bands).

    `all` is the mean over the emotions that a network has photographs of.
    """
    rows = mapped.checkpoint_rows[mapped.attention.conditions.index(condition)]
    shares = np.stack([rows[..., band].sum(axis=-1) for band in BANDS.values()], axis=-1)
    if emotion != ALL:
        return shares[:, mapped.attention.emotions.index(emotion)]
    return mean_known(shares, axis=1)


def _spread(mapped: MappedPhotographs, condition: str, emotion: str) -> dict[str, float | None]:
    """Return the standard deviation of each band's share over networks, if there are several."""
    shares = network_shares(mapped, condition, emotion)
    known = shares[~np.isnan(shares[:, 0])]
    if len(known) < 2:
        return dict.fromkeys(BANDS)
    return dict(zip(BANDS, known.std(axis=0, ddof=1).tolist(), strict=True))


def _known(values: np.ndarray) -> np.ndarray:
    """Return values (bands, P) without the photographs whose maps are all zero."""
    return values[:, ~np.isnan(values[0])]


def _rows(condition: str, emotion: str, what: str, values: np.ndarray, seed: int) -> list[Row]:
    """Return a row a band: the mean of its values, (bands, P), under the name `what`."""
    count = values.shape[1]
    rows = [
        {"condition": condition, "emotion": emotion, "band": band, "photographs": count}
        for band in BANDS
    ]
    if count < 2:  # no spread to resample
        return [row | dict.fromkeys((what, "low", "high")) for row in rows]
    figures = zip(values.mean(axis=1), *bootstrap_interval(values, seed), strict=True)
    return [
        row | {what: float(mean), "low": float(low), "high": float(high)}
        for row, (mean, low, high) in zip(rows, figures, strict=True)
    ]


def _test_rows(rows: list[Row], changes: np.ndarray, seed: int, tests: int) -> list[Row]:
    """Return the rows with the p values of their changes, (bands, P), still to be corrected."""
    p = _permutation_p(changes, seed, tests) if changes.shape[1] > 1 else [None] * len(rows)
    return [
        row | {"p": value if value is None else float(value), "p_holm": None, "rejects": None}
        for row, value in zip(rows, p, strict=True)
    ]


def _permutation_p(differences: np.ndarray, seed: int, tests: int) -> np.ndarray:
    """Return the p values, (bands,), of differences (bands, N): as likely with the other sign?

    The more tests there are, the more permutations it takes for one to survive Holm's correction:
    the smallest p is two of them.
    """
    found = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        axis=-1,
        n_resamples=max(_RESAMPLES, 200 * tests),
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    )
    return found.pvalue
