"""The end of an analysis: its results as files, on the screen and in Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from fer_lit.analysis.attention import MapSettings
from fer_lit.analysis.report import write_report
from fer_lit.analysis.results import Results
from fer_lit.analysis.screen import show
from fer_lit.analysis.sections import facts_about, sections_of
from fer_lit.analysis.selection import Selection
from fer_lit.targets import build


def publish(
    cfg: DictConfig,
    folder: Path,
    selection: Selection,
    subtitle: str,
    results: Results,
    settings: MapSettings | None,
    seconds: Mapping[str, float],
) -> None:
    """Write results and report, print what was found, and log it if that is wanted.

    Args:
        cfg: of the analysis.
        folder: gets `report.html`, `results.json` and `tables/`.
        selection: the runs.
        subtitle: what was analysed, in one sentence.
        results: everything found; gets its facts here.
        settings: how maps were made; None if there are none.
        seconds: of the stages.
    """
    results.facts = facts_about(cfg, selection, settings, seconds)
    results.write(folder)
    write_report(
        folder / "report.html",
        "Which part of a face does the network need?",
        subtitle,
        results.statements,
        results.notes,
        sections_of(results),
        results.facts,
    )
    show(folder, results)
    if tracker := build(cfg.logger.tracker):
        pictures = {name: picture.path for name, picture in results.pictures.items()}
        sweeps = list(dict.fromkeys(run.folder.absolute().parent.name for run in selection.runs))
        tables = {name: pd.DataFrame(rows) for name, rows in results.tables.items() if rows}
        tracker.log_analysis(cfg, folder, sweeps, tables, pictures)
