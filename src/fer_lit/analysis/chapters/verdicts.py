"""What the paper says about where networks look, judged over networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fer_lit.analysis.averages import mean_known
from fer_lit.analysis.chapter import (
    NOT_SUPPORTED,
    SUPPORTED,
    Analysis,
    Chapter,
    Finding,
    Table,
    records,
)
from fer_lit.analysis.report.style import percent, points
from fer_lit.comparison import INCONCLUSIVE, MIN_NETWORKS
from fer_lit.faces.face_set import SIZE
from fer_lit.paper import BAND_HEIGHT, BANDS
from fer_lit.stats import mean_interval

if TYPE_CHECKING:
    from fer_lit.analysis.averages import MappedPhotographs
    from fer_lit.analysis.checks.outcomes import Outcomes
    from fer_lit.analysis.labels import Condition

CLAIMS = {
    "eyes": "with the eyes covered, the network still focuses on the covered band",
    "mouth": "with the mouth covered, the network still focuses on the covered band",
    "nose": "with the nose covered, the focus shifts upwards, to the eyes",
}
"""What the paper finds under each occlusion."""
_MEASURES = {"eyes": 3, "mouth": 3, "nose": 2}
_TITLE = "The paper's findings about attention"
_COLUMNS = ("condition", "claim", "networks", "measure", "value", "from", "to")
_COLUMNS += ("found", "wanted", "verdict", "finding", "failed")
_SHOWN = ["condition", "networks", "measure", "found", "wanted", "verdict"]
_CAPTION = (
    "The paper's findings about attention, each judged by several measures: means over networks, "
    "each of all emotions alike. A finding is supported if the intervals of all its measures lie "
    "where it wants them, not supported if one lies wholly elsewhere, and else, below "
    f"{MIN_NETWORKS} networks, or where the maps fail a check, inconclusive. The intervals are of "
    "95 % for all measures of a finding together (Bonferroni), by Student's t over networks, "
    "corrected for the training faces that they share. The peak is the row of the face, from 0, "
    "with the most attention; none's is that of the networks without occlusion, of the same seeds."
)


@dataclass(frozen=True)
class Measure:
    """A number of each network, and where its mean lies if the paper is right.

    Attributes:
        name: of the measure.
        values: float, (networks,): shares, differences of shares, or rows of the face.
        low, high: the paper is right between them.
        wanted: the same in words.
        unit: `%` of shares, `points` of differences of shares, `row` or `rows`.
    """

    name: str
    values: np.ndarray
    low: float
    high: float
    wanted: str
    unit: str

    def verdict(self, low: float, high: float) -> str:
        """Return what the interval of the mean says, from `low` to `high`; both NaN are none."""
        if self.low < low and high < self.high:
            return SUPPORTED
        return NOT_SUPPORTED if high < self.low or low > self.high else INCONCLUSIVE

    def found(self, low: float, high: float) -> str:
        """Return the mean with its interval, in words."""
        factor = 1 if self.unit.startswith("row") else 100
        mean, *ends = (f"{factor * value:.1f}" for value in (self.values.mean(), low, high))
        value = f"{self.unit} {mean}" if self.unit == "row" else f"{mean} {self.unit}"
        interval = "" if np.isnan(low) else f" ({' to '.join(ends)})"
        return (value + interval).replace("-", "−")


def chapter(analysis: Analysis) -> Chapter | None:
    """Judge what the paper says about attention."""
    networks, mapped = analysis.networks, analysis.mapped
    if not mapped:
        return None
    if networks.faces.origin == "synthetic":
        note = "the faces are drawn, so that the paper's findings about attention are not judged"
        return Chapter(_TITLE, notes=[note])
    seeds = {label: [seed for _, seed in networks.keys(label)] for label in networks.conditions}
    margin = analysis.cfg.margin / 100
    table = verdict_table(mapped, networks.conditions, seeds, margin, analysis.checks)
    captions = {_CAPTION: _SHOWN}
    return Chapter(_TITLE, tables=[Table("verdicts", table, captions)], findings=findings(table))


def verdict_table(
    mapped: MappedPhotographs,
    conditions: Mapping[str, Condition],
    seeds: Mapping[str, Sequence[int]],
    margin: float,
    checks: Outcomes,
) -> pd.DataFrame:
    """Judge the paper's findings under each condition that is one of its own.

    Under `eyes` and `mouth` it says that the network still focuses on the covered band: the share
    of attention mass there must be above the band's share of the face, not below that of the
    networks without occlusion at the same rows by more than the margin, and the row with the most
    attention must lie in the band. Under `nose` it says that the focus shifts upwards: against
    the networks without occlusion the share at the eyes must grow, and the row with the most
    attention be higher up. Networks are compared with those of the same seed.

    Args:
        mapped: maps of the conditions.
        conditions: those that have networks.
        seeds: of each condition's networks, in the order of their maps.
        margin: difference of shares, 0–1, that does not matter.
        checks: of the maps; where those of a condition or of its reference fail one, nothing is
            found.

    Returns:
        One row for each measure of a finding: `condition`, `claim` (the key of `CLAIMS`),
        `networks`, `measure`, `value` (mean over networks), `from`, `to` (simultaneous 95 %
        interval, see `stats.mean_interval`; missing below `MIN_NETWORKS` networks), `found` (these
        in words), `wanted`, `verdict`, `finding`: what all measures say together, and `failed`:
        the checks that forbid a finding, in words. Values are shares, 0–1, or rows.
    """
    profiles = {label: _profiles(mapped, label, seeds[label]) for label in conditions}
    rows = []
    for label, one in conditions.items():
        if one.occlusion.is_papers and one.occlusion.name in CLAIMS:
            reference = profiles.get(one.reference)
            measures = _measures(one.occlusion.name, profiles[label], reference, margin)
            failed = checks.failed(label, one.reference)
            rows += _judged(label, one, measures, failed)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _profiles(mapped: MappedPhotographs, label: str, seeds: Sequence[int]) -> pd.DataFrame:
    """Return each network's share of attention in each row of the face, by seed, (networks, 48)."""
    rows = mapped.checkpoint_rows[mapped.attention.conditions.index(label)]
    return pd.DataFrame(mean_known(rows, axis=1), index=list(seeds)).dropna()


