"""How an occlusion moves attention, and what the paper says about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fer_lit.analysis.chapter import ALL, Analysis, Chapter, Drawing, Finding, Table
from fer_lit.analysis.chapters.attention import add_bar, draw_maps, limits, map_grid, mark
from fer_lit.analysis.chapters.shares import (
    band_shares,
    cells,
    known,
    mean_rows,
    network_shares,
    photograph_shares,
)
from fer_lit.analysis.report.style import SMALL, percent, points
from fer_lit.faces.face_set import SIZE
from fer_lit.faces.occlusion import Occlusion
from fer_lit.paper import BANDS
from fer_lit.stats import LEVEL, bootstrap_means, holm, permutation, resampled_t

if TYPE_CHECKING:
    from fer_lit.analysis.averages import MappedPhotographs
    from fer_lit.analysis.networks import Networks

Interval = Callable[[np.ndarray], tuple[float, float]]

_CAPTION = (
    "Change of these shares against the reference, on the same photographs: 95 % bootstrap "
    "intervals and permutation tests over photographs, for these networks; Holm's correction over "
    "emotions and bands (“all” apart)."
)
_DIVERGING = "PuOr_r"  # orange: more, violet: less; told apart with all kinds of colour vision


def chapter(analysis: Analysis) -> Chapter | None:
    """Compare each condition's attention with that of its reference, and with the paper."""
    networks, mapped, seed = analysis.networks, analysis.mapped, analysis.cfg.seed
    if not mapped:
        return None
    references = {label: one.reference for label, one in networks.conditions.items()}
    occlusions = {label: one.occlusion for label, one in networks.conditions.items()}
    ratios = {label: one.ratio for label, one in networks.conditions.items()}
    table = change_table(mapped, references, seed)
    return Chapter(
        "What an occlusion changes",
        _drawings(networks, mapped, references),
        [Table("attention_change", table, {_CAPTION: None})],
        paper_findings(mapped, occlusions, ratios, seed),
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


def paper_findings(
    mapped: MappedPhotographs,
    occlusions: Mapping[str, Occlusion],
    ratios: Mapping[str, float | None],
    seed: int,
) -> list[Finding]:
    """Return the paper's three findings about where the networks look, as numbers.

    It "still looks at the covered band" is taken to hold if the share of attention mass there is
    above the band's share of the face, and "looks at the eyes" with the nose covered, if more
    attention lies in the eyes' band than in the nose's; both if the whole 95 % interval says so,
    not to hold if the whole interval says the opposite, and otherwise it cannot be told. The
    interval is that of Student's t over networks, corrected for the faces that they were both
    trained on (see `stats.resampled_t`); of a single network, the bootstrap's over its photographs,
    which knows nothing of how networks differ.

    Args:
        mapped: maps of the conditions.
        occlusions: of the conditions; what the paper has not has no finding.
        ratios: held-out faces for each face trained on, by condition; None where the networks were
            trained on the same faces.
        seed: of the bootstrap.
    """
    rules = {"eyes": _looks_at_the_band, "mouth": _looks_at_the_band, "nose": _looks_at_the_eyes}
    findings = []
    for name, rule in rules.items():
        for label in mapped.attention.conditions:
            shares, over = _shares_of_all(mapped, label)
            same = occlusions[label].name == name and occlusions[label].is_papers
            if same and shares.shape[1] > 1:
                interval = partial(_interval, over=over, ratio=ratios[label] or 0, seed=seed)
                text, low, high = rule(name, dict(zip(BANDS, shares, strict=True)), over, interval)
                text = f"The paper{'' if label == name else f' ({label})'}: {text}"
                if low <= 0 <= high:
                    findings.append(Finding(f"{text} On these runs it cannot be told."))
                else:
                    findings.append(Finding(text, bool(low > 0)))
    return findings


def _shares_of_all(mapped: MappedPhotographs, condition: str) -> tuple[np.ndarray, str]:
    """Return the shares, (bands, N), of N networks, or of a single one's N photographs."""
    networks = network_shares(mapped, condition, ALL)
    if len(networks) > 1:
        return networks[~np.isnan(networks[:, 0])].T, "networks"
    return photograph_shares(mapped, condition), "photographs"


def _looks_at_the_band(
    name: str, shares: Mapping[str, np.ndarray], over: str, interval: Interval
) -> tuple[str, float, float]:
    """Return a sentence, and the ends of the interval of what must be above 0 for it to hold."""
    share, band = shares[name], BANDS[name]
    low, high = np.clip(interval(share), 0, 1)
    area = (band.stop - band.start) / SIZE
    text = (
        f"with the {name} covered, the network still looks at the covered band. Here "
        f"{percent(share.mean())} of the attention lies in it (95 % interval over {over} "
        f"{percent(low)} to {percent(high)}), and it makes up {percent(area)} of the face."
    )
    return text + _agreeing(share > area, over), low - area, high - area


def _looks_at_the_eyes(
    name: str, shares: Mapping[str, np.ndarray], over: str, interval: Interval
) -> tuple[str, float, float]:
    """Return a sentence, and the ends of the interval of what must be above 0 for it to hold."""
    eyes, covered = shares["eyes"], shares[name]
    low, high = interval(eyes - covered)
    text = (
        f"with the {name} covered, the network looks at the eyes. Here "
        f"{percent(eyes.mean())} of the attention lies at the eyes and "
        f"{percent(covered.mean())} at the covered {name}, a difference of "
        f"{points((eyes - covered).mean())} points (95 % interval over {over} {points(low)} to "
        f"{points(high)})."
    )
    return text + _agreeing(eyes > covered, over), low, high


def _interval(values: np.ndarray, over: str, ratio: float, seed: int) -> tuple[float, float]:
    if over == "photographs":
        return bootstrap_means(values, seed)
    found = resampled_t(values, ratio)
    return (found.low, found.high) if found else (values.mean(), values.mean())


def _agreeing(agree: np.ndarray, over: str) -> str:
    """Return how many networks agree, taken one by one; of one network nothing."""
    if over == "photographs":
        return ""
    return f" One by one, {int(agree.sum())} of {len(agree)} networks agree."


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
