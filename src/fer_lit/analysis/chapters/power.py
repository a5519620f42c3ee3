"""How many seeds it takes to see a small difference."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fer_lit import comparison
from fer_lit.analysis.chapter import Analysis, Chapter, Drawing, Finding, Table, records
from fer_lit.analysis.chapters.differences import common_ratio, difference_arrays
from fer_lit.analysis.labels import Pair, option_pairs
from fer_lit.analysis.report import style
from fer_lit.analysis.report.style import PAGE_WIDTH, percent
from fer_lit.analysis.selection import Selection
from fer_lit.runs.predictions import matched, shared_seeds
from fer_lit.stats import ROUNDING, resampled_t_power

_SEEDS = np.arange(comparison.MIN_NETWORKS, 101)
_WANTED = 0.8
"""The power that experiments are usually planned for."""
_COLUMNS = ("reference", "condition", "seeds", "sd", "ratio", "power", "seeds_wanted", "ceiling")


def chapter(analysis: Analysis) -> Chapter | None:
    """Say how small a difference these runs could have seen, and what more seeds would do."""
    margin = analysis.cfg.margin / 100
    table = power_table(analysis.selection, margin)
    if table.empty:
        return None
    seen = (
        f"a true difference of {comparison.in_points(margin)} is seen by the corrected resampled "
        "t-test, a single one at a level of 5 %, if its standard deviation over splits is as in "
        "these runs. As splits share training faces, more seeds help up to a ceiling only: the bar "
        "at the right edge. The mark on a curve is where these runs are."
    )
    shown = (
        "The power behind the figure. SD: of the difference over splits, itself an estimate, "
        "or what the faces of one split alone would make it, if that is larger; ratio: "
        "faces tested for each face trained on; power: with the seeds there are; seeds wanted: for "
        f"a power of {percent(_WANTED, 0)} (–: more than {_SEEDS[-1]}, or never)."
    )
    return Chapter(
        "How small a difference can be seen?",
        [Drawing("power", draw_power(table, margin), f"Power: how likely it is that {seen}")],
        [Table("power", table, {shown: None})],
        power_findings(table, margin),
    )


def power_table(selection: Selection, margin: float) -> pd.DataFrame:
    """Return how likely it is to see a true difference of the margin, 0–1.

    Returns:
        One row for each condition and its reference, and for each of the `option_pairs`, if they
        share three seeds of different splits or more and do not differ by the same in each:
        `reference`, `condition`, `seeds` (their number), `sd` (of the difference, over splits),
        `ratio` (tested faces for each face trained on), `power` (with these seeds), `seeds_wanted`
        (the fewest, of 3 to 100, that give a power of 0.8; missing if none do), `ceiling` (the
        power of infinitely many).
    """
    predictions = selection.predictions
    rows = []
    for pair in _pairs(selection):
        seeds, ratio = shared_seeds(predictions, pair), common_ratio(selection.ratios, pair)
        if ratio is None or len(seeds) < comparison.MIN_NETWORKS:
            continue
        differences, _, networks = difference_arrays(matched(predictions, pair, seeds), *pair)
        spread = _deviation(differences, networks, ratio)
        if spread < ROUNDING:
            continue
        at = resampled_t_power(margin, spread, ratio, [len(seeds), np.inf])
        enough = resampled_t_power(margin, spread, ratio, _SEEDS) >= _WANTED
        rows.append(
            {
                **dict(zip(("reference", "condition"), pair, strict=True)),
                **{"seeds": len(seeds), "sd": spread, "ratio": ratio, "power": at[0]},
                "seeds_wanted": _SEEDS[enough.argmax()] if enough.any() else None,
                "ceiling": at[1],
            }
        )
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"seeds_wanted": "Int64"})


def _deviation(differences: np.ndarray, networks: np.ndarray, ratio: float) -> float:
    """Return the standard deviation of the mean difference between splits.

    Few splits may have differed too little by chance. It is therefore no less than the faces that
    test one split alone would make it, of which splits have some in common.

    Args: see `comparison.paired_difference`.
    """
    of_splits = pd.Series(differences).groupby(networks)
    faces = len(differences) / of_splits.ngroups
    by_faces = of_splits.var(ddof=0).mean() / faces / (1 + ratio)
    return float(max(of_splits.mean().var(), by_faces) ** 0.5)


def _pairs(selection: Selection) -> list[Pair]:
    conditions = selection.conditions
    of_occlusions = [
        (one.reference, label)
        for label, one in conditions.items()
        if one.reference in conditions and one.reference != label
    ]
    return of_occlusions + option_pairs(conditions)


def draw_power(table: pd.DataFrame, margin: float) -> Figure:
    """Draw the power by the number of seeds, with its ceiling, for each row of `power_table`."""
    figure = Figure(figsize=(PAGE_WIDTH, 3.6), layout="constrained")
    axis = figure.subplots()
    rows = records(table)
    names = [f"{row['condition']} against {row['reference']}" for row in rows]
    for (name, look), row in zip(style.looks(names).items(), rows, strict=True):
        curve = resampled_t_power(margin, row["sd"], row["ratio"], _SEEDS)
        options = {"color": look.colour, "linestyle": look.line}
        axis.plot(_SEEDS, 100 * curve, label=name, **options)
        here = 100 * row["power"]
        axis.plot(row["seeds"], here, look.marker, color=look.colour, markersize=5, zorder=3)
        axis.plot([0.975, 1], [100 * row["ceiling"]] * 2, transform=axis.get_yaxis_transform())
        axis.lines[-1].set(color=look.colour, linewidth=2.5)
    axis.axhline(100 * _WANTED, color="0.6", linewidth=0.8)
    axis.set(xlim=(0, _SEEDS[-1]), ylim=(0, 101), xlabel="seeds")
    axis.set_ylabel(f"power to see {comparison.in_points(margin)}, %")
    axis.grid(alpha=0.3)
    style.style_axis(axis)
    style.legend_below(figure, axis.get_legend_handles_labels()[0], names)
    return figure


def power_findings(table: pd.DataFrame, margin: float) -> list[Finding]:
    """Return how many seeds it takes, in one sentence for all rows of `power_table`."""
    said = ", ".join(
        f"{row['condition']} against {row['reference']} {_seeds_wanted(row)} (at most "
        f"{percent(row['ceiling'], 0)} with any number of seeds)"
        for row in records(table)
    )
    text = (
        f"What it takes to see a true difference of {comparison.in_points(margin)} with a power of "
        f"{percent(_WANTED, 0)} by the corrected t-test: {said}."
    )
    return [Finding(text)] if said else []


def _seeds_wanted(row: Mapping[str, Any]) -> str:
    if row["ceiling"] <= _WANTED:
        return "is out of reach"
    return f"{row['seeds_wanted']} seeds" if row["seeds_wanted"] else f"over {_SEEDS[-1]} seeds"
