"""Whether conditions differ on the same photographs by more than chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.multitest import multipletests

from fer_lit.analysis.accuracy import Conditions, paired, shared_seeds
from fer_lit.analysis.repeated_splits import resampled_t

Row = dict[str, Any]

LEVEL = 0.05
EXACT_BELOW = 25
"""Discordant photographs below which McNemar's test is exact: there the usual rule of thumb finds
the χ² approximation too coarse."""
_COCHRAN, _MCNEMAR = "Cochran's Q", "McNemar"
_COLUMNS = ("test", "a", "b", "faces", "only_a_right", "only_b_right", "difference")


def paired_test_table(
    predictions: Conditions,
    pairs: Sequence[tuple[str, str]],
    sets: Mapping[str, Sequence[str]],
) -> tuple[list[Row], list[str]]:
    """Test whether conditions are right equally often on the same photographs.

    Runs are paired by seed where their held-out faces are the same (`accuracy.shared_seeds`); each
    photograph counts once. Conditions without such runs are not tested.

    Args:
        predictions: the runs: condition → seed → predictions.
        pairs: which conditions McNemar's test compares.
        sets: which ones Cochran's Q compares, by what they have in common; sets of fewer than
            three are left out.

    Returns:
        A row a test, first Cochran's Q of each set, then McNemar's of each pair: `test`, `a`, `b`,
        `faces`, `only_a_right`, `only_b_right`, `difference` (accuracy of a minus that of b),
        `statistic`, `p`, `p_holm` (corrected by Holm over all McNemar tests), `rejects` (`p_holm`
        is below 0.05). For Cochran's Q `a` names the set, those about a and b and `p_holm` are
        None, and `rejects` goes by `p`. McNemar's test is exact (binomial; the statistic is the
        smaller count) with fewer than 25 photographs that only one gets right, otherwise χ² with
        continuity correction.

        And notes, a line each: the tests and seeds that were left out, and why.
    """
    wanted = [(_COCHRAN, name, tuple(own)) for name, own in sets.items() if len(own) > 2]
    wanted += [(_MCNEMAR, "", pair) for pair in pairs]
    rows, reasons = [], defaultdict(list)
    for test, name, conditions in wanted:
        seeds = shared_seeds(predictions, conditions)
        for reason in _left_out({name: predictions[name] for name in conditions}, seeds):
            reasons[reason].append(f"{test} {name or ' – '.join(conditions)}")
        if seeds:
            pools = paired(predictions, conditions, seeds)
            right = np.column_stack([pool.right for pool in pools])
            of_test = _cochran(name, right) if test == _COCHRAN else _mcnemar(*conditions, *right.T)
            rows.append(dict.fromkeys(_COLUMNS) | {"test": test, "faces": len(right)} | of_test)
    correct_by_holm([row for row in rows if row["test"] == _MCNEMAR])
    return rows, [f"{', '.join(tests)}: {reason}" for reason, tests in reasons.items()]


def seed_test_table(
    predictions: Conditions,
    pairs: Sequence[tuple[str, str]],
    ratios: Mapping[str, float | None],
) -> list[Row]:
    """Test whether conditions are equally accurate over repeated splits, seed by seed.

    This is the corrected resampled t-test on the differences within the shared seeds (see
    `repeated_splits`), which asks about networks trained on other faces, too; McNemar's asks about
    these networks.

    Args:
        predictions: the runs.
        pairs: which conditions are compared.
        ratios: tested faces for each face trained on, by condition; None where the runs do not
            repeat the split, which cannot be tested so.

    Returns:
        A row for each pair with two or more shared seeds: `a`, `b`, `seeds`, `difference` (mean
        accuracy of a minus that of b), `low`, `high` (95 % interval), `statistic` (t), `p`,
        `p_holm` (Holm's correction over these tests), `rejects`. Where all seeds differ by the same
        there is no spread to test by, and what comes after the difference is None.
    """
    rows = []
    for a, b in pairs:
        seeds = shared_seeds(predictions, (a, b))
        if len(seeds) > 1 and ratios[a] is not None and ratios[b] is not None:
            differences = [
                float(predictions[a][seed].right.mean() - predictions[b][seed].right.mean())
                for seed in seeds
            ]
            ratio = mean((ratios[a], ratios[b]))
            rows.append({"a": a, "b": b, "seeds": len(seeds), **_seed_test(differences, ratio)})
    correct_by_holm([row for row in rows if row["p"] is not None])
    return rows


def _seed_test(differences: Sequence[float], ratio: float) -> Row:
    found = resampled_t(differences, ratio)
    columns = ("low", "high", "statistic", "p")
    figures = {column: getattr(found, column, None) for column in columns}
    return {"difference": mean(differences), **figures, "p_holm": None, "rejects": None}


def _cochran(name: str, right: np.ndarray) -> Row:
    """Return Cochran's Q of bool (N, conditions)."""
    if (right == right[:, :1]).all():
        statistic, p = 0.0, 1.0  # by the formula 0 / 0
    else:
        found = cochrans_q(right)
        statistic, p = float(found.statistic), float(found.pvalue)
    return {"a": name, "statistic": statistic, "p": p, "p_holm": None, "rejects": p < LEVEL}


def _mcnemar(a: str, b: str, right_a: np.ndarray, right_b: np.ndarray) -> Row:
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    # The diagonal, where both are right or both wrong, has no part in the test.
    found = mcnemar([[0, only_a], [only_b, 0]], exact=only_a + only_b < EXACT_BELOW)
    return {
        "a": a,
        "b": b,
        "only_a_right": only_a,
        "only_b_right": only_b,
        "difference": (only_a - only_b) / len(right_a),
        "statistic": float(found.statistic),
        "p": float(found.pvalue),
    }


def correct_by_holm(rows: Sequence[Row]) -> None:
    """Fill in `p_holm` and `rejects` of rows that have a `p`, over all of them together."""
    if rows:
        corrected = multipletests([row["p"] for row in rows], LEVEL, method="holm")[1]
        for row, p in zip(rows, corrected, strict=True):
            row["p_holm"], row["rejects"] = float(p), bool(p < LEVEL)


def _left_out(runs: Mapping[str, Mapping[int, Any]], used: Sequence[int]) -> list[str]:
    """Return why seeds of the conditions are not in a test, or why there is no test."""
    common = set.intersection(*map(set, runs.values()))
    if not common:
        return ["not tested, as no seed is in common"]
    differing = common.difference(used)
    if not used:
        return [f"not tested, as the held-out faces differ in seed {_listed(differing)}"]
    lacking = defaultdict(list)
    for seed in sorted(set.union(*map(set, runs.values())) - common):
        lacking[", ".join(name for name in runs if seed not in runs[name])].append(seed)
    reasons = [
        f"without seed {_listed(seeds)}, as there is no such run of {names}"
        for names, seeds in lacking.items()
    ]
    if differing:
        reasons.append(f"without seed {_listed(differing)}, whose held-out faces differ")
    return reasons


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))
