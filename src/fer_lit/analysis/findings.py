"""What an analysis found out about attention, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from fer_lit.analysis.mapping import MappedPhotographs
from fer_lit.analysis.repeated_splits import resampled_t
from fer_lit.analysis.report import Statement
from fer_lit.analysis.shares import (
    ALL,
    bootstrap_interval,
    network_shares,
    photograph_shares,
)
from fer_lit.analysis.wording import percent, points
from fer_lit.faces.face_set import SIZE
from fer_lit.faces.occlusion import Occlusion
from fer_lit.paper import BANDS

Row = Mapping[str, Any]
Interval = Callable[[np.ndarray], tuple[float, float]]


def paper_statements(
    mapped: MappedPhotographs,
    occlusions: Mapping[str, Occlusion],
    ratios: Mapping[str, float | None],
    seed: int,
) -> list[Statement]:
    """Return the paper's three findings about where the networks look, as numbers.

    It "still looks at the covered band" is taken to hold if the share of attention mass there is
    above the band's share of the face, and "looks at the eyes" with the nose covered, if more
    attention lies in the eyes' band than in the nose's; both if the whole 95 % interval says so,
    not to hold if the whole interval says the opposite, and otherwise it cannot be told. The
    interval is that of Student's t over networks, corrected for the faces that they were both
    trained on (see `repeated_splits`); of a single network, the bootstrap's over its photographs,
    which knows nothing of how networks differ.

    Args:
        mapped: maps of the conditions.
        occlusions: of the conditions; what the paper has not has no statement.
        ratios: held-out faces for each face trained on, by condition; None where the networks were
            trained on the same faces.
        seed: of the bootstrap.
    """
    rules = {"eyes": _looks_at_the_band, "mouth": _looks_at_the_band, "nose": _looks_at_the_eyes}
    statements = []
    for name, rule in rules.items():
        for label in mapped.attention.conditions:
            shares, over = _shares_of_all(mapped, label)
            same = occlusions[label].name == name and occlusions[label].is_papers
            if same and shares.shape[1] > 1:
                interval = partial(_interval, over=over, ratio=ratios[label] or 0, seed=seed)
                found = rule(name, dict(zip(BANDS, shares, strict=True)), over, interval)
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


def _shares_of_all(mapped: MappedPhotographs, condition: str) -> tuple[np.ndarray, str]:
    """Return the shares, (bands, N), of N networks, or of a single one's N photographs."""
    networks = network_shares(mapped, condition, ALL)
    if len(networks) > 1:
        return networks[~np.isnan(networks[:, 0])].T, "networks"
    return photograph_shares(mapped, condition), "photographs"


def _looks_at_the_band(
    name: str, shares: Mapping[str, np.ndarray], over: str, interval: Interval
) -> Statement:
    share, band = shares[name], BANDS[name]
    low, high = np.clip(interval(share), 0, 1)
    area = (band.stop - band.start) / SIZE
    text = (
        f"with the {name} covered, the network still looks at the covered band. Here "
        f"{percent(share.mean())} of the attention lies in it (95 % interval over {over} "
        f"{percent(low)} to {percent(high)}), and it makes up {percent(area)} of the face."
    )
    return _judged(text + _agreeing(share > area, over), low - area, high - area)


def _looks_at_the_eyes(
    name: str, shares: Mapping[str, np.ndarray], over: str, interval: Interval
) -> Statement:
    eyes, covered = shares["eyes"], shares[name]
    low, high = interval(eyes - covered)
    text = (
        f"with the {name} covered, the network looks at the eyes. Here "
        f"{percent(eyes.mean())} of the attention lies at the eyes and "
        f"{percent(covered.mean())} at the covered {name}, a difference of "
        f"{points((eyes - covered).mean())} points (95 % interval over {over} {points(low)} to "
        f"{points(high)})."
    )
    return _judged(text + _agreeing(eyes > covered, over), low, high)


def _judged(text: str, low: float, high: float) -> Statement:
    """Return whether a number is above 0, from the ends of its interval."""
    if low <= 0 <= high:
        return Statement(f"{text} On these runs it cannot be told.", None)
    return Statement(text, bool(low > 0))


def _interval(values: np.ndarray, over: str, ratio: float, seed: int) -> tuple[float, float]:
    if over == "photographs":
        return bootstrap_interval(values, seed)
    found = resampled_t(values, ratio)
    return (found.low, found.high) if found else (values.mean(), values.mean())


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
