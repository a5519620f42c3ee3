"""The band map: what networks achieve by where a band lies that covers rows of the face.

Networks that were trained under a band have learnt to do without its rows, and with its noise. The
network that was trained without occlusion, and only tested under the same bands and with other
fills, has learnt neither: together they separate what is hidden from what the noise does.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from fer_lit.analysis.chapter import ALL, Analysis, Chapter, Drawing, Finding, Table
from fer_lit.analysis.chapters.band_curves import draw_band_map
from fer_lit.analysis.chapters.band_runs import (
    WITHOUT,
    Bands,
    Predicted,
    find_bands,
    own_predictions,
    predict_under_bands,
)
from fer_lit.analysis.chapters.costs import drop_table
from fer_lit.analysis.networks import Networks, load_networks, load_photographs
from fer_lit.analysis.report.style import percent, points
from fer_lit.analysis.selection import Selection
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet
from fer_lit.paper import BANDS
from fer_lit.precision import choose_device
from fer_lit.runs.predictions import join_predictions, pooled
from fer_lit.stats import wilson

_FIGURE_CAPTION = (
    "The band map: how often networks are right (of an emotion: its recall) by where a band lies, "
    "with 95 % Wilson intervals. A point is at the middle row of its band. The vertical line is "
    "the network without occlusion, tested without."
)
_TABLE_CAPTION = (
    "The band map. Trained: networks trained under this band. Tested: networks trained without "
    "occlusion, which meet the band for the first time. Reference: these without a band. Every "
    "photograph counts once, with 95 % Wilson intervals; drops are against the reference, on the "
    "same photographs, with 95 % bootstrap intervals over photographs."
)

_WHO = {
    "trained": "Networks trained under the band ({})",
    "tested": "Networks trained without occlusion and tested under the band ({})",
}


def chapter(analysis: Analysis) -> Chapter:
    """Draw the band map, and say what it says.

    Raises:
        ConfigError: the runs make no band map.
    """
    bands, notes = find_bands(analysis.selection)
    faces, problems = _photographs(analysis)
    predicted = own_predictions(bands)
    if faces and bands.reference:
        tested, unloaded = _test(analysis, bands, faces)
        predicted, problems = predicted | tested, [*problems, *unloaded]
    table = band_table(predicted, bands.height)
    face = faces.pixels.mean(axis=0) if faces else None
    return Chapter(
        "What each row of the face is worth",
        [Drawing("band_map", draw_band_map(table, face), _FIGURE_CAPTION)],
        [Table("band_map", table, {_TABLE_CAPTION: None})],
        band_findings(table),
        [*notes, *problems],
    )


def _photographs(analysis: Analysis) -> tuple[FaceSet | None, list[str]]:
    try:
        return load_photographs(analysis.selection, analysis.cfg.data.root), []
    except ConfigError as error:
        return None, [f"no network is tested under the bands, and no face is drawn: {error}"]


def _test(analysis: Analysis, bands: Bands, faces: FaceSet) -> tuple[Predicted, list[str]]:
    """Return the predictions of the networks without occlusion, and which cannot be rebuilt."""
    whole, device = bands.reference, choose_device("auto")
    only = replace(analysis.selection, conditions={whole.label: whole})
    trained, problems = load_networks(only, analysis.cfg.weights, device)
    if not trained:
        return {}, problems
    return predict_under_bands(Networks(only, faces, trained, device), bands), problems


def band_table(predicted: Predicted, height: int) -> pd.DataFrame:
    """Return how often networks are right by where the band lies.

    Args:
        predicted: what they predict.
        height: rows of each band.

    Returns:
        For each place, one row for all emotions together (`emotion` is `all`), then one per
        emotion: `kind`, `fill` and `top` (see `Place`), `height`, `emotion`, `seeds` (their
        number), and of the pooled faces `faces`, `accuracy` (of an emotion: its recall), `low` and
        `high` (95 % Wilson interval), `drop` (against the reference, on the photographs of the
        seeds that both have), `drop_low` and `drop_high` (95 % bootstrap interval over
        photographs). All but the counts are 0–1; what is not known is missing.
    """
    numbers = {place: str(number) for number, place in enumerate(predicted)}
    joined = join_predictions({numbers[place]: own for place, own in predicted.items()})
    pools = dict(list(pooled(joined).groupby("condition")))
    rows = []
    for place, by_seed in predicted.items():
        pool = pools[numbers[place]]
        emotions = pool["label"].cat.categories
        parts = {ALL: pool} | {emotion: pool[pool["label"] == emotion] for emotion in emotions}
        for emotion, part in parts.items():
            rows.append(
                {
                    "condition": numbers[place],
                    **place._asdict(),
                    "height": None if place.top is None else height,
                    "emotion": emotion,
                    "seeds": len(by_seed),
                    "faces": len(part),
                    "accuracy": part["right"].mean(),
                    **wilson(part["right"].sum(), len(part))._asdict(),
                }
            )
    references = dict.fromkeys(numbers.values(), numbers.get(WITHOUT, ""))
    drops = drop_table(joined, references)[["condition", "emotion", "drop", "low", "high"]]
    drops = drops.rename(columns={"low": "drop_low", "high": "drop_high"})
    table = pd.DataFrame(rows).astype({"top": "Int64", "height": "Int64"})
    return table.merge(drops, "left", on=["condition", "emotion"]).drop(columns="condition")


def band_findings(table: pd.DataFrame) -> list[Finding]:
    """Return where networks do worst, and how much training under the noise takes off its cost.

    Args:
        table: see `band_table`.
    """
    whole, single = table[table["emotion"] == ALL], table[table["emotion"] != ALL]
    worst = {
        kind: [
            _worst(who.format(fill), curve)
            for fill, curve in whole[whole["kind"] == kind].groupby("fill", sort=False)
        ]
        for kind, who in _WHO.items()
    }
    known = single[(single["kind"] == "trained") & single["drop"].notna()]
    texts = [
        *worst["trained"],
        *(_by_emotion(fill, curve) for fill, curve in known.groupby("fill", sort=False)),
        *worst["tested"],
        *(_what_noise_does(part, whole) for part in BANDS if part != "nose"),
    ]
    return [Finding(text) for text in texts if text]


def _worst(who: str, curve: pd.DataFrame) -> str:
    row = curve.loc[curve["accuracy"].idxmin()]
    text = (
        f"{who} do worst where it covers {_rows(row)}: accuracy {percent(row['accuracy'])} (95 % "
        f"interval {percent(row['low'])} to {percent(row['high'])})"
    )
    if pd.isna(row["drop"]):
        return f"{text}."
    side = "below" if row["drop"] >= 0 else "above"
    return (
        f"{text}, {points(abs(row['drop']))} points {side} networks without occlusion (95 % "
        f"interval of the drop {points(row['drop_low'])} to {points(row['drop_high'])})."
    )


def _by_emotion(fill: str, curve: pd.DataFrame) -> str:
    """Return where each emotion suffers most from the bands that networks were trained under."""
    worst = curve.loc[curve.groupby("emotion", sort=False)["drop"].idxmax()]
    costs = [f"{row['emotion']} {_drop(row)} at {_rows(row)}" for _, row in worst.iterrows()]
    start = f"Trained under the band ({fill}), the recall of an emotion drops at most by: "
    return f"{start}{'; '.join(costs)}."


def _what_noise_does(part: str, whole: pd.DataFrame) -> str:
    """Return what covering a part of the face costs, with and without training under the band."""
    here = whole[(whole["top"] == BANDS[part].start).fillna(False) & whole["drop"].notna()]
    untrained = [row for _, row in here[here["kind"] == "tested"].iterrows()]
    if not untrained:
        return ""
    costs = ", ".join(f"{row['fill']} {_drop(row)}" for row in untrained)
    text = (
        f"At the {part} ({_rows(untrained[0])}) the band costs networks that meet it for the first "
        f"time: {costs}"
    )
    noise = here[here["fill"] == "noise"].set_index("kind")
    if not {"trained", "tested"} <= set(noise.index):
        return f"{text}."
    text += f"; and networks trained under its noise: {_drop(noise.loc['trained'])}"
    if noise.loc["tested", "drop_low"] <= 0:
        return f"{text}."
    left = noise.loc["trained", "drop"] / noise.loc["tested", "drop"]
    return f"{text}, {percent(left)} of what the noise costs the others."


def _rows(row: pd.Series) -> str:
    return f"rows {row['top']} to {row['top'] + row['height'] - 1}"


def _drop(row: pd.Series) -> str:
    return f"{points(row['drop'])} points ({points(row['drop_low'])} to {points(row['drop_high'])})"


def subtitle(selection: Selection) -> str:
    """Return what is analysed, in one sentence."""
    bands, _ = find_bands(selection)
    first = selection.runs[0].provenance
    trained = sum(len(one.runs) for one in bands.trained.values())
    whole = len(bands.reference.runs) if bands.reference else 0
    return (
        f"{trained} networks trained under a band of {bands.height} rows at "
        f"{len(bands.tops)} places, {whole} without occlusion, {selection.config.model.network}, "
        f"{sum(first['faces'].values()):,} faces, data: {first['data']}"
    )
