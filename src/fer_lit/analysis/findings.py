"""What an analysis found, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from statsmodels.stats.weightstats import DescrStatsW

from fer_lit.analysis.mapping import MappedPhotographs
from fer_lit.analysis.report import Statement
from fer_lit.analysis.shares import (
    ALL,
    BANDS,
    bootstrap_interval,
    network_shares,
    photograph_shares,
)
from fer_lit.faces.face_set import SIZE
from fer_lit.occlusion import Occlusion

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


def paper_statements(
    mapped: MappedPhotographs, occlusions: Mapping[str, Occlusion], seed: int
) -> list[Statement]:
    """Return the paper's three findings about where the networks look, as numbers.

    It "still looks at the covered band" is taken to hold if the share of attention mass there is
    above the band's share of the face, and "looks at the eyes" with the nose covered, if more
    attention lies in the eyes' band than in the nose's; both if the whole 95 % interval says so,
    not to hold if the whole interval says the opposite, and otherwise it cannot be told. The
    interval is that of Student's t over networks; of a single network, the bootstrap's over its
    photographs, which knows nothing of how networks differ.

    Args:
        mapped: maps of the conditions.
        occlusions: of the conditions; what the paper has not has no statement.
        seed: of the bootstrap.
    """
    rules = {"eyes": _looks_at_the_band, "mouth": _looks_at_the_band, "nose": _looks_at_the_eyes}
    statements = []
    for name, rule in rules.items():
        for label in mapped.attention.conditions:
            shares, over = _shares_of_all(mapped, label)
            same = occlusions[label].name == name and occlusions[label].is_papers
            if same and shares.shape[1] > 1:
                found = rule(name, dict(zip(BANDS, shares, strict=True)), over, seed)
                which = "" if label == name else f" ({label})"
                statements.append(Statement(f"The paper{which}: {found.text}", found.holds))
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


def _shares_of_all(mapped: MappedPhotographs, condition: str) -> tuple[np.ndarray, str]:
    """Return the shares, (bands, N), of N networks, or of a single one's N photographs."""
    networks = network_shares(mapped, condition, ALL)
    if len(networks) > 1:
        return networks[~np.isnan(networks[:, 0])].T, "networks"
    return photograph_shares(mapped, condition), "photographs"


def _looks_at_the_band(
    name: str, shares: Mapping[str, np.ndarray], over: str, seed: int
) -> Statement:
    share, band = shares[name], BANDS[name]
    low, high = np.clip(_interval(share, over, seed), 0, 1)
    area = (band.stop - band.start) / SIZE
    text = (
        f"with the {name} covered, the network still looks at the covered band. Here "
        f"{_percent(share.mean())} of the attention lies in it (95 % interval over {over} "
        f"{_percent(low)} to {_percent(high)}), and it makes up {_percent(area)} of the face."
    )
    return _judged(text + _agreeing(share > area, over), low - area, high - area)


def _looks_at_the_eyes(
    name: str, shares: Mapping[str, np.ndarray], over: str, seed: int
) -> Statement:
    eyes, covered = shares["eyes"], shares[name]
    low, high = _interval(eyes - covered, over, seed)
    text = (
        f"with the {name} covered, the network looks at the eyes. Here "
        f"{_percent(eyes.mean())} of the attention lies at the eyes and "
        f"{_percent(covered.mean())} at the covered {name}, a difference of "
        f"{_points((eyes - covered).mean())} points (95 % interval over {over} {_points(low)} to "
        f"{_points(high)})."
    )
    return _judged(text + _agreeing(eyes > covered, over), low, high)


def _judged(text: str, low: float, high: float) -> Statement:
    """Return whether a number is above 0, from the ends of its interval."""
    if low <= 0 <= high:
        return Statement(f"{text} On these runs it cannot be told.", None)
    return Statement(text, bool(low > 0))


def _interval(values: np.ndarray, over: str, seed: int) -> tuple[float, float]:
    if over == "photographs":
        return bootstrap_interval(values, seed)
    return DescrStatsW(values).tconfint_mean()


def _agreeing(agree: np.ndarray, over: str) -> str:
    """Return how many networks agree, taken one by one; of one network nothing."""
    if over == "photographs":
        return ""
    return f" One by one, {int(agree.sum())} of {len(agree)} networks agree."


def _check_statement(text: str, rows: Sequence[Row]) -> Statement:
    judged = [row for row in rows if row["verdict"] in ("pass", "fail")]
    if not judged:
        return Statement(f"Check of the maps: {text}: {rows[0]['verdict']}.", None)
    failed = [row["condition"] for row in judged if row["verdict"] == "fail"]
    where = f" (not under {', '.join(failed)})" if failed and failed != [None] else ""
    return Statement(f"Check of the maps: {text}{where}.", not failed)


def _percent(share: float) -> str:
    return f"{_points(share)} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f}".replace("-", "−")


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
