"""What an analysis found, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_lit.analysis.mapping import MappedPhotographs
from fer_lit.analysis.report import Statement
from fer_lit.analysis.shares import ALL, BANDS, interval, network_shares
from fer_lit.faces.face_set import SIZE

Row = Mapping[str, Any]


def accuracy_statements(
    accuracies: Sequence[Row], drops: Sequence[Row], tests: Sequence[Row]
) -> list[Statement]:
    """Return what the networks achieve, and what each occlusion costs."""
    levels = [f"{row['condition']} {_percent(row['accuracy'])}" for row in accuracies]
    statements = [Statement(f"Accuracy on faces not trained on: {', '.join(levels)}.", None)]
    p_holm = {
        frozenset((row["a"], row["b"])): row["p_holm"] for row in tests if row["test"] == "McNemar"
    }
    for row in drops:
        if row["emotion"] == "all":
            p = p_holm.get(frozenset((row["condition"], row["reference"])))
            statements.append(Statement(_cost(row, p), None))
    return statements


def transfer_statements(transfer: Sequence[Row]) -> list[Statement]:
    """Return what a network that has never seen a band makes of it."""
    mean = {(row["trained"], row["tested"]): row["mean"] for row in transfer}
    own = {key[0] for key in mean if key[0] == key[1]} - {"none"}
    pairs = [
        f"{name} {_percent(mean['none', name])} (trained under it: {_percent(mean[name, name])})"
        for name in BANDS
        if name in own and ("none", name) in mean
    ]
    if not pairs:
        return []
    text = "Networks trained without occlusion, tested under a band they have never seen: "
    return [Statement(f"{text}{', '.join(pairs)}.", None)]


def paper_statements(mapped: MappedPhotographs, seed: int) -> list[Statement]:
    """Return the paper's three findings about where the networks look, as numbers.

    It "still looks at the covered band" is taken to hold if the share of attention mass there is
    above the band's share of the face, and "looks at the eyes" with the nose covered, if more
    attention lies in the eyes' band than in the nose's; both if the whole 95 % bootstrap interval
    over photographs says so. That interval knows nothing of how networks differ, so with several
    seeds each statement adds how many of the networks agree.

    Args:
        mapped: maps of the conditions; what is not among them has no statement.
        seed: of the bootstrap.
    """
    rows = dict(zip(mapped.attention.conditions, map(_known, mapped.rows), strict=True))
    statements = []
    for name, rule in (
        ("eyes", _looks_at_the_band),
        ("mouth", _looks_at_the_band),
        ("nose", _looks_at_the_eyes),
    ):
        if name in rows and len(rows[name]) > 1:
            of_networks = dict(zip(BANDS, network_shares(mapped, name, ALL).T, strict=True))
            statements.append(rule(name, rows[name], of_networks, seed))
    return statements


def check_statements(checks: Sequence[Row]) -> list[Statement]:
    """Return whether the maps can be trusted: a statement a kind of check."""
    kinds = {
        "random head": "Maps of heads with random weights differ from those of the trained heads",
        "deletion": "Removing the most attended fifth of a face hurts more than removing another",
        "drawn faces": "On drawn faces the attention of a new head peaks at the mouth, where the "
        "emotion was drawn",
    }
    return [
        _check_statement(text, [row for row in checks if row["check"] == kind])
        for kind, text in kinds.items()
        if any(row["check"] == kind for row in checks)
    ]


def _cost(row: Row, p: float | None) -> str:
    drop = row["drop"]
    chance = "" if p is None else f"; McNemar's test {_p(p)} after Holm's correction"
    return (
        f"Under {row['condition']} accuracy is {_points(abs(drop))} points "
        f"{'lower' if drop >= 0 else 'higher'} than under {row['reference']} (95 % interval of the "
        f"drop {_points(row['low'])} to {_points(row['high'])}{chance})."
    )


def _known(rows: np.ndarray) -> np.ndarray:
    return rows[~np.isnan(rows[:, 0])]


def _looks_at_the_band(
    name: str, rows: np.ndarray, of_networks: Mapping[str, np.ndarray], seed: int
) -> Statement:
    band = BANDS[name]
    share = rows[:, band].sum(axis=1)
    low, high = interval(share, seed)
    area = (band.stop - band.start) / SIZE
    text = (
        f"The paper: with the {name} covered, the network still looks at the covered band. Here "
        f"{_percent(share.mean())} ({_percent(low)} to {_percent(high)}) of the attention lies in "
        f"it, which makes up {_percent(area)} of the face.{_agreeing(of_networks[name] > area)}"
    )
    return Statement(text, bool(low > area))


def _looks_at_the_eyes(
    name: str, rows: np.ndarray, of_networks: Mapping[str, np.ndarray], seed: int
) -> Statement:
    eyes, covered = (rows[:, BANDS[band]].sum(axis=1) for band in ("eyes", name))
    low, high = interval(eyes - covered, seed)
    agree = of_networks["eyes"] > of_networks[name]
    text = (
        f"The paper: with the {name} covered, the network looks at the eyes. Here "
        f"{_percent(eyes.mean())} of the attention lies at the eyes and "
        f"{_percent(covered.mean())} at the covered {name}, a difference of "
        f"{_points((eyes - covered).mean())} points ({_points(low)} to {_points(high)})."
        f"{_agreeing(agree)}"
    )
    return Statement(text, bool(low > 0))


def _agreeing(networks: np.ndarray) -> str:
    """Return how many networks agree, taken one by one; nothing if there is only one."""
    if len(networks) < 2:
        return ""
    return f" Of the {len(networks)} networks, one by one, {int(networks.sum())} agree."


def _check_statement(text: str, rows: Sequence[Row]) -> Statement:
    judged = [row for row in rows if row["verdict"] in ("pass", "fail")]
    if not judged:
        return Statement(f"Check of the maps: {text}: {rows[0]['verdict']}.", None)
    failed = [row["condition"] for row in judged if row["verdict"] == "fail"]
    where = f" (not under {', '.join(failed)})" if failed and failed != [None] else ""
    return Statement(f"Check of the maps: {text}{where}.", not failed)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f}".replace("-", "−")


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
