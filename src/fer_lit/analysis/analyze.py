"""One analysis: from run folders to tables, figures and a report."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib import rc_context
from omegaconf import DictConfig

from fer_lit.analysis.chapter import Analysis, Chapter
from fer_lit.analysis.chapters import (
    accuracy,
    attention,
    band_map,
    calibration,
    changes,
    photographs,
    power,
    shares,
    splits,
    transfer,
    trust,
    verdicts,
)
from fer_lit.analysis.chapters.own_images import explain_images
from fer_lit.analysis.checks.outcomes import check_maps
from fer_lit.analysis.maps import choose_photographs, map_photographs
from fer_lit.analysis.networks import gather
from fer_lit.analysis.report.files import publish
from fer_lit.analysis.selection import Selection, select_runs
from fer_lit.analysis.settings import describe, map_settings
from fer_lit.precision import choose_device, forbid_tf32
from fer_lit.stopwatch import Stopwatch

log = logging.getLogger(__name__)

Chapters = Mapping[str, Callable[[Analysis], Chapter | None]]

CHAPTERS: Chapters = {
    "accuracy": accuracy.chapter,
    "power": power.chapter,
    "splits": splits.chapter,
    "transfer": transfer.chapter,
    "attention": attention.chapter,
    "shares": shares.chapter,
    "changes": changes.chapter,
    "verdicts": verdicts.chapter,
    "photographs": photographs.chapter,
    "trust": trust.chapter,
    "calibration": calibration.chapter,
}
"""What writes the chapters of the report, in its order; those without anything to say are None."""
BAND_MAP: Chapters = {"band map": band_map.chapter, "accuracy": accuracy.accuracies_only}
"""Those of a band map."""


@rc_context({"text.parse_math": False})  # an emotion may be called a$b
def analyze(cfg: DictConfig, folder: Path) -> None:
    """Analyse the runs of one or several sweeps, map bands, or look at one's own photographs.

    Args:
        cfg: resolved and checked.
        folder: gets `report.html`, `results.json`, `attention.npz`, `tables/` and `figures/`.

    Raises:
        ConfigError: there is nothing to analyse, or an option does not fit the runs.
    """
    device = choose_device("auto")
    forbid_tf32()
    selection = select_runs(cfg.sweep, cfg.output, cfg.trust)
    log.info(
        f"{len(selection.runs)} runs under {', '.join(selection.conditions)} "
        f"from {', '.join(map(str, selection.folders))}"
    )
    if cfg.images is not None:
        explain_images(cfg, selection, folder, device)
        return
    watch = Stopwatch()
    if cfg.band_map:
        analysis, notes, subtitle = Analysis(cfg, selection), [], band_map.subtitle(selection)
    else:
        analysis, notes = _prepare(cfg, selection, device, watch)
        subtitle = _subtitle(selection)
    chapters: list[Chapter] = []
    for name, write in (BAND_MAP if cfg.band_map else CHAPTERS).items():
        with watch.measure(name):
            written = write(analysis)
        chapters += [written] if written else []
    publish(analysis, folder, subtitle, chapters, [*selection.notes, *notes], watch)


def _prepare(
    cfg: DictConfig, selection: Selection, device: torch.device, watch: Stopwatch
) -> tuple[Analysis, list[str]]:
    """Return what the chapters are written from, and a line for each thing that is missing."""
    notes = []
    if selection.missing:
        absent = ", ".join(selection.missing)
        notes.append(f"there is no finished run under {absent}; what needs it is left out")
    networks, problems = gather(selection, cfg.data.root, cfg.weights, device)
    # Before anything is computed: a layer that does not fit ends the analysis.
    settings, about = map_settings(cfg, networks.trained.values()) if networks else (None, [])
    notes += [*problems, *about]
    if networks is None or settings is None:
        return Analysis(cfg, selection, networks), notes
    classes, labels = networks.faces.classes, networks.faces.labels
    indices = choose_photographs(networks.held_out, labels, cfg.samples, cfg.seed)
    if not len(indices):
        notes.append(
            "there are no maps: no photograph is held out from training in every condition"
        )
        return Analysis(cfg, selection, networks, settings), notes
    counts = zip(classes, np.bincount(labels[indices], minlength=len(classes)), strict=True)
    log.info(
        f"{describe(settings, networks.trained.values())}: {len(indices):,} photographs "
        f"({', '.join(f'{emotion} {count:,}' for emotion, count in counts)}) under each condition"
    )
    with watch.measure("maps"):
        mapped = map_photographs(networks, indices, settings)
    with watch.measure("checks"):
        checks = check_maps(networks, indices, settings, cfg.seed)
    return Analysis(cfg, selection, networks, settings, mapped, checks), notes


def _subtitle(selection: Selection) -> str:
    first = selection.runs[0].provenance
    seeds = {seed for one in selection.conditions.values() for seed in one.runs}
    return (
        f"{len(selection.runs)} networks under {', '.join(selection.conditions)} "
        f"({len(seeds)} seed{'s' * (len(seeds) > 1)}), {selection.config.model.network}, "
        f"{sum(first['faces'].values()):,} faces, data: {first['data']}"
    )
