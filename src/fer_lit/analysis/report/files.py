"""An analysis as files, on the screen and in Weights & Biases."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_lit.analysis.chapter import (
    FAILED,
    NOT_SUPPORTED,
    PASSED,
    SUPPORTED,
    Analysis,
    Chapter,
    records,
)
from fer_lit.analysis.report.html import write_report
from fer_lit.analysis.report.style import save_figure
from fer_lit.analysis.settings import describe
from fer_lit.files import write_csv, write_json
from fer_lit.runs.folder import describe_process
from fer_lit.stopwatch import Stopwatch
from fer_lit.targets import build

Row = Mapping[str, Any]


def publish(
    analysis: Analysis,
    folder: Path,
    subtitle: str,
    chapters: Sequence[Chapter],
    notes: Sequence[str],
    watch: Stopwatch,
) -> None:
    """Write the chapters and the report, print what was found, and log it if that is wanted.

    Args:
        analysis: what the chapters were written from.
        folder: gets `report.html`, `results.json`, `figures/`, `tables/`, and the chapters' files.
        subtitle: what was analysed, in one sentence.
        chapters: in the order of the report.
        notes: come before the chapters' own.
        watch: has measured the chapters.
    """
    findings = [finding for chapter in chapters for finding in chapter.findings]
    notes = [*notes, *(note for chapter in chapters for note in chapter.notes)]
    (folder / "figures").mkdir()
    with watch.measure("figures"):
        figures = {
            drawing.name: save_figure(drawing.figure, folder / "figures", drawing.name)
            for chapter in chapters
            for drawing in chapter.drawings
        }
    tables = {table.name: records(table.rows) for one in chapters for table in one.tables}
    facts = _facts(analysis, watch.seconds)
    said = [asdict(finding) for finding in findings]
    results = {"findings": said, "notes": notes, "tables": tables, "facts": facts}
    write_json(folder / "results.json", results)
    (folder / "tables").mkdir()
    for name, rows in tables.items():
        if rows:
            write_csv(folder / "tables" / f"{name}.csv", rows)
    for name, write in (file for chapter in chapters for file in chapter.files.items()):
        write(folder / name)
    title = "Which part of a face does the network need?"
    write_report(folder / "report.html", title, subtitle, findings, notes, chapters, facts)
    _show(folder, chapters, tables, notes)
    cfg = analysis.cfg
    if tracker := build(cfg.logger.tracker):
        sweeps = _distinct(run.folder.absolute().parent.name for run in analysis.selection.runs)
        tracker.log_analysis(cfg, folder, sweeps, tables, figures)


_COLOURS = {SUPPORTED: "green", PASSED: "green", NOT_SUPPORTED: "red", FAILED: "red"}
_SCORED = {"logit": "logit above the mean of all emotions", "probability": "probability"}


def _facts(analysis: Analysis, seconds: Mapping[str, float]) -> dict[str, str | list[str]]:
    """Return how the analysis and its runs were made, for people, with the stages' seconds."""
    cfg, selection, settings = analysis.cfg, analysis.selection, analysis.settings
    process = describe_process()
    first = selection.runs[0].provenance
    facts = {
        "command": shlex.join(["python", *process["command"]]),
        "commands of the runs": _distinct(
            shlex.join(["python", *run.provenance["command"]]) for run in selection.runs
        ),
        "runs": [run.name for run in selection.runs],
        "data": f"{first['data']}: {sum(first['faces'].values()):,} faces "
        f"({', '.join(f'{name} {count:,}' for name, count in first['faces'].items())}), "
        f"{first['duplicates']:,} duplicates, {first['blank']:,} blank; {first['source']}",
        "data fingerprint": first["data_fingerprint"],
        "backbone": _distinct(
            f"{run.config.model.network}, weights digest {run.provenance['backbone_digest'][:12]}, "
            f"computed in {run.provenance['precision']['backbone']}"
            for run in selection.runs
        ),
        "seeds of the runs": ", ".join(_distinct(str(run.config.seed) for run in selection.runs)),
        "seed of the analysis": str(cfg.seed),
    }
    if settings:
        facts["attention maps"] = (
            f"{describe(settings, analysis.networks.trained.values())}; of the {settings.target} "
            f"emotion's {_SCORED[settings.score]}, by pytorch-grad-cam; enlarged to the 48×48 face "
            "by linear interpolation from the centres of the cells' receptive fields; up to "
            f"{cfg.samples:,} photographs of each emotion"
        )
    versions = ", ".join(f"{name} {number}" for name, number in process["packages"].items())
    return facts | {
        "versions": f"Python {process['python']}, {versions}",
        "commit": str(process["git_commit"]),
        "made": process["started"],
        "seconds": ", ".join(f"{stage} {time:,.0f}" for stage, time in seconds.items()),
    }


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _show(
    folder: Path, chapters: Sequence[Chapter], tables: Mapping[str, list[Row]], notes: Sequence[str]
) -> None:
    """Print the accuracies, the findings, the checks, what is missing, and where the report is."""
    console = Console()
    console.print(_accuracies(tables["accuracy"]))
    for chapter in chapters:
        findings = chapter.findings
        if any(table.name == "checks" for table in chapter.tables):
            console.print(_checks(tables["checks"]))
            findings = findings[:1]  # what the table does not say
        for finding in findings:
            colour = _COLOURS.get(finding.verdict, "yellow")
            mark = f" [{colour}]{escape(finding.verdict)}[/]" if finding.verdict else ""
            console.print(f"• {escape(finding.text)}{mark}", highlight=False)
    for note in notes:
        console.print(f"[yellow]Note:[/] {escape(note)}", highlight=False)
    report = escape(str(folder / "report.html"))
    console.print(f"Report: {report}", soft_wrap=True, highlight=False)


_MARKS = {"pass": "[green]pass[/]", "fail": "[red]fail[/]"}


def _accuracies(rows: Sequence[Row]) -> Table:
    table = Table(title="Accuracy in %, with 95 % intervals", box=box.SIMPLE)
    table.add_column("condition", overflow="fold")
    for name in ("seeds", "faces", "accuracy", "interval over", "sd"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        accuracy = "{} ({}–{})".format(*_in_percent(row, "accuracy", "low", "high"))
        spread = "" if row["sd"] is None else _in_percent(row, "sd")[0]
        counts = str(row["seeds"]), f"{row['faces']:,}"
        cells = (row["condition"], *counts, accuracy, row["interval"], spread)
        table.add_row(*map(escape, cells))
    return table


def _in_percent(row: Row, *names: str) -> list[str]:
    return [f"{100 * row[name]:.1f}" for name in names]


def _checks(rows: Sequence[Row]) -> Table:
    """Return verdicts by check and condition; those of all conditions together stand under each."""
    conditions = _distinct(row["condition"] for row in rows if row["condition"])
    reasons = _distinct(
        f"{row['check']}: {row['verdict']}" for row in rows if row["verdict"] not in _MARKS
    )
    table = Table(title="Can the maps be trusted?", box=box.SIMPLE, caption_justify="left")
    table.caption = escape("\n".join(reasons)) or None
    table.add_column("check")
    for condition in conditions:
        table.add_column(escape(condition), overflow="fold")
    for check in _distinct(row["check"] for row in rows):
        own = {row["condition"]: row["verdict"] for row in rows if row["check"] == check}
        verdicts = [own.get(condition, own.get(None)) for condition in conditions]
        table.add_row(check, *(_MARKS.get(verdict, "–") for verdict in verdicts))
    return table
