"""What an occlusion or another configuration costs, and whether that is more than chance."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fer_lit import stats
from fer_lit.analysis.chapter import ALL, Chapter, Finding, Table, records
from fer_lit.analysis.labels import Pair, occlusion_pairs, option_pairs
from fer_lit.analysis.report.style import p_value, points
from fer_lit.analysis.selection import Selection
from fer_lit.runs.predictions import paired, shared_seeds

Row = Mapping[str, Any]
Tests = Mapping[frozenset[str], Row]
"""The rows of a table of tests by their pair."""

_COCHRAN, _MCNEMAR = "Cochran's Q", "McNemar"
_DROP_CAPTION = (
    "What each occlusion costs by emotion, on the same photographs, with 95 % bootstrap intervals "
    "over photographs."
)
_TESTS_CAPTION = (
    "Tests on the same photographs, about these networks: Cochran's Q over all occlusions of a "
    "configuration (a names it), McNemar's between conditions that differ in one respect, with "
    "Holm's correction."
)
_SEED_TESTS_CAPTION = (
    "Differences of accuracy within each seed, about networks trained on other faces, too: Nadeau "
    "and Bengio's corrected resampled t-test over repeated splits, with 95 % intervals and Holm's "
    "correction."
)


def compare(selection: Selection) -> Chapter:
    """Return what the conditions cost each other, for the chapter about accuracy."""
    conditions, predictions = selection.conditions, selection.predictions
    references = {label: one.reference for label, one in conditions.items()}
    sets = defaultdict(list)
    for label, reference in references.items():
        sets[reference].append(label)
    of_options = option_pairs(conditions)
    pairs = occlusion_pairs(conditions) + of_options
    drops = drop_table(predictions, references)
    tests, notes = paired_test_table(predictions, pairs, sets)
    seed_tests = seed_test_table(predictions, pairs, selection.ratios)
    return Chapter(
        "What covering costs",
        tables=[
            Table("drop", drops, {_DROP_CAPTION: None}),
            Table("tests", tests, {_TESTS_CAPTION: None}),
            Table("seed_tests", seed_tests, {_SEED_TESTS_CAPTION: None}),
        ],
        findings=[
            *cost_findings(drops, tests, seed_tests),
            *configuration_findings(of_options, tests, seed_tests),
        ],
        notes=notes,
    )


def drop_table(predictions: pd.DataFrame, references: Mapping[str, str]) -> pd.DataFrame:
    """Return what each occlusion costs, emotion by emotion, on the same photographs.

    Only `shared_seeds` of a condition and its reference count; without any there is no row.

    Args:
        predictions: see `join_predictions`.
        references: condition → the one that it is compared with.

    Returns:
        For each condition, one row per emotion, then one for all emotions together (`emotion` is
        `all`): `condition`, `reference`, `emotion`, `faces`, `recall`, `reference_recall`, `drop`
        (the second minus the first), `low`, `high` (95 % percentile bootstrap interval of the drop
        over photographs). Recalls are 0–1; of an emotion without faces they are missing.
    """
    known, emotions = set(predictions["condition"]), predictions["label"].cat.categories
    rows = []
    for condition, reference in references.items():
        pair = (reference, condition)
        seeds = shared_seeds(predictions, pair) if known.issuperset(pair) else []
        if condition != reference and seeds:
            right = paired(predictions, pair, seeds)
            labels = right.index.get_level_values("label")
            parts = {emotion: right[labels == emotion] for emotion in emotions} | {ALL: right}
            for emotion, part in parts.items():
                key = {"condition": condition, "reference": reference, "emotion": emotion}
                rows.append(key | _drop(part[reference], part[condition]))
    columns = ("condition", "reference", "emotion", "faces", "recall", "reference_recall")
    return pd.DataFrame(rows, columns=[*columns, "drop", "low", "high"])


def _drop(without: pd.Series, covered: pd.Series) -> dict[str, Any]:
    recalls = {"recall": covered.mean(), "reference_recall": without.mean()}
    if without.empty:
        return {"faces": 0, **recalls}
    lost = without.astype(int) - covered
    interval = stats.bootstrap_counts(lost)._asdict()
    return {"faces": len(lost), **recalls, "drop": lost.mean(), **interval}


def paired_test_table(
    predictions: pd.DataFrame, pairs: Sequence[Pair], sets: Mapping[str, Sequence[str]]
) -> tuple[pd.DataFrame, list[str]]:
    """Test whether conditions are right equally often on the same photographs.

    Runs are paired by seed where their held-out faces are the same (`shared_seeds`); each
    photograph counts once. Conditions without such runs are not tested.

    Args:
        predictions: see `join_predictions`.
        pairs: which conditions McNemar's test compares.
        sets: which ones Cochran's Q compares, by what they have in common; sets of fewer than
            three are left out.

    Returns:
        One row per test, first Cochran's Q of each set, then McNemar's of each pair: `test`, `a`,
        `b`, `faces`, `only_a_right`, `only_b_right`, `difference` (accuracy of a minus that of b),
        `statistic`, `p`, `p_holm` (corrected by Holm over all McNemar tests), `rejects` (`p_holm`
        is below 0.05). For Cochran's Q `a` names the set, those about a and b and `p_holm` are
        missing, and `rejects` goes by `p`. And notes, a line each: the tests and seeds that were
        left out, and why.
    """
    wanted = [(_COCHRAN, name, own) for name, own in sets.items() if len(own) > 2]
    wanted += [(_MCNEMAR, "", pair) for pair in pairs]
    seeds_of = predictions.groupby("condition")["seed"].agg(frozenset)
    rows, reasons = [], defaultdict(list)
    for test, name, own in wanted:
        seeds = shared_seeds(predictions, own)
        for reason in _left_out(seeds_of[list(own)], seeds):
            reasons[reason].append(f"{test} {name or ' – '.join(own)}")
        if seeds:
            right = paired(predictions, own, seeds).to_numpy()
            found = stats.cochran(right) if test == _COCHRAN else stats.mcnemar(*right.T)
            a, b = (name, None) if test == _COCHRAN else own
            rows.append({"test": test, "a": a, "b": b, "faces": len(right), **found._asdict()})
    columns = ("test", "a", "b", "faces", "only_a_right", "only_b_right", "difference")
    table = pd.DataFrame(rows, columns=[*columns, "statistic", "p"])
    table = table.astype({"only_a_right": "Int64", "only_b_right": "Int64", "p": float})
    p_holm = stats.holm(table["p"].where(table["test"] == _MCNEMAR))
    rejects = np.where(np.isnan(p_holm), table["p"], p_holm) < stats.LEVEL
    notes = [f"{', '.join(tests)}: {reason}" for reason, tests in reasons.items()]
    return table.assign(p_holm=p_holm, rejects=rejects), notes


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


def seed_test_table(
    predictions: pd.DataFrame, pairs: Sequence[Pair], ratios: Mapping[str, float | None]
) -> pd.DataFrame:
    """Test whether conditions are equally accurate over repeated splits, seed by seed.

    This is the corrected resampled t-test on the differences within the shared seeds (see
    `stats.resampled_t`), which asks about networks trained on other faces, too; McNemar's asks
    about these networks.

    Args:
        predictions: see `join_predictions`.
        pairs: which conditions are compared.
        ratios: see `Condition.ratio`; without one there is no test.

    Returns:
        One row for each pair with two or more shared seeds: `a`, `b`, `seeds`, `difference` (mean
        accuracy of a minus that of b), `low`, `high` (95 % interval), `statistic` (t), `p`,
        `p_holm` (Holm's correction over these tests), `rejects`. Where all seeds differ by the same
        there is no spread to test by, and what comes after the difference is missing.
    """
    accuracies = predictions.groupby(["seed", "condition"])["right"].mean().unstack()
    rows = []
    for a, b in pairs:
        seeds = shared_seeds(predictions, (a, b))
        if len(seeds) > 1 and ratios[a] is not None and ratios[b] is not None:
            differences = (accuracies[a] - accuracies[b])[seeds]
            found = stats.resampled_t(differences, (ratios[a] + ratios[b]) / 2)
            row = {"a": a, "b": b, "seeds": len(seeds), "difference": differences.mean()}
            rows.append(row | (found._asdict() if found else {}))
    columns = ("a", "b", "seeds", "difference", "low", "high", "statistic", "p")
    table = pd.DataFrame(rows, columns=columns)
    p_holm = pd.Series(stats.holm(table["p"]), table.index)
    rejects = (p_holm < stats.LEVEL).astype("boolean").mask(p_holm.isna())
    return table.assign(p_holm=p_holm, rejects=rejects)


def cost_findings(
    drops: pd.DataFrame, tests: pd.DataFrame, seed_tests: pd.DataFrame
) -> list[Finding]:
    """Return what each occlusion costs over all emotions: see the tables' functions."""
    by_faces, by_seeds = _by_pair(tests), _by_pair(seed_tests)
    findings = []
    for row in records(drops):
        if row["emotion"] == ALL:
            interval = f"95 % interval of the drop {points(row['low'])} to {points(row['high'])}"
            evidence = _evidence(by_faces, by_seeds, row["reference"], row["condition"])
            text = (
                f"Under {row['condition']} accuracy is {points(abs(row['drop']))} points "
                f"{'lower' if row['drop'] >= 0 else 'higher'} than under {row['reference']} "
                f"({'; '.join([interval, *evidence])})."
            )
            findings.append(Finding(text))
    return findings


def configuration_findings(
    pairs: Sequence[Pair], tests: pd.DataFrame, seed_tests: pd.DataFrame
) -> list[Finding]:
    """Return how two configurations, of the `option_pairs`, differ under each occlusion.

    Of three and more there are too many pairs for sentences; the tables have them.
    """
    times = Counter(label for pair in pairs for label in pair)
    by_faces, by_seeds = _by_pair(tests), _by_pair(seed_tests)
    findings = []
    for pair in pairs:
        row = by_faces.get(frozenset(pair))
        if row and all(times[label] == 1 for label in pair):
            better, worse = (row["b"], row["a"]) if row["difference"] < 0 else (row["a"], row["b"])
            evidence = "; ".join(_evidence(by_faces, by_seeds, better, worse))
            text = f"{better} is right {points(abs(row['difference']))} points more often than "
            findings.append(Finding(f"{text}{worse} ({evidence})."))
    return findings


def _by_pair(tests: pd.DataFrame) -> Tests:
    return {frozenset((row["a"], row["b"])): row for row in records(tests)}


def _evidence(tests: Tests, seed_tests: Tests, a: str, b: str) -> list[str]:
    """Return what the tests say about a pair: the photographs', then the seeds'."""
    evidence = []
    if row := tests.get(frozenset((a, b))):
        evidence.append(f"McNemar's test {p_value(row['p_holm'])} after Holm's correction")
    row = seed_tests.get(frozenset((a, b)))
    if row and row["p"] is not None:
        numbers = row["difference"], row["low"], row["high"]
        if row["a"] != a:
            numbers = -row["difference"], -row["high"], -row["low"]
        difference, low, high = map(points, numbers)
        evidence.append(
            f"over {row['seeds']} seeds {difference}, 95 % interval {low} to {high}, "
            f"corrected t-test {p_value(row['p_holm'])}"
        )
    return evidence
