"""Which runs are analysed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from fer_lit import paper
from fer_lit.analysis.labels import Condition, Run, group_runs, plain
from fer_lit.analysis.verification import verified
from fer_lit.errors import ConfigError
from fer_lit.runs.manifest import check_manifest
from fer_lit.runs.plan import missing_jobs
from fer_lit.runs.predictions import join_predictions
from fer_lit.runs.reading import is_run, read_run, read_sweep


@dataclass(frozen=True)
class Selection:
    """What is analysed.

    Attributes:
        folders: the sweeps or runs that were named or found.
        conditions: by label; those of the paper first, in its order.
        notes: a line for each thing that is missing or left out.
    """

    folders: tuple[Path, ...]
    conditions: Mapping[str, Condition]
    notes: tuple[str, ...]

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [run for condition in self.conditions.values() for run in condition.runs.values()]

    @property
    def config(self) -> DictConfig:
        """Options of one of the runs; the data and the classes are those of all."""
        return self.runs[0].config

    @property
    def classes(self) -> list[str]:
        """The emotions, in the order of the labels."""
        return list(self.config.data.classes)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The predictions of all runs: see `join_predictions`."""
        runs = {
            label: {seed: run.predictions for seed, run in one.runs.items()}
            for label, one in self.conditions.items()
        }
        return join_predictions(runs)

    @property
    def ratios(self) -> dict[str, float | None]:
        """Tested faces for each face trained on, by condition: see `Condition.ratio`."""
        return {label: one.ratio for label, one in self.conditions.items()}

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the paper's conditions that there is no run of, in its order."""
        names = {condition.occlusion.name for condition in self.conditions.values()}
        return tuple(name for name in paper.CONDITIONS if name not in names)


def select_runs(sweep: str | Sequence[str] | None, output: str, trust: bool = False) -> Selection:
    """Return the finished runs of the named sweeps, or of the latest finished one.

    Args:
        sweep: a folder of a sweep or of a run, or several.
        output: folder that holds `sweeps/`.
        trust: whether runs may name classes that are not fer_lit's.

    Raises:
        ConfigError: there are none, or they are on different data or classes.
    """
    notes: list[str] = []
    named = [sweep] if isinstance(sweep, str) else sweep
    folders = [Path(name).expanduser() for name in named or [_latest(Path(output), notes)]]
    found = [run for folder in folders for run in _read(folder, trust, notes)]
    finished = [run for run in found if run["metrics"]]
    if not finished:
        shown = f"[{','.join(map(str, folders))}]" if len(folders) > 1 else folders[0]
        raise ConfigError(f"sweep={shown}: no run in it has finished; {_ADVICE}")
    for run in found:
        if not run["metrics"]:
            reason = run["provenance"].get("error", "it did not finish")
            notes.append(f"{run['folder'].name} is left out: {reason}")
    runs = _readable(finished, notes)
    _refuse_other_data(runs)
    conditions, repeated = group_runs(runs)
    notes += [*repeated, *_notes_on(conditions)]
    return Selection(tuple(folders), conditions, tuple(notes))


_ADVICE = "train them with: python train.py -m occlusion=none,eyes,nose,mouth"


def _latest(output: Path, notes: list[str]) -> str:
    """Return the latest sweep whose last job has ended, which is when its summary is written."""
    sweeps = sorted(path for path in (output / "sweeps").glob("*") if path.is_dir())
    ended = [path for path in sweeps if (path / "summary.csv").exists()]
    if not ended:
        raise ConfigError(f"sweep: there is no finished sweep in {output / 'sweeps'}; {_ADVICE}")
    for path in sweeps[sweeps.index(ended[-1]) + 1 :]:
        notes.append(f"the later sweep {path.name} has not finished; sweep={path} reads it")
    return str(ended[-1])


def _read(folder: Path, trust: bool, notes: list[str]) -> list[dict[str, Any]]:
    if is_run(folder):
        return [read_run(folder, trust)]
    runs, problems = read_sweep(folder, trust)
    notes += problems
    notes += filter(None, [missing_jobs(folder, runs)])
    if not runs:
        raise ConfigError(
            problems[0]
            if problems
            else f"sweep={folder}: there is no run in this folder; {_ADVICE}"
        )
    return runs


def _readable(finished: Sequence[Mapping[str, Any]], notes: list[str]) -> list[Run]:
    """Return the runs that are as they were written; the last problem is raised if none is."""
    runs, problem, unlisted = [], None, 0
    for run in finished:
        try:
            unlisted += not check_manifest(run["folder"])
            runs.append(verified(run))
        except ConfigError as error:
            problem = error
            notes.append(f"{run['folder'].name} is left out: {error}")
    if not runs and problem:
        raise problem
    if unlisted:
        notes.append(
            f"{unlisted} of the {len(finished)} runs are of an earlier version and have no "
            "manifest.json, so that their files are taken for those they wrote"
        )
    return runs


def _notes_on(conditions: Mapping[str, Condition]) -> list[str]:
    notes = []
    tested = [
        label for label, one in conditions.items() if any(r.has_test for r in one.runs.values())
    ]
    if tested:
        whose = "" if len(tested) == len(conditions) else f" of {', '.join(tested)}"
        notes.append(
            f"accuracy{whose} is that of the test part, which had no say in training; the networks "
            "are those of the epoch that was best on the validation part"
        )
    same = {label: one for label, one in conditions.items() if one.same_faces and len(one.runs) > 1}
    if same:
        official = all(one.protocol == "official" for one in same.values())
        chance = "the initial head and the order of the batches" if official else "the training"
        notes.append(
            f"the seeds of {', '.join(same)} are tested on the same faces, so that their spread is "
            f"only that of {chance}: intervals are over faces, and nothing is known of networks "
            "trained on other faces"
        )
    return notes


def _refuse_other_data(runs: Sequence[Run]) -> None:
    first, *others = runs
    for run in others:
        for what, of in (("classes", lambda one: list(one.config.data.classes)), ("data", _data)):
            if of(first) != of(run):
                raise ConfigError(
                    f"sweep: {first.name} and {run.name} cannot be compared, their {what} differ: "
                    f"{plain(of(first))} and {plain(of(run))}; analyse them one at a time"
                )


def _data(run: Run) -> str:
    facts = run.provenance
    return f"{sum(facts['faces'].values()):,} faces of fingerprint {facts['data_fingerprint'][:12]}"
