"""Whether the maps can be trusted: checks that can fail, on a few photographs."""

from __future__ import annotations

import pandas as pd

from fer_lit.analysis.chapter import (
    FAILED,
    PASSED,
    Analysis,
    Chapter,
    Drawing,
    Finding,
    Table,
)
from fer_lit.analysis.checks.cascade import draw_cascade
from fer_lit.analysis.checks.outcomes import CHECKS, failed_checks

_CAPTION = (
    "Checks of the maps of each condition's first network. Knows the emotions: balanced accuracy. "
    "Random head, random backbone: mean |ρ| (rank correlation) with the maps of heads with random "
    "weights, and of the same head on a random backbone. Reproducibility: mean ρ with the maps of "
    "a head that was trained once more. Deletion, insertion, ROAD combined: how much more the "
    "label's probability depends on what the map points to than on what a control does, that "
    "which is beaten by less: the map of a random head, or a blob in the middle of the face. "
    "Drawn faces: the row at which the maps of a new head peak, which learnt drawn faces, whose "
    "emotion is in the mouth."
)
_CASCADE_CAPTION = (
    "How alike maps stay, as mean |ρ|, while the blocks of the backbone are given random weights, "
    "the deepest first; the head stays as it is. Shaded: 95 % intervals over photographs. At the "
    "right end, where all blocks are random, maps must lie below the dashed line."
)


def chapter(analysis: Analysis) -> Chapter | None:
    """Show what came of the checks of each condition's first network."""
    if not analysis.checks:
        return None
    table, stages = analysis.checks.table, analysis.checks.stages
    drawings = [Drawing("cascade", draw_cascade(stages), _CASCADE_CAPTION)] if len(stages) else []
    return Chapter(
        "Can the maps be trusted?",
        drawings,
        [Table("checks", table, {_CAPTION: None}), Table("cascade", stages)],
        [*summary(table), *check_findings(table)],
    )


def summary(checks: pd.DataFrame) -> list[Finding]:
    """Return a sentence that names the checks that the maps fail, if any was made."""
    judged = checks[checks["verdict"].isin(("pass", "fail"))]
    if judged.empty:
        return []
    failed = failed_checks(judged)
    if not failed:
        return [Finding("The maps pass all checks that could be made.", PASSED)]
    text = f"Nothing should be concluded from maps that fail a check: {'; '.join(failed)}."
    return [Finding(text, FAILED)]


def check_findings(checks: pd.DataFrame) -> list[Finding]:
    """Return whether the maps can be trusted: one finding for each kind of check."""
    findings = []
    for check, rows in checks.groupby("check", sort=False):
        judged = rows[rows["verdict"].isin(("pass", "fail"))]
        text = f"Check of the maps: {CHECKS[check]}"
        if judged.empty:
            findings.append(Finding(f"{text}: {rows['verdict'].iloc[0]}."))
        else:
            failed = judged.loc[judged["verdict"] == "fail", "condition"]
            where = ", ".join(failed.dropna())
            text += f" (not under {where})." if where else "."
            findings.append(Finding(text, PASSED if failed.empty else FAILED))
    return findings
