"""What is said when Hydra has run all jobs: a table, what failed, and what to type next."""

import shlex
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_lit.errors import ConfigError, of_the_disk
from fer_lit.runs.folder import one_line, without_folder
from fer_lit.runs.plan import missing_jobs
from fer_lit.runs.reading import read_run, read_sweep

CONDITIONS = "occlusion=none,eyes,nose,mouth"
_NARROW = ("run", "data", "status", "low", "high")  # columns that the screen has no room for


class SweepReport(Callback):
    """Reports on the run folders after the last job; the exit status is 1 if a run failed.

    `folders` are the names of the run folders of a resumed sweep, by the number of the job, from
    where `hydra.sweep.subdir` takes them.
    """

    def __init__(self, folders: Sequence[str] | None = None):
        self.folders = folders

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Report on a single run."""
        from fer_lit.runs.summary import summary_rows  # late: statsmodels takes a moment

        with _fatal_errors():
            folder = Path(config.hydra.run.dir)
            runs = [read_run(folder, trust=True)]
            if not _report(folder, runs, summary_rows(runs), [], "wandb"):
                sys.exit(1)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Report on a sweep."""
        with _fatal_errors():
            if not report_sweep(Path(config.hydra.sweep.dir)):
                sys.exit(1)


def report_sweep(folder: Path) -> bool:
    """Write `summary.csv` and `summary.md` of a sweep, show them, and return whether all finished.

    Raises:
        ConfigError: no run can be read.
    """
    from fer_lit.files import write_csv, write_text
    from fer_lit.runs.summary import markdown, summary_rows

    runs, problems = read_sweep(folder, trust=True)
    if not runs:
        raise ConfigError(problems[0] if problems else f"{folder}: holds no runs")
    problems += filter(None, [missing_jobs(folder, runs)])
    rows = summary_rows(runs)
    try:
        write_csv(folder / "summary.csv", rows)
        write_text(folder / "summary.md", markdown(rows))
    except OSError as error:
        problems.append(of_the_disk(error) or one_line(error))
    return _report(folder, runs, rows, problems, "*/wandb")


@contextmanager
def _fatal_errors() -> Iterator[None]:
    """Exit with 1 after an error; Hydra would make a warning of it, and exit with 0."""
    try:
        yield
    except (ConfigError, OSError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: there is no summary: {one_line(error)}")
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def next_command(arguments: Sequence[str]) -> str:
    """Return what to type after a command: all conditions after one, and then the analysis.

    For a band map, whose bands come first, the network that sees whole faces, and then the map.
    """
    added = ("-m", "--multirun", "hydra.sweeper.params=null")  # the last by `cli.train`
    kept = [argument for argument in without_folder(arguments) if argument not in added]
    one_run = not {"-m", "--multirun"} & set(arguments)
    band_map = "experiment=band_map" in kept
    others = [argument for argument in kept if not argument.startswith("occlusion")]
    where = [argument for argument in kept if argument.startswith("output=")]
    if one_run and band_map:
        command = ["python", "analyze.py", "band_map=true", "sweep=[SWEEP,RUN]", *where]
    elif one_run:
        command = ["python", "train.py", "-m", CONDITIONS, *others]
    elif band_map:
        command = ["python", "train.py", "occlusion=none", *others]
    else:
        command = ["python", "analyze.py", *where]
    return shlex.join(command)


def _report(
    folder: Path,
    runs: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    problems: Sequence[str],
    wandb: str,
) -> bool:
    """Print the table, what is wrong, where things are (W&B's below `wandb`), and what to type.

    Return whether all runs finished.
    """
    console = Console()
    say = partial(console.print, soft_wrap=True, highlight=False)
    console.print(_table(rows))
    unfinished = [run for run in runs if run["provenance"]["status"] != "finished"]
    for run in unfinished:
        status = run["provenance"]["status"]
        reason = run["provenance"].get("error", "did not finish")
        say(f"[red]{status.upper()}[/] {escape(run['folder'].name)}: {escape(reason)}")
    for run, row in zip(runs, rows, strict=True):
        if row["status"] != run["provenance"]["status"]:
            say(f"[yellow]Note:[/] {escape(row['run'])}: {row['status']}")
    for problem in problems:
        say(f"[yellow]Note:[/] {escape(problem)}")
    say(f"Written to {escape(str(folder))}")
    offline = f"{wandb}/offline-run-*"
    if any(folder.glob(offline)):
        say(escape(f"Weights & Biases is offline; to upload: wandb sync {folder}/{offline}"))
    if unfinished or problems:
        say_how_to_resume(folder)
    else:
        say(escape(f"Next: {next_command(sys.argv[1:])}"))
    return not unfinished and not problems


def say_how_to_resume(folder: Path) -> None:
    """Print what to type after a sweep or a run that did not finish."""
    command = shlex.join(["python", "train.py", f"resume={folder}"])
    text = f"Next: mend what failed, if anything, and type: {command}"
    Console().print(escape(text), soft_wrap=True, highlight=False)


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the rows for the screen: the interval beside the accuracy, short column names."""
    synthetic = " (data: synthetic)" if rows[0]["data"] == "synthetic" else ""
    title = f"Validation, after the last epoch, in %{synthetic}"
    table = Table(title=title, box=box.SIMPLE, padding=(0, 1, 0, 0))
    filled = {column for row in rows for column, value in row.items() if value is not None}
    columns = [column for column in rows[0] if column in filled.difference(_NARROW)]
    for column in columns:
        name = column.removeprefix("recall_").replace("macro_f1", "F1").rpartition(".")[2]
        justify = "left" if column == "occlusion" else "right"
        table.add_column(escape(name), justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*(escape(_shown(row, column)) for column in columns))
    return table


def _shown(row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    if column == "accuracy" and value is not None:
        return f"{value:.1f} ({row['low']:.1f}–{row['high']:.1f})"
    if isinstance(value, float):
        return f"{value:.0f}" if column == "seconds" else f"{value:.1f}"
    return "" if value is None else str(value)
