"""What an occlusion or another configuration costs, and whether that is more than chance."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fer_lit import comparison, stats
from fer_lit.analysis.chapter import ALL, Chapter, Finding, Table, records
from fer_lit.analysis.chapters import paired_tests
from fer_lit.analysis.chapters.differences import as_table, difference_table, drop_table
from fer_lit.analysis.labels import Pair, occlusion_pairs, option_pairs
from fer_lit.analysis.report.style import p_value, points
from fer_lit.analysis.selection import Selection

Row = Mapping[str, Any]

_DROP_CAPTION = (
    "What each occlusion costs by emotion, on the same photographs: means over seeds, with 95 % "
    "intervals over splits or over faces, whichever is wider, and below three splits over faces."
)


def compare(selection: Selection, margin: float) -> Chapter:
    """Return what the conditions cost each other, for the chapter about accuracy.

    Args:
        selection: the runs.
        margin: the smallest difference that would matter, 0–1.
    """
    conditions, predictions = selection.conditions, selection.predictions
    references = {label: one.reference for label, one in conditions.items()}
    sets = defaultdict(list)
    for label, reference in references.items():
        sets[reference].append(label)
    of_options = option_pairs(conditions)
    pairs = occlusion_pairs(conditions) + of_options
    drops = drop_table(predictions, references, selection.ratios)
    differences = difference_table(predictions, pairs, selection.ratios, margin)
    tests, notes = paired_tests.paired_test_table(predictions, pairs, sets)
    return Chapter(
        "What covering costs",
        tables=[
            Table("drop", drops, {_DROP_CAPTION: None}),
            as_table(differences, margin),
            Table("tests", tests, {paired_tests.CAPTION: None}),
        ],
        findings=[
            *cost_findings(drops, differences, tests, margin),
            *configuration_findings(of_options, differences, tests, margin),
        ],
        notes=notes,
    )


def cost_findings(
    drops: pd.DataFrame, differences: pd.DataFrame, tests: pd.DataFrame, margin: float
) -> list[Finding]:
    """Return what each occlusion costs over all emotions: see the tables' functions."""
    found, tested = _by_pair(differences), _mcnemar_by_pair(tests)
    findings = []
    for row in records(drops):
        if row["emotion"] == ALL:
            pair = frozenset((row["reference"], row["condition"]))
            text = (
                f"Under {row['condition']} accuracy is {points(abs(row['drop']))} points "
                f"{'lower' if row['drop'] >= 0 else 'higher'} than under {row['reference']} (95 % "
                f"interval of the drop {points(row['low'])} to {points(row['high'])} "
            )
            findings.append(Finding(text + _judged(found[pair], tested.get(pair), margin)))
    return findings


def configuration_findings(
    pairs: Sequence[Pair], differences: pd.DataFrame, tests: pd.DataFrame, margin: float
) -> list[Finding]:
    """Return how two configurations, of the `option_pairs`, differ under each occlusion.

    Of three and more there are too many pairs for sentences; the tables have them.
    """
    times = Counter(label for pair in pairs for label in pair)
    found, tested = _by_pair(differences), _mcnemar_by_pair(tests)
    findings = []
    for pair in map(frozenset, pairs):
        row = found.get(pair)
        if row and all(times[label] == 1 for label in pair):
            better, worse, ends = row["a"], row["b"], (row["low"], row["high"])
            if row["difference"] < 0:
                better, worse, ends = worse, better, (-row["high"], -row["low"])
            text = (
                f"{better} is right {points(abs(row['difference']))} points more often than "
                f"{worse} (95 % interval {points(ends[0])} to {points(ends[1])} "
            )
            findings.append(Finding(text + _judged(row, tested.get(pair), margin)))
    return findings


def _by_pair(rows: pd.DataFrame) -> dict[frozenset[str], Row]:
    return {frozenset((row["a"], row["b"])): row for row in records(rows)}


def _mcnemar_by_pair(tests: pd.DataFrame) -> dict[frozenset[str], Row]:
    return _by_pair(tests[tests["test"] == paired_tests.MCNEMAR])


def _judged(row: Row, tested: Row | None, margin: float) -> str:
    """Return how a sentence ends that gives an interval: what it is over, and the verdict.

    The verdict is about networks trained on other faces. Where too few splits tell of these, what
    McNemar's test says of the networks that there are comes before it.
    """
    over = f"over {row['interval']}, {row['seeds']} seed{'s' * (row['seeds'] > 1)})"
    if row["p_holm"] is None:
        own = f"; McNemar's test of these networks {p_value(tested['p_holm'])}" if tested else ""
        return f"{over}{own}; inconclusive about networks trained on other faces."
    p, p_equivalence = (p_value(row[name]) for name in ("p_holm", "p_equivalence_holm"))
    limit = comparison.in_points(margin)
    if row["verdict"] != comparison.DIFFERENT:
        return f"{over}: {row['verdict']} (no difference {p}, {limit} or more {p_equivalence})."
    within = row["p_equivalence_holm"] < stats.LEVEL
    yet = f", and yet by less than {limit} ({p_equivalence})" if within else ""
    return f"{over}: different ({p}){yet}."
