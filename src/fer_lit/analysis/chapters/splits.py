"""How the faces were split, and what accuracy owes to the way of splitting them."""

from collections.abc import Mapping
from itertools import combinations
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd

from fer_lit.analysis.chapter import Analysis, Chapter, Finding, Table, records
from fer_lit.analysis.chapters.leakage import LEAKAGE_CAPTIONS, leakage_findings, leakage_table
from fer_lit.analysis.labels import Condition, Pair, Run
from fer_lit.analysis.report.style import points
from fer_lit.comparison import FACES, MIN_NETWORKS, SPLITS, effective_count
from fer_lit.stats import Mean, corrected_variance, newcombe, welch

_SPLITS_CAPTION = (
    "How the faces were split: numbers of faces, means over seeds. Duplicates: how many validation "
    "and test faces have one among the training faces; near ones include exact ones."
)
_PROTOCOLS_CAPTION = (
    "Split protocols side by side. They test other faces, so nothing is paired: the difference (a "
    "minus b) has a 95 % interval over faces, Newcombe's, or over splits, Welch's with Nadeau and "
    "Bengio's variances, whichever is wider. Both: one side has fewer than three splits, so that "
    "its variance is over faces."
)
_PROTOCOL_COLUMNS = (
    "condition",
    *(f"{name}_{side}" for side in "ab" for name in ("protocol", "mean", "exact", "near")),
    *("difference", "low", "high", "interval"),
)


def chapter(analysis: Analysis) -> Chapter:
    """Count the faces of each part, compare the protocols, and say what duplicates are worth."""
    conditions = analysis.selection.conditions
    protocols = protocol_table(conditions)
    tables = [
        Table("splits", splits_table(conditions), {_SPLITS_CAPTION: None}),
        Table("protocols", protocols, {_PROTOCOLS_CAPTION: None}),
    ]
    findings, notes = protocol_findings(protocols), []
    if analysis.networks:
        margin = analysis.cfg.margin / 100
        leakage = leakage_table(conditions, analysis.networks.faces, margin)
        tables.append(Table("leakage", leakage, LEAKAGE_CAPTIONS))
        findings += leakage_findings(leakage, margin)
    else:
        notes = ["what duplicates in training are worth is not told: that takes the photographs"]
    return Chapter("How the faces were split", tables=tables, findings=findings, notes=notes)


def splits_table(conditions: Mapping[str, Condition]) -> pd.DataFrame:
    """Return how the faces of each condition's runs were split.

    Returns:
        One row per condition: `condition`, `protocol`, `seeds` (their number), the faces that
        `train`, are `validation` and `test` (missing without such a part), and `exact_duplicates`
        and `near_duplicates`: validation and test faces that have one among the training faces,
        near ones including exact ones (missing in runs that did not count them). Numbers of faces
        are means over the runs, rounded.
    """
    counts = ["train", "validation", "test", "exact_duplicates", "near_duplicates"]
    runs = pd.DataFrame(
        {"condition": label, "protocol": one.protocol, **_counts(run)}
        for label, one in conditions.items()
        for run in one.runs.values()
    ).astype(dict.fromkeys(counts, float))
    by_condition = runs.groupby(["condition", "protocol"], sort=False)
    table = by_condition[counts].agg(lambda own: own.mean(skipna=False)).round().astype("Int64")
    table.insert(0, "seeds", by_condition.size())
    return table.reset_index()


def _counts(run: Run) -> dict[str, int | None]:
    duplicates = run.provenance.get("duplicates_across") or {}
    return {
        **{part: run.faces.get(part) or None for part in ("train", "validation", "test")},
        **{f"{kind}_duplicates": duplicates.get(kind) for kind in ("exact", "near")},
    }


def protocol_pairs(conditions: Mapping[str, Condition]) -> list[Pair]:
    """Return the pairs that differ in the split only, and are judged on the same part."""
    return [
        (a.label, b.label)
        for a, b in combinations(conditions.values(), 2)
        if a.unsplit == b.unsplit
        and a.protocol != b.protocol
        and a.first.has_test == b.first.has_test
    ]


