"""One analysis: from run folders to tables, figures and a report."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from fer_lit.analysis import findings, illustrations
from fer_lit.analysis.attention import MapSettings, map_settings, notes_on_method
from fer_lit.analysis.band_map import map_bands
from fer_lit.analysis.checks import check_maps
from fer_lit.analysis.examples import draw_single_photographs
from fer_lit.analysis.mapping import MappedPhotographs, draw_photographs, map_photographs
from fer_lit.analysis.material import Material, gather
from fer_lit.analysis.own_images import explain_images
from fer_lit.analysis.publish import publish
from fer_lit.analysis.results import Results
from fer_lit.analysis.score_findings import transfer_statements
from fer_lit.analysis.scores import score
from fer_lit.analysis.sections import maps_table
from fer_lit.analysis.selection import Selection, select_runs
from fer_lit.analysis.shares import change_table, profile_table, share_table
from fer_lit.analysis.transfer import transfer_table
from fer_lit.precision import choose_device, forbid_tf32
from fer_lit.stopwatch import Stopwatch

log = logging.getLogger(__name__)


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
    if cfg.band_map:
        map_bands(cfg, selection, folder, device)
        return
    material, problems = gather(selection, cfg.data.root, cfg.weights, device)
    # Before anything is computed: a layer that does not fit ends the analysis.
    settings, unmapped = map_settings(cfg, material.networks) if material else (None, [])
    results = Results(
        notes=[*selection.notes, *_notes_on_conditions(selection), *problems, *unmapped]
    )
    watch = Stopwatch()
    _analyze(cfg, folder, selection, material, settings, results, watch)
    publish(cfg, folder, selection, _subtitle(selection), results, settings, watch.seconds)


def _notes_on_conditions(selection: Selection) -> list[str]:
    if not selection.missing:
        return []
    absent = ", ".join(selection.missing)
    return [f"there is no finished run under {absent}; what needs it is left out"]


def _analyze(
    cfg: DictConfig,
    folder: Path,
    selection: Selection,
    material: Material | None,
    settings: MapSettings | None,
    results: Results,
    watch: Stopwatch,
) -> None:
    figures = folder / "figures"
    figures.mkdir()
    with watch.measure("scores"):
        confusions = score(selection, results)
    with watch.measure("transfer"):
        results.tables["transfer"] = transfer_table(material) if material else []
    references = {label: one.reference for label, one in selection.conditions.items()}
    results.statements += transfer_statements(results.tables["transfer"], references)
    with watch.measure("figures"):
        tables = results.tables
        results.pictures |= illustrations.draw_scores(figures, selection, tables, confusions)
    if material and settings:
        _look(cfg, folder, material, settings, results, watch)


def _look(
    cfg: DictConfig,
    folder: Path,
    material: Material,
    settings: MapSettings,
    results: Results,
    watch: Stopwatch,
) -> None:
    """Add the attention maps, what is measured on them, and whether they can be trusted."""
    indices = draw_photographs(material.held_out, material.faces.labels, cfg.samples, cfg.seed)
    if not len(indices):
        results.notes.append(
            "there are no maps: no photograph is held out from training in every condition"
        )
        return
    results.notes += notes_on_method(settings.method, material.networks.values())
    _announce(material, indices, settings)
    with watch.measure("maps"):
        mapped = map_photographs(material, indices, settings)
    mapped.attention.save(folder / "attention.npz")
    with watch.measure("statistics"):
        _measure(material, mapped, cfg.seed, results)
    with watch.measure("checks"):
        results.tables["checks"] = check_maps(material, indices, settings, cfg.seed)
    results.statements += findings.check_statements(results.tables["checks"])
    figures, colormap = folder / "figures", cfg.colormap
    with watch.measure("figures of maps"):
        results.pictures |= draw_single_photographs(figures, material, mapped, settings, colormap)
        results.pictures |= illustrations.draw_maps(
            figures, material, mapped, results.tables, colormap
        )


def _announce(material: Material, indices: np.ndarray, settings: MapSettings) -> None:
    classes, labels = material.faces.classes, material.faces.labels[indices]
    counts = [f"{emotion} {(labels == label).sum():,}" for label, emotion in enumerate(classes)]
    log.info(
        f"{settings.method} of {settings.layer} for {len(indices):,} photographs "
        f"({', '.join(counts)}) under each condition"
    )


def _measure(material: Material, mapped: MappedPhotographs, seed: int, results: Results) -> None:
    """Add the numbers about the maps."""
    references = {label: one.reference for label, one in material.conditions.items()}
    occlusions = {label: one.occlusion for label, one in material.conditions.items()}
    ratios = {label: one.ratio for label, one in material.conditions.items()}
    results.tables |= {
        "maps": maps_table(mapped),
        "attention": share_table(mapped, seed),
        "attention_change": change_table(mapped, references, seed),
        "row_profile": profile_table(mapped),
    }
    results.statements += findings.paper_statements(mapped, occlusions, ratios, seed)
    results.notes += _notes_on_seeds(material)


def _notes_on_seeds(material: Material) -> list[str]:
    seeds = [{seed for _, seed in material.keys(label)} for label in material.conditions]
    notes = []
    if any(own != seeds[0] for own in seeds):
        notes.append(
            "the conditions have networks of different seeds, so that changes of attention and "
            "transfer compare networks of different splits"
        )
    if all(len(own) == 1 for own in seeds):
        notes.append(
            "there is one network a condition: intervals are over photographs, and how much the "
            "maps of other seeds differ is not known (train more with seed=0,1,2,3,4)"
        )
    return notes


def _subtitle(selection: Selection) -> str:
    first = selection.runs[0].provenance
    seeds = {seed for one in selection.conditions.values() for seed in one.runs}
    return (
        f"{len(selection.runs)} networks under {', '.join(selection.conditions)} "
        f"({len(seeds)} seed{'s' * (len(seeds) > 1)}), {selection.config.model.network}, "
        f"{sum(first['faces'].values()):,} faces, data: {first['data']}"
    )
