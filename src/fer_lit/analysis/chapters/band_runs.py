"""The runs of a band map, what their networks predict under bands, and how often they are right."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from fer_lit import paper
from fer_lit.analysis.chapter import ALL
from fer_lit.analysis.chapters.differences import drop_table
from fer_lit.analysis.chapters.transfer import predict_under
from fer_lit.analysis.labels import Condition
from fer_lit.analysis.networks import Networks
from fer_lit.analysis.selection import Selection
from fer_lit.comparison import mean_accuracy
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import SIZE
from fer_lit.faces.occlusion import Occlusion
from fer_lit.feature_bank.compilation import fastest
from fer_lit.feature_bank.malloc import large_blocks_kept
from fer_lit.progress import image_progress
from fer_lit.runs.predictions import join_predictions

FILLS = ("noise", "gray", "blur")
"""What fills the bands under which networks are only tested."""
_TOPS = range(0, 39, 2)  # those of experiment=band_map
_TRAIN = "python train.py -m experiment=band_map"
_TRAIN_WITHOUT = "python train.py experiment=band_map occlusion=none"

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where a band lies, what fills it, and which networks meet it.

    Attributes:
        kind: `trained` (under this band), `tested` (trained without occlusion), or `reference`
            (trained and tested without).
        fill: None without a band.
        top: its first row; None without a band.
    """

    kind: str
    fill: str | None
    top: int | None


WITHOUT = Place("reference", None, None)

Predicted = dict[Place, dict[int, pd.DataFrame]]
"""Predictions by seed of the network."""


@dataclass(frozen=True)
class Bands:
    """The runs of a band map: there is a reference, or there are bands.

    Attributes:
        reference: the runs without occlusion.
        trained: the runs under each band, by its fill and first row, in this order.
        height: rows of each band.
        noise_seed: of the noise in the bands.
    """

    reference: Condition | None
    trained: Mapping[tuple[str, int], Condition]
    height: int
    noise_seed: int

    @property
    def tops(self) -> list[int]:
        """First rows of the bands, ascending."""
        return sorted({top for _, top in self.trained}) or list(_TOPS)

    def ratio(self, place: Place) -> float | None:
        """Return the `Condition.ratio` of the networks that meet a band."""
        trained = self.trained[place[1:]] if place.kind == "trained" else self.reference
        return trained.ratio


def find_bands(selection: Selection) -> tuple[Bands, list[str]]:
    """Return the runs of a band map, and a line for each thing that is missing or left out.

    Raises:
        ConfigError: there are none, or they differ in more than where the band lies.
    """
    conditions = list(selection.conditions.values())
    _refuse_other_settings(conditions)
    _refuse_averaged_views(conditions[0])
    whole = [one for one in conditions if not one.occlusion.height]
    covered = [one for one in conditions if one.occlusion.height]
    wide = [one for one in covered if _is_wide(one.occlusion)]
    notes = [
        f"{one.label} is left out: its band does not cover the whole width"
        for one in covered
        if not _is_wide(one.occlusion)
    ]
    if not whole and not wide:
        raise ConfigError(
            "sweep: there is no run without occlusion and none under a band over the whole width; "
            f"train them with: {_TRAIN}, and {_TRAIN_WITHOUT}"
        )
    notes += [f"{one.label} is left out: it is {whole[0].label}" for one in whole[1:]]
    height = _the_same([one.occlusion.height for one in wide], "heights in rows", paper.BAND_HEIGHT)
    noise_seed = _the_same([one.occlusion.noise_seed for one in wide], "noise seeds", 0)
    trained = _by_place(wide, notes)
    notes += _what_to_train(bool(whole), bool(wide))
    return Bands(whole[0] if whole else None, trained, height, noise_seed), notes


def _is_wide(occlusion: Occlusion) -> bool:
    return occlusion.band[1] == slice(0, SIZE)


def _refuse_other_settings(conditions: Sequence[Condition]) -> None:
    first = conditions[0]
    for one in conditions[1:]:
        if one.reference != first.reference:
            raise ConfigError(
                f"sweep: {first.label} and {one.label} differ in more than where the band lies; "
                "name folders of runs that do not"
            )


def _refuse_averaged_views(condition: Condition) -> None:
    views = list(condition.config.features.test_views)
    if views != [0]:
        raise ConfigError(
            f"sweep: {condition.label} averages its predictions over views {views}, and networks "
            "are tested under the bands on view 0 only; train them with features.test_views=[0]"
        )


def _the_same(values: Sequence[int], what: str, otherwise: int) -> int:
    """Return the one value that all bands have, or `otherwise` if there are no bands."""
    different = sorted(set(values))
    if len(different) > 1:
        raise ConfigError(
            f"sweep: the {what} of the bands are {' and '.join(map(str, different))}; name folders "
            "of runs that do not differ in it"
        )
    return different[0] if different else otherwise


