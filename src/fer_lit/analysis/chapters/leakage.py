"""What it is worth to a network that it was trained on a duplicate of a face."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fer_lit import comparison, stats
from fer_lit.analysis.chapter import Finding, records
from fer_lit.analysis.labels import Condition, Run
from fer_lit.analysis.report.style import p_value, percent, points
from fer_lit.errors import ConfigError
from fer_lit.faces.duplicates import find_duplicates
from fer_lit.faces.face_set import FaceSet
from fer_lit.runs.predictions import read_predictions

_COLUMNS = (
    *("condition", "seeds", "faces_with", "faces_without", "accuracy_with", "accuracy_without"),
    *("difference", "low", "high", "interval", "p", "p_equivalence"),
)
_SIDES = {True: "with", False: "without"}
LEAKAGE_CAPTIONS = {
    "Faces not trained on that have an exact or near duplicate among the training faces, and those "
    "that have none: how many, and how often the same networks are right about them, means over "
    "runs. The two kinds of faces may differ in more than that.": _COLUMNS[:6],
    "The difference between them within each network (with minus without), its 95 % interval over "
    "splits or over faces, whichever is wider, and, from three splits on, the tests of no "
    "difference and of one as large as the margin, with Holm's correction over conditions.": [
        *("condition", *_COLUMNS[6:], "verdict"),
    ],
}


def leakage_table(
    conditions: Mapping[str, Condition], faces: FaceSet, margin: float
) -> pd.DataFrame:
    """Compare faces that have a duplicate among the training faces with those that have none.

    Drawn faces, which share one template, are left out.

    Args:
        conditions: by label.
        faces: those of the runs. Trained on are those that a run neither validates nor tests.
        margin: the smallest difference that would matter, 0–1.

    Returns:
        One row for each condition whose runs all have faces of both kinds: `condition`, `seeds`
        (their number), `faces_with` and `faces_without` (means over the runs, rounded),
        `accuracy_with` and `accuracy_without` (means over the runs, 0–1), `difference` (of these),
        `low`, `high`, `interval`, `p` and `p_equivalence` (see `comparison.unpaired_difference`;
        corrected by Holm over the conditions), `verdict` (see `comparison.verdict`).
    """
    table = pd.DataFrame(columns=_COLUMNS)
    if faces.origin != "synthetic":
        groups = pd.Series(find_duplicates(faces).near, faces.names)
        rows = [_row(one, groups, margin) for one in conditions.values()]
        table = pd.DataFrame([row for row in rows if row], columns=_COLUMNS)
    for name in ("p", "p_equivalence"):
        table[name] = stats.holm(table[name])
    both = zip(table["p"], table["p_equivalence"], strict=True)
    verdicts = [comparison.verdict(*one, margin) for one in both]
    return table.assign(verdict=pd.Series(verdicts, table.index, dtype=object))


def _row(condition: Condition, groups: pd.Series, margin: float) -> dict[str, Any] | None:
    runs = condition.runs.values()
    try:
        judged = pd.concat([_judged(run, groups) for run in runs], keys=condition.runs)
    except ConfigError:  # which faces validated is not known
        return None
    single = judged.groupby([judged.index.get_level_values(0), "known"])["right"]
    right, sizes = single.mean().unstack(), single.size().unstack()
    if right.shape[1] < 2 or right.isna().any(axis=None):
        return None
    # Of the duplicates of one photograph a network is right about all or none.
    counts = [comparison.effective_count(judged["group"][judged["known"] == k]) for k in _SIDES]
    accuracies = [right[known].to_numpy() for known in _SIDES]
    found = comparison.unpaired_difference(*accuracies, tuple(counts), condition.ratio, margin)
    numbers = {"seeds": len(runs), "difference": found.value}
    for known, side in _SIDES.items():
        numbers[f"faces_{side}"] = round(sizes[known].mean())
        numbers[f"accuracy_{side}"] = right[known].mean()
    return {"condition": condition.label, **numbers, **found._asdict()}


def _judged(run: Run, groups: pd.Series) -> pd.DataFrame:
    """Return of each prediction of a run whether it is `right`, and its face's `group`.

    `known` are those whose group has faces that the run was trained on.
    """
    held_out = set(run.predictions["image"])
    if run.has_test:
        classes = list(run.config.data.classes)
        held_out |= set(read_predictions(run.folder / "predictions.csv", classes)["image"])
    trained = groups[~groups.index.isin(held_out)]
    group = groups[run.predictions["image"]].to_numpy()
    known = np.isin(group, trained)
    return pd.DataFrame({"right": run.predictions["right"], "group": group, "known": known})


def leakage_findings(table: pd.DataFrame, margin: float) -> list[Finding]:
    """Return what duplicates are worth, in a sentence for each row of `leakage_table`."""
    findings = []
    for row in records(table):
        text = (
            f"Under {row['condition']} networks are right about "
            f"{percent(row['accuracy_with'])} of the faces that have a duplicate among those they "
            f"were trained on, and about {percent(row['accuracy_without'])} of the others: a "
            f"difference of {points(row['difference'])} points (95 % interval over "
            f"{row['interval']} {points(row['low'])} to {points(row['high'])}), {row['verdict']}"
        )
        tests = ""
        if row["p"] is not None:
            tests = (
                f" (no difference {p_value(row['p'])}, {comparison.in_points(margin)} or more "
                f"{p_value(row['p_equivalence'])})"
            )
        findings.append(Finding(f"{text}{tests}."))
    return findings
