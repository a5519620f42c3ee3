"""What a band map says, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fer_lit.analysis.report import Statement
from fer_lit.analysis.shares import ALL
from fer_lit.analysis.wording import percent, points
from fer_lit.paper import BANDS

Row = Mapping[str, Any]


def band_statements(rows: Sequence[Row]) -> list[Statement]:
    """Return where networks do worst, and how much training under the noise takes off its cost.

    Args:
        rows: see `band_map.band_table`.
    """
    texts = [
        *(_worst(place, rows) for place in _curves(rows, "trained")),
        *_by_emotion(rows),
        *(_worst(place, rows) for place in _curves(rows, "tested")),
        *(_what_noise_does(part, band, rows) for part, band in BANDS.items() if part != "nose"),
    ]
    return [Statement(text, None) for text in texts if text]


def _curves(rows: Sequence[Row], kind: str) -> list[tuple[str, str]]:
    return list(dict.fromkeys((kind, row["fill"]) for row in rows if row["kind"] == kind))


def _worst(curve: tuple[str, str], rows: Sequence[Row]) -> str:
    kind, fill = curve
    row = _lowest(row for row in _of(rows, kind, fill) if row["emotion"] == ALL)
    who = {
        "trained": f"Networks trained under the band ({fill})",
        "tested": f"Networks trained without occlusion and tested under the band ({fill})",
    }[kind]
    text = (
        f"{who} do worst where it covers {_rows(row)}: accuracy {percent(row['accuracy'])} (95 % "
        f"interval {percent(row['low'])} to {percent(row['high'])})"
    )
    return f"{text}{_and_drop(row)}."


def _by_emotion(rows: Sequence[Row]) -> list[str]:
    """Return where each emotion suffers most from the bands trained under, if that is known."""
    texts = []
    for _, fill in _curves(rows, "trained"):
        own = [row for row in _of(rows, "trained", fill) if row["drop"] is not None]
        emotions = dict.fromkeys(row["emotion"] for row in own if row["emotion"] != ALL)
        worst = [
            max((row for row in own if row["emotion"] == emotion), key=lambda row: row["drop"])
            for emotion in emotions
        ]
        if worst:
            costs = [f"{row['emotion']} {_drop(row)} at {_rows(row)}" for row in worst]
            start = f"Trained under the band ({fill}), the recall of an emotion drops at most by: "
            texts.append(f"{start}{'; '.join(costs)}.")
    return texts


def _what_noise_does(part: str, band: slice, rows: Sequence[Row]) -> str:
    """Return what covering a part of the face costs, with and without training under the band."""
    here = {
        (row["kind"], row["fill"]): row
        for row in rows
        if row["emotion"] == ALL and row["top"] == band.start and row["drop"] is not None
    }
    untrained = [here[key] for key in here if key[0] == "tested"]
    if not untrained:
        return ""
    costs = ", ".join(f"{row['fill']} {_drop(row)}" for row in untrained)
    text = (
        f"At the {part} ({_rows(untrained[0])}) the band costs networks that meet it for the first "
        f"time: {costs}"
    )
    noise, trained = here.get(("tested", "noise")), here.get(("trained", "noise"))
    if not noise or not trained:
        return f"{text}."
    text += f"; and networks trained under its noise: {_drop(trained)}"
    if noise["drop_low"] <= 0:
        return f"{text}."
    left = trained["drop"] / noise["drop"]
    return f"{text}, {percent(left)} of what the noise costs the others."


def _of(rows: Iterable[Row], kind: str, fill: str) -> list[Row]:
    return [row for row in rows if (row["kind"], row["fill"]) == (kind, fill)]


def _lowest(rows: Iterable[Row]) -> Row:
    return min(rows, key=lambda row: row["accuracy"])


def _rows(row: Row) -> str:
    return f"rows {row['top']} to {row['top'] + row['height'] - 1}"


def _and_drop(row: Row) -> str:
    if row["drop"] is None:
        return ""
    side = "below" if row["drop"] >= 0 else "above"
    return (
        f", {points(abs(row['drop']))} points {side} networks without occlusion (95 % interval of "
        f"the drop {points(row['drop_low'])} to {points(row['drop_high'])})"
    )


def _drop(row: Row) -> str:
    return f"{points(row['drop'])} points ({points(row['drop_low'])} to {points(row['drop_high'])})"
