"""Tests on the same photographs, about the networks that there are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fer_lit import comparison, stats
from fer_lit.analysis.chapters.differences import difference_arrays
from fer_lit.analysis.labels import Pair
from fer_lit.runs.predictions import each_once, matched, shared_seeds

COCHRAN, MCNEMAR, MODEL = "Cochran's Q", "McNemar", "linear probability"
CAPTION = (
    "Tests on the same photographs, about these networks: Cochran's Q over all occlusions of a "
    "configuration (a names it), and McNemar's between conditions that differ in one respect, for "
    "which each photograph counts once, with the lowest seed that was tested on it; and a linear "
    "probability model of all predictions, with standard errors clustered by photograph and, from "
    "three seeds on, by seed. Holm's correction is over the tests of a kind."
)


def paired_test_table(
    predictions: pd.DataFrame, pairs: Sequence[Pair], sets: Mapping[str, Sequence[str]]
) -> tuple[pd.DataFrame, list[str]]:
    """Test whether conditions are right equally often on the same photographs.

    Runs are paired by seed where their held-out faces are the same (`shared_seeds`). Conditions
    without such runs are not tested.

    Args:
        predictions: see `join_predictions`.
        pairs: which conditions McNemar's test and the linear probability model compare.
        sets: which ones Cochran's Q compares, by what they have in common; sets of fewer than
            three are left out.

    Returns:
        One row per test, first Cochran's Q of each set, then McNemar's of each pair, then the
        model's (`comparison.linear_probability`): `test`, `a`, `b`, `predictions` (how many pairs
        or sets of predictions are compared: of each photograph one, except by the model),
        `only_a_right`, `only_b_right` (McNemar's), `statistic` (Q, McNemar's, t), `p`, `p_holm`
        (corrected by Holm over the pairs), `rejects` (`p_holm` is below 0.05). For Cochran's Q `a`
        names the set, `b` and `p_holm` are missing, and `rejects` goes by `p`. And notes, a line
        each: the tests and seeds that were left out, and why.
    """
    wanted = [(name, own) for name, own in sets.items() if len(own) > 2]
    wanted += [("", pair) for pair in pairs]
    seeds_of = predictions.groupby("condition")["seed"].agg(frozenset)
    rows, models, reasons = [], [], defaultdict(list)
    for name, own in wanted:
        seeds = shared_seeds(predictions, own)
        test = COCHRAN if name else MCNEMAR
        for reason in _left_out(seeds_of[list(own)], seeds):
            reasons[reason].append(f"{test} {name or ' – '.join(own)}")
        if seeds:
            right = matched(predictions, own, seeds)
            rows.append(_cochran(name, right) if name else _mcnemar(right, *own))
            models += [] if name else [_model(right, *own)]
    columns = ("test", "a", "b", "predictions", "only_a_right", "only_b_right", "statistic", "p")
    table = pd.DataFrame([*rows, *models], columns=columns)
    table = table.astype({"only_a_right": "Int64", "only_b_right": "Int64", "p": float})
    p_holm = pd.Series(np.nan, table.index)
    for kind in (MCNEMAR, MODEL):
        p_holm[table["test"] == kind] = stats.holm(table["p"][table["test"] == kind])
    rejects = np.where(np.isnan(p_holm), table["p"], p_holm) < stats.LEVEL
    notes = [f"{', '.join(tests)}: {reason}" for reason, tests in reasons.items()]
    return table.assign(p_holm=p_holm, rejects=rejects), notes


def _cochran(name: str, right: pd.DataFrame) -> dict[str, Any]:
    once = each_once(right).to_numpy()
    row = {"test": COCHRAN, "a": name, "b": None, "predictions": len(once)}
    return row | stats.cochran(once)._asdict()


def _mcnemar(right: pd.DataFrame, a: str, b: str) -> dict[str, Any]:
    once = each_once(right).to_numpy()
    row = {"test": MCNEMAR, "a": a, "b": b, "predictions": len(once)}
    return row | stats.mcnemar(*once.T)._asdict()


def _model(right: pd.DataFrame, a: str, b: str) -> dict[str, Any]:
    statistic, p = comparison.linear_probability(*difference_arrays(right, a, b))
    row = {"test": MODEL, "a": a, "b": b, "predictions": len(right)}
    return row | {"statistic": statistic, "p": p}


def _left_out(seeds_of: pd.Series, used: Sequence[int]) -> list[str]:
    """Return why seeds of the conditions are not in a test, or why there is no test."""
    common = frozenset.intersection(*seeds_of)
    if not common:
        return ["not tested, as no seed is in common"]
    differing = ", ".join(map(str, sorted(common.difference(used))))
    if not used:
        return [f"not tested, as the held-out faces differ in seed {differing}"]
    lacking = defaultdict(list)
    for seed in sorted(frozenset.union(*seeds_of) - common):
        names = ", ".join(name for name, own in seeds_of.items() if seed not in own)
        lacking[names].append(str(seed))
    reasons = [
        f"without seed {', '.join(seeds)}, as there is no such run of {names}"
        for names, seeds in lacking.items()
    ]
    if differing:
        reasons.append(f"without seed {differing}, whose held-out faces differ")
    return reasons