def _by_place(wide: Sequence[Condition], notes: list[str]) -> dict[tuple[str, int], Condition]:
    """Return the first run of each fill and first row, ascending."""
    trained: dict[tuple[str, int], Condition] = {}
    for one in sorted(wide, key=lambda one: (one.occlusion.fill, one.occlusion.top)):
        first = trained.setdefault((one.occlusion.fill, one.occlusion.top), one)
        if first is not one:
            notes.append(f"{one.label} is left out: it covers the same rows as {first.label}")
    return trained


def _what_to_train(whole: bool, wide: bool) -> list[str]:
    both = "and name both folders: sweep=[A,B]"
    if not whole:
        return [
            "there is no network without occlusion, so that none is only tested under the bands; "
            f"train it with: {_TRAIN_WITHOUT}, {both}"
        ]
    if not wide:
        return [f"there is no network trained under a band; train them with: {_TRAIN}, {both}"]
    return []


def own_predictions(bands: Bands) -> Predicted:
    """Return what the runs predicted themselves, the reference first."""
    conditions = {WITHOUT: bands.reference} if bands.reference else {}
    conditions |= {Place("trained", *place): one for place, one in bands.trained.items()}
    return {
        place: {seed: run.predictions for seed, run in one.runs.items()}
        for place, one in conditions.items()
    }


def predict_under_bands(networks: Networks, bands: Bands) -> Predicted:
    """Let networks trained without occlusion predict the faces they are judged on under each band.

    Nothing is kept on disk: the features of some taps would take more room than all others.

    Args:
        networks: those of the reference.
        bands: where the bands lie.
    """
    rows = {"height": bands.height, "left": 0, "width": SIZE}
    occlusions = {
        Place("tested", fill, top): Occlusion(
            "band", top=top, fill=fill, noise_seed=bands.noise_seed, **rows
        )
        for fill in FILLS
        for top in bands.tops
    }
    passes = len(occlusions) * sum(len(networks.judged(group)) for group in networks.sharing)
    log.info(
        f"Testing networks under {len(occlusions)} bands ({', '.join(FILLS)}): {passes:,} passes "
        "of faces through the network, which takes a while and is not kept"
    )
    predicted: Predicted = {place: {} for place in occlusions}
    with image_progress("Testing under bands", passes) as advance, large_blocks_kept():
        for group in networks.sharing:
            read = fastest(networks.trained[group[0]].reader, passes)
            for place, occlusion in occlusions.items():
                found = predict_under(networks, group, occlusion, read, advance)
                predicted[place] |= {seed: own for (_, seed), own in found.items()}
    return predicted


def band_table(
    predicted: Predicted, height: int, ratios: Mapping[Place, float | None]
) -> pd.DataFrame:
    """Return how often networks are right by where the band lies.

    Args:
        predicted: what they predict.
        height: rows of each band.
        ratios: see `Condition.ratio`.

    Returns:
        For each place, one row for all emotions together (`emotion` is `all`), then one per
        emotion: `kind`, `fill` and `top` (see `Place`), `height`, `emotion`, `seeds` (their
        number), `faces` (different photographs), `accuracy` (of an emotion: its recall; mean over
        seeds) with `low` and `high` (95 % interval, see `comparison.mean_accuracy`), `drop`
        (against the reference, on the photographs of the seeds that both have), `drop_low` and
        `drop_high` (95 % interval, see `drop_table`). All but the counts are 0–1; what is not known
        is missing.
    """
    names = {place: str(number) for number, place in enumerate(predicted)}
    joined = join_predictions({names[place]: own for place, own in predicted.items()})
    by_name = dict(list(joined.groupby("condition")))
    rows = []
    for place, by_seed in predicted.items():
        own = by_name[names[place]]
        emotions = own["label"].cat.categories
        parts = {ALL: own} | {emotion: own[own["label"] == emotion] for emotion in emotions}
        for emotion, part in parts.items():
            rows.append(
                {
                    "condition": names[place],
                    **place._asdict(),
                    "height": None if place.top is None else height,
                    "emotion": emotion,
                    "seeds": len(by_seed),
                    "faces": part["image"].nunique(),
                    **_accuracy(part, ratios[place]),
                }
            )
    references = dict.fromkeys(names.values(), names.get(WITHOUT, ""))
    own_ratios = {names[place]: ratio for place, ratio in ratios.items()}
    drops = drop_table(joined, references, own_ratios)
    drops = drops[["condition", "emotion", "drop", "low", "high"]]
    drops = drops.rename(columns={"low": "drop_low", "high": "drop_high"})
    table = pd.DataFrame(rows).astype({"top": "Int64", "height": "Int64"})
    return table.merge(drops, "left", on=["condition", "emotion"]).drop(columns="condition")


def _accuracy(predictions: pd.DataFrame, ratio: float | None) -> dict[str, float]:
    if predictions.empty:
        return {}
    single = predictions.groupby("seed")["right"].mean()
    found = mean_accuracy(single, pd.factorize(predictions["image"])[0], ratio)
    return {"accuracy": found.value, "low": found.low, "high": found.high}
