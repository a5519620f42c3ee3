"""The band map: what networks achieve by where a band lies that covers rows of the face.

Networks that were trained under a band have learnt to do without its rows, and with its noise. The
network that was trained without occlusion, and only tested under the same bands and with other
fills, has learnt neither: together they separate what is hidden from what the noise does.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from statsmodels.stats.proportion import proportion_confint

from fer_lit.analysis.accuracy import accuracy_table, drop_table, pooled
from fer_lit.analysis.band_findings import band_statements
from fer_lit.analysis.band_runs import WITHOUT, Bands, Place, Predicted, find_bands, own_predictions
from fer_lit.analysis.checkpoints import load_networks
from fer_lit.analysis.figures.band_map import draw_band_map
from fer_lit.analysis.material import Material, load_photographs
from fer_lit.analysis.pictures import save_pictures
from fer_lit.analysis.publish import publish
from fer_lit.analysis.results import Results
from fer_lit.analysis.selection import Selection
from fer_lit.analysis.shares import ALL
from fer_lit.analysis.testing import (
    faces_to_test,
    group_extractor,
    predict_directly,
    sharing_features,
)
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import SIZE, FaceSet
from fer_lit.faces.occlusion import Occlusion
from fer_lit.feature_bank.malloc import large_blocks_kept
from fer_lit.paper import BANDS
from fer_lit.progress import image_progress
from fer_lit.stopwatch import Stopwatch

FILLS = ("noise", "gray", "blur")
"""What fills the bands under which networks are only tested."""
_CAPTION = (
    "The band map: how often networks are right (of an emotion: its recall) by where a band lies, "
    "with 95 % Wilson intervals. A point is at the middle row of its band. The vertical line is "
    "the network without occlusion, tested without."
)

log = logging.getLogger(__name__)


def map_bands(cfg: DictConfig, selection: Selection, folder: Path, device: torch.device) -> None:
    """Write the band map: a figure, a table, what they say, and a report.

    Args:
        cfg: of the analysis.
        selection: runs under bands, without occlusion, or both.
        folder: gets `report.html`, `results.json`, `tables/` and `figures/`.
        device: where the networks compute.

    Raises:
        ConfigError: the runs make no band map.
    """
    bands, notes = find_bands(selection)
    faces, problems = _photographs(selection, cfg.data.root)
    results = Results(notes=[*selection.notes, *notes, *problems])
    predicted = own_predictions(bands)
    watch = Stopwatch()
    if faces and bands.reference:
        with watch.measure("tests"):
            predicted |= _test(cfg, selection, bands, faces, device, results.notes)
    emotions = list(selection.config.data.classes)
    with watch.measure("statistics"):
        runs = {
            label: {seed: run.predictions for seed, run in one.runs.items()}
            for label, one in selection.conditions.items()
        }
        rows = band_table(predicted, emotions, bands.height)
        ratios = {label: one.ratio for label, one in selection.conditions.items()}
        results.tables = {"accuracy": accuracy_table(runs, ratios, emotions), "band_map": rows}
    results.statements = band_statements(rows)
    (folder / "figures").mkdir()
    with watch.measure("figures"):
        face = faces.pixels.mean(axis=0) if faces else None
        drawn = {"band_map": (draw_band_map(rows, face, BANDS), _CAPTION)}
        results.pictures = save_pictures(folder / "figures", drawn)
    publish(cfg, folder, selection, _subtitle(selection, bands), results, None, watch.seconds)


def _photographs(selection: Selection, root: str | None) -> tuple[FaceSet | None, list[str]]:
    try:
        return load_photographs(selection, root), []
    except ConfigError as error:
        return None, [f"no network is tested under the bands, and no face is drawn: {error}"]


def _test(
    cfg: DictConfig,
    selection: Selection,
    bands: Bands,
    faces: FaceSet,
    device: torch.device,
    notes: list[str],
) -> Predicted:
    """Return the predictions of the networks without occlusion, if they can be rebuilt."""
    only = replace(selection, conditions={bands.reference.label: bands.reference})
    networks, problems = load_networks(only, cfg.weights, device)
    notes += problems
    return predict_under(Material(only, faces, networks, device), bands) if networks else {}


def predict_under(material: Material, bands: Bands) -> Predicted:
    """Let networks trained without occlusion predict their validation faces under each band.

    Nothing is kept on disk: the features of some taps would take more room than all others.

    Args:
        material: photographs, and the networks of the reference.
        bands: where the bands lie.
    """
    occlusions = {
        Place("tested", fill, top): Occlusion(
            "band", top, bands.height, 0, SIZE, fill, bands.noise_seed
        )
        for fill in FILLS
        for top in bands.tops
    }
    groups = sharing_features(material.networks)
    passes = len(occlusions) * sum(len(faces_to_test(material, group)) for group in groups)
    log.info(
        f"Testing networks under {len(occlusions)} bands ({', '.join(FILLS)}): {passes:,} passes "
        "of faces through the network, which takes a while and is not kept"
    )
    predicted: Predicted = {place: {} for place in occlusions}
    with image_progress("Testing under bands", passes) as advance, large_blocks_kept():
        for group in groups:
            extract = group_extractor(material, group, passes)
            for place, occlusion in occlusions.items():
                found = predict_directly(material, group, occlusion, extract, advance)
                for (_, seed), own in found.items():
                    predicted[place] = {**predicted[place], seed: own}
    return predicted


def band_table(predicted: Predicted, emotions: Sequence[str], height: int) -> list[dict[str, Any]]:
    """Return how often networks are right by where the band lies.

    Args:
        predicted: what they predict.
        emotions: in the order of the labels.
        height: rows of each band.

    Returns:
        For each place, a row for all emotions together (`emotion` is `all`), then one an emotion:
        `kind`, `fill` and `top` (see `Place`), `height`, `emotion`, `seeds` (their number), and of
        the pooled faces `faces`, `accuracy` (of an emotion: its recall), `low` and `high` (95 %
        Wilson interval), `drop` (against the reference, on the photographs of the seeds that both
        have), `drop_low` and `drop_high` (95 % bootstrap interval over photographs). All but the
        counts are 0–1; what is not known is None.
    """
    named = {str(number): predicted[place] for number, place in enumerate(predicted)}
    numbers = {place: str(number) for number, place in enumerate(predicted)}
    drops = {
        (row["condition"], row["emotion"]): row
        for row in drop_table(named, emotions, numbers.get(WITHOUT, ""))
    }
    rows = []
    for place, by_seed in predicted.items():
        pool = pooled(by_seed)
        parts = {emotion: pool.labels == label for label, emotion in enumerate(emotions)}
        for emotion, part in {ALL: slice(None), **parts}.items():
            drop = drops.get((numbers[place], emotion), {})
            rows.append(
                {
                    **place._asdict(),
                    "height": None if place.top is None else height,
                    "emotion": emotion,
                    "seeds": len(by_seed),
                    **_share(pool.right[part]),
                    "drop": drop.get("drop"),
                    "drop_low": drop.get("low"),
                    "drop_high": drop.get("high"),
                }
            )
    return rows


def _share(right: np.ndarray) -> dict[str, Any]:
    if not len(right):
        return {"faces": 0, "accuracy": None, "low": None, "high": None}
    low, high = proportion_confint(right.sum(), len(right), alpha=0.05, method="wilson")
    accuracy = float(right.mean())
    return {"faces": len(right), "accuracy": accuracy, "low": float(low), "high": float(high)}


def _subtitle(selection: Selection, bands: Bands) -> str:
    first = selection.runs[0].provenance
    trained = sum(len(one.runs) for one in bands.trained.values())
    whole = len(bands.reference.runs) if bands.reference else 0
    return (
        f"{trained} networks trained under a band of {bands.height} rows at "
        f"{len(bands.tops)} places, {whole} without occlusion, {selection.config.model.network}, "
        f"{sum(first['faces'].values()):,} faces, data: {first['data']}"
    )
