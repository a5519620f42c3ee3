"""How much attention falls on the eyes, the nose and the mouth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fer_lit.analysis.averages import mean_known
from fer_lit.analysis.chapter import ALL, Analysis, Chapter, Drawing, Table
from fer_lit.analysis.report import style
from fer_lit.faces.face_set import SIZE
from fer_lit.paper import BANDS
from fer_lit.stats import bootstrap_means

if TYPE_CHECKING:
    from fer_lit.analysis.averages import MappedPhotographs

_TABLE_CAPTION = (
    "Share of attention inside each band, with 95 % bootstrap intervals over photographs, which "
    "know nothing of how networks differ: SD is that of the single networks' shares. Uniform "
    "attention would give each band 20.8 %."
)
_SHARES_CAPTION = (
    "Share of attention inside each band, with 95 % bootstrap intervals over photographs."
)
_PROFILES_CAPTION = "Attention by row of the face, from top to bottom."
_UNIFORM = {"color": "0.35", "linewidth": 0.8, "linestyle": (0, (1, 2))}


def chapter(analysis: Analysis) -> Chapter | None:
    """Measure the attention in each band and in each row of the face."""
    mapped = analysis.mapped
    if not mapped:
        return None
    attention, profiles = mapped.attention, row_profiles(mapped)
    table = share_table(mapped, analysis.cfg.seed)
    lines = draw_row_profiles(profiles, attention.emotions, attention.conditions)
    return Chapter(
        "Attention to eyes, nose and mouth",
        [
            Drawing("shares", draw_shares(table), _SHARES_CAPTION),
            Drawing("row_profile", lines, _PROFILES_CAPTION),
        ],
        [
            Table("attention", table, {_TABLE_CAPTION: None}),
            Table("row_profile", profile_table(mapped)),
        ],
    )


def share_table(mapped: MappedPhotographs, seed: int) -> pd.DataFrame:
    """Return the share of attention mass inside each band.

    Args:
        mapped: the photographs' maps.
        seed: of the bootstrap.

    Returns:
        One row for each condition, emotion (`all` last) and band: `condition`, `emotion`, `band`,
        `photographs` (whose maps are not all zero), `share` (0–1; of uniform attention it would be
        0.208), `low`, `high` (95 % bootstrap interval over photographs), and `sd` of the single
        networks' shares (missing for one network; `all` averages their emotions).
    """
    rows = []
    for condition, emotion, part in cells(mapped):
        networks = network_shares(mapped, condition, emotion)
        networks = networks[~np.isnan(networks[:, 0])]
        several = len(networks) > 1
        sd = networks.std(axis=0, ddof=1) if several else np.full(len(BANDS), np.nan)
        own = mean_rows("share", photograph_shares(mapped, condition, part), seed)
        key = {"condition": condition, "emotion": emotion}
        rows += [key | row | {"sd": spread} for row, spread in zip(own, sd, strict=True)]
    return pd.DataFrame(rows)


def profile_table(mapped: MappedPhotographs) -> pd.DataFrame:
    """Return the row profile: `condition`, `emotion`, `row` of the face (0–47), `share`."""
    attention = mapped.attention
    places = [attention.conditions, attention.emotions, range(SIZE)]
    index = pd.MultiIndex.from_product(places, names=["condition", "emotion", "row"])
    shares = row_profiles(mapped).swapaxes(0, 1).ravel()
    return pd.Series(shares, index, name="share").dropna().reset_index()


def row_profiles(mapped: MappedPhotographs) -> np.ndarray:
    """Return the mean share of attention in each row, (E, C, 48); NaN without photographs."""
    emotions = len(mapped.attention.emotions)
    return np.stack([mean_known(mapped.rows[:, mapped.labels == e], 1) for e in range(emotions)])


def cells(mapped: MappedPhotographs) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield each condition and emotion (`all` last), and which photographs are of it."""
    emotions = mapped.attention.emotions
    parts = {emotion: mapped.labels == label for label, emotion in enumerate(emotions)}
    parts[ALL] = np.ones(len(mapped.labels), dtype=bool)
    for condition in mapped.attention.conditions:
        for emotion, part in parts.items():
            yield condition, emotion, part


def band_shares(rows: np.ndarray) -> np.ndarray:
    """Return the share in each band, (..., bands), for that in each row, (..., 48)."""
    return np.stack([rows[..., band].sum(axis=-1) for band in BANDS.values()], axis=-1)


