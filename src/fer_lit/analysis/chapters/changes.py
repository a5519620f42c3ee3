"""How an occlusion moves attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fer_lit.analysis.chapter import ALL, Analysis, Chapter, Drawing, Table
from fer_lit.analysis.chapters.shares import (
    band_shares,
    cells,
    known,
    mean_rows,
)
from fer_lit.analysis.report.map_grid import add_bar, draw_maps, limits, map_grid, mark
from fer_lit.analysis.report.style import SMALL
from fer_lit.paper import BANDS
from fer_lit.stats import LEVEL, holm, permutation

if TYPE_CHECKING:
    from fer_lit.analysis.averages import MappedPhotographs
    from fer_lit.analysis.networks import Networks

_CAPTION = (
    "Change of these shares against the reference, on the same photographs: 95 % bootstrap "
    "intervals and permutation tests over photographs, for these networks; Holm's correction over "
    "emotions and bands (“all” apart)."
)
_DIVERGING = "PuOr_r"  # orange: more, violet: less; told apart with all kinds of colour vision


def chapter(analysis: Analysis) -> Chapter | None:
    """Compare each condition's attention with that of its reference."""
    networks, mapped, seed = analysis.networks, analysis.mapped, analysis.cfg.seed
    if not mapped:
        return None
    references = {label: one.reference for label, one in networks.conditions.items()}
    table = change_table(mapped, references, seed)
    return Chapter(
        "What an occlusion changes",
        _drawings(networks, mapped, references),
        [Table("attention_change", table, {_CAPTION: None})],
    )


def change_table(
    mapped: MappedPhotographs, references: Mapping[str, str], seed: int
) -> pd.DataFrame:
    """Return how an occlusion changes the share of attention in each band, on the same photographs.

    Args:
        mapped: the photographs' maps.
        references: condition → the one that it is compared with; others are left out.
        seed: of bootstrap and permutations.

    Returns:
        One row for each condition with a reference, emotion (`all` last) and band: `condition`,
        `emotion`, `band`, `photographs`, `change` of the share, `low`, `high` (95 % bootstrap
        interval), `p` (permutation test: signs of the differences flipped at random), `p_holm`
        (Holm's correction over the emotions' tests, and apart from it over those of `all`),
        `rejects` (`p_holm` < 0.05).
    """
    attention, rows = mapped.attention, []
    shares = dict(zip(attention.conditions, band_shares(mapped.rows), strict=True))
    compared = [one for one in shares if references.get(one) != one]
    tests = len(compared) * len(attention.emotions) * len(BANDS)
    for condition, emotion, part in cells(mapped):
        reference = references.get(condition)
        if reference in shares and reference != condition:
            change = known((shares[condition] - shares[reference]).T[:, part])
            several = change.shape[1] > 1
            p = permutation(change, seed, tests) if several else np.full(len(BANDS), np.nan)
            key = {"condition": condition, "emotion": emotion}
            own = mean_rows("change", change, seed)
            rows += [key | row | {"p": value} for row, value in zip(own, p, strict=True)]
    table = pd.DataFrame(rows)
    return _corrected(table) if rows else table


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    corrected = table.groupby(table["emotion"] == ALL)["p"].transform(holm)
    rejects = (corrected < LEVEL).astype("boolean").mask(corrected.isna())
    return table.assign(p_holm=corrected, rejects=rejects)


def _drawings(
    networks: Networks, mapped: MappedPhotographs, references: Mapping[str, str]
) -> list[Drawing]:
    """Return one figure for each reference that conditions are compared with."""
    attention = mapped.attention
    means = attention.enlarged("mass").swapaxes(0, 1)
    mass = dict(zip(attention.conditions, means, strict=True))
    covered = dict(zip(networks.conditions, networks.covered_rows, strict=True))
    drawings = []
    for reference in dict.fromkeys(ref for label, ref in references.items() if ref != label):
        own = [one for one in mass if references[one] == reference != one]
        if reference in mass:
            figure = draw_differences(
                np.stack([mass[label] - mass[reference] for label in own], axis=1),
                attention.emotions,
                own,
                [covered[label] for label in own],
                reference,
            )
            name = f"difference_to_{len(drawings)}" if drawings else "difference"
            caption = (
                f"Change of the attention against {reference}, pixel by pixel: differences of mean "
                "maps that are scaled to sum 1 each."
            )
            drawings.append(Drawing(name, figure, caption))
    return drawings


def draw_differences(
    differences: np.ndarray,
    emotions: Sequence[str],
    conditions: Sequence[str],
    covered: Sequence[slice | None],
    reference: str,
) -> Figure:
    """Draw where attention is more (orange) or less (violet) than in the reference condition.

    Args:
        differences: float (emotions, conditions, 48, 48), difference of the share of a map's
            attention in each pixel: each map sums to 0. NaN in a cell without photographs.
        emotions: names of the rows.
        conditions: labels of the columns.
        covered: the rows that each condition covers; None where it covers none.
        reference: label of the condition that was subtracted.
    """
    figure, axes = map_grid(emotions, conditions)
    furthest = max(map(abs, limits(differences)))
    image = draw_maps(axes, differences, _DIVERGING, ends=(-furthest, furthest))
    mark(figure, axes, covered, "0.35")
    label = f"share of attention in a pixel, minus that of “{reference}”"
    bar = add_bar(figure, axes, image, label)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    bar.ax.tick_params(labelsize=SMALL)
    return figure