def protocol_table(conditions: Mapping[str, Condition]) -> pd.DataFrame:
    """Return how accuracy differs between protocols, which test other faces.

    The interval is Newcombe's for two proportions, over the faces, or Welch's with the variances of
    `stats.corrected_variance`, over the splits, whichever is wider. A side of fewer than three
    splits has the variance of a proportion in Welch's, and knows nothing of other training faces.
    Photographs that both protocols test are taken for different ones.

    Returns:
        One row for each of the `protocol_pairs`: `condition` (what both share), and of each, here
        a: `protocol_a`, `mean_a` (accuracy over the seeds, 0–1), `exact_a` and `near_a`
        (duplicates, as in `splits_table`); `difference` (of the means, a minus b), `low`, `high`
        (95 % interval), `interval` (what it is over: `splits`, `faces`, or `both`).
    """
    splits = splits_table(conditions).set_index("condition")
    sides = splits[["protocol", "exact_duplicates", "near_duplicates"]]
    sides = sides.set_axis(["protocol", "exact", "near"], axis="columns")
    rows = [
        _difference(conditions[a], conditions[b])
        | dict(sides.loc[a].add_suffix("_a"))
        | dict(sides.loc[b].add_suffix("_b"))
        for a, b in protocol_pairs(conditions)
    ]
    counts = ("exact_a", "near_a", "exact_b", "near_b")
    return pd.DataFrame(rows, columns=_PROTOCOL_COLUMNS).astype(dict.fromkeys(counts, "Int64"))


def _difference(a: Condition, b: Condition) -> dict[str, Any]:
    means = _over_faces(a), _over_faces(b)
    shares = [own.value for own in means]
    counts = [own.freedom + 1 for own in means]
    successes = [p * n for p, n in zip(shares, counts, strict=True)]
    interval, over = newcombe(successes[0], counts[0], successes[1], counts[1]), FACES
    repeated = [_over_splits(one) for one in (a, b)]
    if any(repeated):
        over_splits = welch(*(own or face for own, face in zip(repeated, means, strict=True)))
        if over_splits and np.ptp(over_splits) > np.ptp(interval):
            interval, over = over_splits, SPLITS if all(repeated) else "both"
    named = {"condition": a.unsplit, "mean_a": shares[0], "mean_b": shares[1]}
    difference = shares[0] - shares[1]
    return named | {"difference": difference, **interval._asdict(), "interval": over}


def _over_splits(condition: Condition) -> Mean | None:
    """Return the mean accuracy with its variance over splits; None of fewer than three."""
    accuracies, ratio = [run.accuracy for run in condition.runs.values()], condition.ratio
    if ratio is None or len(accuracies) < MIN_NETWORKS:
        return None
    return Mean(mean(accuracies), corrected_variance(accuracies, ratio), len(accuracies) - 1)


def _over_faces(condition: Condition) -> Mean:
    """Return the mean accuracy with the variance of a proportion of its faces."""
    runs = list(condition.runs.values())
    value = mean(run.accuracy for run in runs)
    faces = effective_count(np.concatenate([run.predictions["image"] for run in runs]))
    return Mean(value, value * (1 - value) / faces, faces - 1)


def protocol_findings(protocols: pd.DataFrame) -> list[Finding]:
    """Return how accuracy differs between each two protocols (see `protocol_table`)."""
    findings = []
    for (a, b), own in protocols.groupby(["protocol_a", "protocol_b"], sort=False):
        rows = records(own)
        differences = [
            f"{row['condition']} {points(row['difference'])}"
            + ("" if row["low"] is None else f" ({points(row['low'])} to {points(row['high'])})")
            for row in rows
        ]
        text = (
            f"Accuracy under protocol {a} minus that under {b}, in points, with 95 % intervals: "
            f"{', '.join(differences)}. Held-out faces with a near duplicate among the training "
            f"faces: {_said_duplicates(rows[0], 'a')}, {_said_duplicates(rows[0], 'b')}."
        )
        findings.append(Finding(text))
    return findings


def _said_duplicates(row: Mapping[str, Any], side: str) -> str:
    exact, near = row[f"exact_{side}"], row[f"near_{side}"]
    counts = "not counted" if near is None else f"{near:,}"
    of_these = f" ({exact:,} of them exact)" if near else ""
    return f"{row[f'protocol_{side}']} {counts}{of_these}"
