"""The band map: what networks achieve by where a band lies that covers rows of the face.

Networks that were trained under a band have learnt to do without its rows, and with its noise. The
network that was trained without occlusion, and only tested under the same bands and with other
fills, has learnt neither: together they separate what is hidden from what the noise does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fer_lit.analysis.chapter import ALL, Analysis, Chapter, Drawing, Finding, Table
from fer_lit.analysis.chapters.band_runs import (
    Bands,
    Predicted,
    band_table,
    find_bands,
    own_predictions,
    predict_under_bands,
)
from fer_lit.analysis.networks import Networks, load_networks, load_photographs
from fer_lit.analysis.report import style
from fer_lit.analysis.report.style import percent, points
from fer_lit.analysis.selection import Selection
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import SIZE, FaceSet
from fer_lit.paper import BANDS
from fer_lit.precision import choose_device

_FIGURE_CAPTION = (
    "The band map: how often networks are right (of an emotion: its recall) by where a band lies, "
    "with 95 % intervals. A point is at the middle row of its band. The vertical line is "
    "the network without occlusion, tested without."
)
_TABLE_CAPTION = (
    "The band map. Trained: networks trained under this band. Tested: networks trained without "
    "occlusion, which meet the band for the first time. Reference: these without a band. Means "
    "over seeds; drops are against the reference, on the same photographs. The 95 % intervals are "
    "over splits or over faces, whichever is wider, and below three splits over faces."
)

Looks = Mapping[tuple[str, str], style.Look]
"""Of the curves, by kind of network and fill."""

_REFERENCE = {"color": "0.35", "linewidth": 0.8, "linestyle": (0, (1, 2))}
_FACE = slice(8, SIZE - 8)  # columns that are drawn
_LEAST_WIDTH = 4  # percentage points in a panel
_SAID = {"trained": "trained under the band", "tested": "tested only"}
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
    predicted, faces, problems = own_predictions(bands), None, []
    try:
        faces = load_photographs(analysis.selection, analysis.cfg.data.root)
    except ConfigError as error:
        problems = [f"no network is tested under the bands, and no face is drawn: {error}"]
    if faces and bands.reference:
        tested, problems = _test(analysis, bands, faces)
        predicted |= tested
    table = band_table(predicted, bands.height, {place: bands.ratio(place) for place in predicted})
    face = faces.pixels.mean(axis=0) if faces else None
    return Chapter(
        "What each row of the face is worth",
        [Drawing("band_map", draw_band_map(table, face), _FIGURE_CAPTION)],
        [Table("band_map", table, {_TABLE_CAPTION: None})],
        band_findings(table),
        [*notes, *problems],
    )


def _test(analysis: Analysis, bands: Bands, faces: FaceSet) -> tuple[Predicted, list[str]]:
    """Return the predictions of the networks without occlusion, and which cannot be rebuilt."""
    whole, device = bands.reference, choose_device("auto")
    only = replace(analysis.selection, conditions={whole.label: whole})
    trained, problems = load_networks(only, analysis.cfg.weights, device)
    if not trained:
        return {}, problems
    return predict_under_bands(Networks(only, faces, trained, device), bands), problems


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


def draw_band_map(table: pd.DataFrame, face: np.ndarray | None) -> Figure:
    """Draw accuracy and recalls from the top of the face to its bottom, beside a face.

    Args:
        table: see `band_table`; an emotion is a panel.
        face: float, (48, 48), 0–255: a mean face; None, if there is none to show.
    """
    emotions = list(table["emotion"].unique())
    bands = table.loc[table["top"].notna(), ["kind", "fill"]].drop_duplicates()
    curves = list(bands.itertuples(index=False, name=None))
    styles = dict(zip(curves, style.looks([str(curve) for curve in curves]).values(), strict=True))
    columns, lines = style.panel_grid(len(emotions), most=4)
    beside = 0 if face is None else 1
    size = (min(style.PAGE_WIDTH, 1.2 + 1.5 * (columns + beside)), 2.6 * lines + 0.75)
    figure = Figure(figsize=size, layout="constrained")
    shape, widths = (lines, columns + beside), [1.25] * beside + [1] * columns
    grid = figure.subplots(*shape, sharey=True, squeeze=False, width_ratios=widths)
    if face is not None:
        for axis in grid[:, 0]:
            _draw_face(axis, face)
    axes = list(grid[:, beside:].flat)
    for axis in axes[len(emotions) :]:
        axis.remove()
    for number, (axis, emotion) in enumerate(zip(axes, emotions, strict=False)):
        _draw_panel(axis, emotion, table[table["emotion"] == emotion], styles)
        if number % columns == columns - 1:
            style.name_bands(axis, BANDS)
    _make_widths_equal(axes[: len(emotions)])
    axes[0].set_ylim(SIZE - 0.5, -0.5)
    axes[0].set_yticks([0, 10, 20, 30, 40, SIZE - 1])
    for axis in grid[:, 0]:
        axis.set_ylabel("row of the face (middle of the band)")
    _draw_legend(figure, styles, (table["kind"] == "reference").any())
    return figure


def _make_widths_equal(axes: Sequence[Axes]) -> None:
    """Let a percentage point be as wide in each panel, wherever its curves lie."""
    ends = {axis: axis.dataLim.intervalx for axis in axes if np.isfinite(axis.dataLim.x0)}
    half = 0.55 * max([_LEAST_WIDTH, *(high - low for low, high in ends.values())])
    for axis, (low, high) in ends.items():
        middle = (low + high) / 2
        axis.set_xlim(middle - half, middle + half)
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _draw_face(axis: Axes, face: np.ndarray) -> None:
    style.style_axis(axis)
    axis.imshow(face[:, _FACE], cmap="gray", aspect="auto")
    axis.set_xticks([])
    axis.set_title("mean face", fontsize=style.NORMAL)
    for edge in style.band_edges(BANDS):
        axis.axhline(edge, color="white", linewidth=0.7, linestyle=(0, (3, 2)))


def _draw_panel(axis: Axes, emotion: str, table: pd.DataFrame, styles: Looks) -> None:
    style.style_axis(axis)
    whole = emotion == ALL
    axis.set_title("all emotions" if whole else emotion, fontsize=style.NORMAL)
    axis.set_xlabel("accuracy, %" if whole else "recall, %")
    for edge in style.band_edges(BANDS):
        axis.axhline(edge, color="0.85", linewidth=0.6, zorder=0)
    for accuracy in table.loc[table["kind"] == "reference", "accuracy"].dropna():
        axis.axvline(100 * accuracy, **_REFERENCE)
    for (kind, fill), look in styles.items():
        own = table[(table["kind"] == kind) & (table["fill"] == fill)]
        _draw_curve(axis, own.sort_values("top"), look)


def _draw_legend(figure: Figure, styles: Looks, with_reference: bool) -> None:
    names = {
        f"{_SAID[kind]} ({fill})": {"color": look.colour, "linestyle": look.line}
        for (kind, fill), look in styles.items()
    }
    if with_reference:
        names["without occlusion"] = _REFERENCE
    style.legend_below(figure, [Line2D([], [], **look) for look in names.values()], list(names))


def _draw_curve(axis: Axes, curve: pd.DataFrame, look: style.Look) -> None:
    middles = (curve["top"] + (curve["height"] - 1) / 2).to_numpy(float)
    share, low, high = (100 * curve[name].to_numpy(float) for name in ("accuracy", "low", "high"))
    axis.fill_betweenx(middles, low, high, color=look.colour, alpha=0.15, linewidth=0)
    # A single band is a point, which no line shows.
    marker = "o" if len(curve) == 1 else ""
    axis.plot(share, middles, color=look.colour, linestyle=look.line, marker=marker, linewidth=1.3)