def _measures(
    claim: str, own: pd.DataFrame, reference: pd.DataFrame | None, margin: float
) -> Iterator[Measure]:
    if claim == "nose":
        if reference is not None:
            change, shift = _change(own, reference, "eyes"), _shift(own, reference)
            yield Measure("eyes' share minus none's", change, 0, np.inf, "above 0", "points")
            yield Measure("peak minus none's", shift, -np.inf, 0, "below 0 rows", "rows")
        return
    band, area = BANDS[claim], BAND_HEIGHT / SIZE
    share = _share(own, claim).to_numpy()
    yield Measure("share in the band", share, area, np.inf, f"above {percent(area)}", "%")
    if reference is not None:
        change = _change(own, reference, claim)
        wanted = f"above {points(-margin)}"
        yield Measure("share minus none's", change, -margin, np.inf, wanted, "points")
    peaks, wanted = _peaks(own).to_numpy(), f"rows {band.start} to {band.stop - 1}"
    yield Measure("peak", peaks, band.start - 0.5, band.stop - 0.5, wanted, "row")


def _share(profiles: pd.DataFrame, band: str) -> pd.Series:
    return profiles.iloc[:, BANDS[band]].sum(axis=1)


def _peaks(profiles: pd.DataFrame) -> pd.Series:
    """Return the row with the most attention; the middle one where several are equal."""
    highest = profiles.ge(profiles.max(axis=1) * (1 - 1e-9), axis=0)
    return highest @ np.arange(SIZE) / highest.sum(axis=1)


def _change(own: pd.DataFrame, reference: pd.DataFrame, band: str) -> np.ndarray:
    return (_share(own, band) - _share(reference, band)).dropna().to_numpy()


def _shift(own: pd.DataFrame, reference: pd.DataFrame) -> np.ndarray:
    return (_peaks(own) - _peaks(reference)).dropna().to_numpy()


def _judged(
    label: str, condition: Condition, measures: Iterator[Measure], failed: Sequence[str]
) -> list[dict]:
    known = [measure for measure in measures if len(measure.values)]
    rows = []
    for measure in known:
        low = high = np.nan
        if len(measure.values) >= MIN_NETWORKS:
            low, high = mean_interval(measure.values, condition.ratio or 0, tests=len(known))
        rows.append(
            {
                "condition": label,
                "claim": condition.occlusion.name,
                "networks": len(measure.values),
                "measure": measure.name,
                "value": measure.values.mean(),
                "from": low,
                "to": high,
                "found": measure.found(low, high),
                "wanted": measure.wanted,
                "verdict": measure.verdict(low, high),
            }
        )
    complete = len(known) == _MEASURES[condition.occlusion.name]
    finding = together([row["verdict"] for row in rows], complete)
    if failed:
        finding = INCONCLUSIVE
    return [row | {"finding": finding, "failed": "; ".join(failed)} for row in rows]


def together(verdicts: Sequence[str], complete: bool) -> str:
    """Return what the measures of a finding say together, if they are all of its measures."""
    if NOT_SUPPORTED in verdicts:
        return NOT_SUPPORTED
    return SUPPORTED if complete and set(verdicts) == {SUPPORTED} else INCONCLUSIVE


def findings(table: pd.DataFrame) -> list[Finding]:
    """Return a sentence and a verdict for each of the paper's findings (see `verdict_table`)."""
    said = []
    for label, own in table.groupby("condition", sort=False):
        rows = records(own)
        claim, fewest = rows[0]["claim"], min(row["networks"] for row in rows)
        measures = "; ".join(
            f"{row['measure']} {row['found']}, wanted {row['wanted']}" for row in rows
        )
        of = f"{fewest} network{'s' * (fewest > 1)}"
        few = f", and {MIN_NETWORKS} are needed" if fewest < MIN_NETWORKS else ""
        which = "" if label == claim else f" ({label})"
        text = f"The paper{which}: {CLAIMS[claim]}. Here ({of}{few}): {measures}."
        if failed := rows[0]["failed"]:
            text += f" The maps fail a check, and no finding is drawn from them: {failed}."
        said.append(Finding(text, rows[0]["finding"]))
    return said