def photograph_shares(
    mapped: MappedPhotographs, condition: str, part: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """Return the share in each band of each photograph in a part, (bands, N), if it has any."""
    rows = mapped.rows[mapped.attention.conditions.index(condition)]
    return known(band_shares(rows).T[:, part])


def known(values: np.ndarray) -> np.ndarray:
    """Return values, (bands, P), without the photographs whose maps are all zero."""
    return values[:, ~np.isnan(values[0])]


def network_shares(mapped: MappedPhotographs, condition: str, emotion: str) -> np.ndarray:
    """Return the share in each band of each network's own average map, (networks, bands).

    `all` is the mean over the emotions that a network has photographs of.
    """
    rows = mapped.checkpoint_rows[mapped.attention.conditions.index(condition)]
    shares = band_shares(rows)
    if emotion == ALL:
        return mean_known(shares, axis=1)
    return shares[:, mapped.attention.emotions.index(emotion)]


def mean_rows(name: str, values: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """Return one row for each band: the mean of its values, (bands, P), and the mean's interval.

    Without two photographs there is no spread to resample, and the numbers are missing.
    """
    count = values.shape[1]
    nothing = np.full(len(BANDS), np.nan)
    mean, low, high = [nothing] * 3
    if count > 1:
        mean, (low, high) = values.mean(axis=1), bootstrap_means(values, seed)
    return [
        {"band": band, "photographs": count, name: mean[i], "low": low[i], "high": high[i]}
        for i, band in enumerate(BANDS)
    ]


def draw_row_profiles(
    profiles: np.ndarray, emotions: Sequence[str], conditions: Sequence[str]
) -> Figure:
    """Draw how attention is spread over the rows of the face, from its top to its bottom.

    Args:
        profiles: float (emotions, conditions, 48), share of a map's attention in each row: each
            profile sums to 1. NaN in a cell without photographs.
        emotions: a panel each.
        conditions: a line each.
    """
    columns, rows = style.panel_grid(len(emotions), most=4)
    size = (min(style.PAGE_WIDTH, 1.2 + 2.2 * columns), 2.7 * rows + 0.3 + 0.1 * len(conditions))
    figure = Figure(figsize=size, layout="constrained")
    axes, columns = style.panels(figure, len(emotions), most=4)
    styles = style.looks(conditions)
    for number, (axis, emotion, lines) in enumerate(zip(axes, emotions, profiles, strict=True)):
        style.style_axis(axis)
        axis.set_title(emotion, fontsize=style.NORMAL)
        _shade(axis)
        axis.axvline(100 / SIZE, **_UNIFORM)
        for line, look in zip(lines, styles.values(), strict=True):
            axis.plot(100 * line, np.arange(SIZE), color=look.colour, linestyle=look.line)
        if np.isnan(lines).all():
            style.say_missing(axis)
        if number % columns == columns - 1:
            style.name_bands(axis, BANDS)
    axes[0].set_ylim(SIZE - 0.5, -0.5)
    axes[0].set_yticks([0, 10, 20, 30, 40, SIZE - 1])
    axes[0].set_xlim(left=0)
    for axis in axes[::columns]:
        axis.set_ylabel("row of the face")
    for axis in axes[-columns:]:
        axis.set_xlabel("attention in a row, %")
    lines = [Line2D([], [], color=look.colour, linestyle=look.line) for look in styles.values()]
    uniform = f"uniform (1/{SIZE})"
    style.legend_below(figure, [*lines, Line2D([], [], **_UNIFORM)], [*conditions, uniform])
    return figure


def _shade(axis: Axes) -> None:
    for number, rows in enumerate(BANDS.values()):
        grey = ("0.93", "0.88")[number % 2]
        axis.axhspan(rows.start - 0.5, rows.stop - 0.5, color=grey, zorder=0)
    for edge in style.band_edges(BANDS):
        axis.axhline(edge, color="0.75", linewidth=0.5, zorder=0.5)


def draw_shares(table: pd.DataFrame) -> Figure:
    """Draw the share of attention inside each band, a panel each, by condition and emotion.

    Args:
        table: see `share_table`.
    """
    conditions, emotions = list(table["condition"].unique()), list(table["emotion"].unique())
    styles = style.looks(emotions)
    height = 0.75 + len(conditions) * (0.125 * len(emotions) + 0.12)
    figure = Figure(figsize=(style.PAGE_WIDTH, max(2.0, height)), layout="constrained")
    axes, _ = style.panels(figure, len(BANDS), most=len(BANDS))
    for axis, (band, covered) in zip(axes, BANDS.items(), strict=True):
        style.style_axis(axis)
        uniform = 100 * (covered.stop - covered.start) / SIZE
        axis.set_title(f"in the {band} band", fontsize=style.NORMAL)
        axis.set_xlabel("share of attention, %")
        axis.axvline(uniform, **_UNIFORM)
        for number in range(1, len(conditions), 2):
            axis.axhspan(number - 0.5, number + 0.5, color="0.95", zorder=0)
        for row in table[table["band"] == band].to_dict("records"):
            # Emotions lie above each other within a condition.
            number = emotions.index(row["emotion"]) - (len(emotions) - 1) / 2
            place = conditions.index(row["condition"]) + number * 0.75 / len(emotions)
            _draw_interval(axis, row, place, styles[row["emotion"]])
    axes[0].set_yticks(range(len(conditions)), [style.wrapped(name, 1.0) for name in conditions])
    axes[0].set_ylim(len(conditions) - 0.5, -0.5)
    axes[0].set_xlim(left=0)
    axes[0].xaxis.set_major_locator(MaxNLocator(5))
    marks = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4)
        for look in styles.values()
    ]
    marks.append(Line2D([], [], **_UNIFORM))
    style.legend_below(figure, marks, [*emotions, "uniform attention"])
    return figure


def _draw_interval(axis: Axes, row: Mapping[str, Any], place: float, look: style.Look) -> None:
    low, high = 100 * row["low"], 100 * row["high"]
    axis.plot([low, high], [place, place], color=look.colour, linewidth=1.2)
    axis.plot(100 * row["share"], place, color=look.colour, marker=look.marker, markersize=4)
