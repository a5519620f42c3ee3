"""What an analysis says on the screen at its end."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_lit.analysis.results import Results, Row


def show(folder: Path, results: Results) -> None:
    """Print the accuracies, the findings, the checks, what is missing, and where the report is."""
    console = Console()
    console.print(_accuracies(results.tables["accuracy"]))
    # The checks have a table of their own.
    for statement in (one for one in results.statements if not one.text.startswith("Check")):
        mark = {True: "[green]holds[/]", False: "[red]does not hold[/]", None: ""}[statement.holds]
        console.print(f"• {escape(statement.text)} {mark}", highlight=False)
    if results.tables.get("checks"):
        console.print(_checks(results.tables["checks"]))
    for note in results.notes:
        console.print(f"[yellow]Note:[/] {escape(note)}", highlight=False)
    report = escape(str(folder / "report.html"))
    console.print(f"Report: {report}", soft_wrap=True, highlight=False)


def _accuracies(rows: list[Row]) -> Table:
    table = Table(title="Accuracy in %, each photograph once", box=box.SIMPLE)
    table.add_column("condition", overflow="fold")
    for name in ("seeds", "faces", "accuracy", "mean ± sd over seeds"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        figures = [100 * row[name] for name in ("accuracy", "low", "high")]
        accuracy = f"{figures[0]:.1f} ({figures[1]:.1f}–{figures[2]:.1f})"
        cells = (row["condition"], str(row["seeds"]), f"{row['faces']:,}", accuracy, _spread(row))
        table.add_row(*map(escape, cells))
    return table


def _spread(row: Row) -> str:
    if row["sd"] is None:
        return ""
    spread = f"{100 * row['mean']:.1f} ± {100 * row['sd']:.1f}"
    if row["mean_low"] is None:
        return spread
    return f"{spread} ({100 * row['mean_low']:.1f}–{100 * row['mean_high']:.1f})"


def _checks(rows: list[Row]) -> Table:
    table = Table(title="Can the maps be trusted?", box=box.SIMPLE)
    for name in ("check", "condition", "verdict", "found", "wanted"):
        table.add_column(name, overflow="fold")
    for row in rows:
        colour = {"pass": "green", "fail": "red"}.get(row["verdict"], "yellow")
        verdict = f"[{colour}]{escape(row['verdict'])}[/]"
        found = "" if row["value"] is None else f"{row['value']:.2f}"
        if row["from"] is not None:
            found += f" ({row['from']:.2f} to {row['to']:.2f})"
        table.add_row(row["check"], row["condition"] or "", verdict, found, row["wanted"] or "")
    return table
