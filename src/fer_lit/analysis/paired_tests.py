"""Whether conditions differ on the same photographs by more than chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.multitest import multipletests

from fer_lit.analysis.accuracy import Conditions, paired, shared_seeds

Row = dict[str, Any]

LEVEL = 0.05
EXACT_BELOW = 25
"""Discordant photographs below which McNemar's test is exact: there the usual rule of thumb finds
the χ² approximation too coarse."""
_COCHRAN, _MCNEMAR = "Cochran's Q", "McNemar"


def paired_test_table(predictions: Conditions) -> tuple[list[Row], list[str]]:
    """Test whether conditions are right equally often on the same photographs.

    Runs are paired by seed where their validation faces are the same (`accuracy.shared_seeds`);
    each photograph counts once. Conditions without such runs are not tested.

    Args:
        predictions: the runs: condition → seed → predictions.

    Returns:
        A row a test, first Cochran's Q over all conditions if there are three or more, then
        McNemar's for each pair: `test`, `a`, `b`, `faces`, `only_a_right`, `only_b_right`,
        `difference` (accuracy of a minus that of b), `statistic`, `p`, `p_holm` (corrected by Holm
        over all McNemar tests), `rejects` (`p_holm` is below 0.05). For Cochran's Q those about a
        and b and `p_holm` are None, and `rejects` goes by `p`. McNemar's test is exact (binomial;
        the statistic is the smaller count) with fewer than 25 photographs that only one gets
        right, otherwise χ² with continuity correction.

        And notes, a line each: the tests and seeds that were left out, and why.
    """
    pairs = [(_MCNEMAR, pair) for pair in combinations(predictions, 2)]
    everything = [(_COCHRAN, tuple(predictions))] if len(predictions) > 2 else []
    rows, reasons = [], defaultdict(list)
    for test, conditions in (*everything, *pairs):
        seeds = shared_seeds(predictions, conditions)
        for reason in _left_out({name: predictions[name] for name in conditions}, seeds):
            reasons[reason].append(_title(test, conditions))
        if seeds:
            pools = paired(predictions, conditions, seeds)
            rows.append(_row(test, conditions, np.column_stack([pool.right for pool in pools])))
    correct_by_holm([row for row in rows if row["test"] == _MCNEMAR])
    return rows, [f"{', '.join(tests)}: {reason}" for reason, tests in reasons.items()]


def _title(test: str, conditions: Sequence[str]) -> str:
    return test if test == _COCHRAN else f"{test} {' – '.join(conditions)}"


def _row(test: str, conditions: Sequence[str], right: np.ndarray) -> Row:
    figures = _cochran(right) if test == _COCHRAN else _mcnemar(*conditions, *right.T)
    row = dict.fromkeys(("test", "a", "b", "faces", "only_a_right", "only_b_right", "difference"))
    return {**row, "test": test, "faces": len(right), **figures}


def _cochran(right: np.ndarray) -> Row:
    """Return Cochran's Q of bool (N, conditions)."""
    if (right == right[:, :1]).all():
        statistic, p = 0.0, 1.0  # by the formula 0 / 0
    else:
        found = cochrans_q(right)
        statistic, p = float(found.statistic), float(found.pvalue)
    return {"statistic": statistic, "p": p, "p_holm": None, "rejects": p < LEVEL}


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
        return [f"not tested, as the validation faces differ in seed {_listed(differing)}"]
    lacking = defaultdict(list)
    for seed in sorted(set.union(*map(set, runs.values())) - common):
        lacking[", ".join(name for name in runs if seed not in runs[name])].append(seed)
    reasons = [
        f"without seed {_listed(seeds)}, as there is no such run of {names}"
        for names, seeds in lacking.items()
    ]
    if differing:
        reasons.append(f"without seed {_listed(differing)}, whose validation faces differ")
    return reasons


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))
