"""Which runs are analysed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fer_lit import paper
from fer_lit.analysis.conditions import Condition, Run, group_runs, plain
from fer_lit.errors import ConfigError
from fer_lit.runs.earlier import upgraded
from fer_lit.runs.folder import read_run, read_sweep
from fer_lit.runs.predictions import read_predictions


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
    found = [run for folder in folders for run in _read(folder, trust)]
    finished = [run for run in found if run["metrics"]]
    for run in found:
        if not run["metrics"]:
            reason = run["provenance"].get("error", "it did not finish")
            notes.append(f"{run['folder'].name} is left out: {reason}")
    if not finished:
        raise ConfigError(f"sweep={_shown(folders)}: no run in it has finished; {_ADVICE}")
    runs = _readable(finished, notes)
    _refuse_other_data(runs)
    conditions, repeated = group_runs(runs)
    notes += [*repeated, *_notes_on_tests(conditions), *_notes_on_splits(conditions)]
    return Selection(tuple(folders), conditions, tuple(notes))


_ADVICE = "train them with: python train.py -m occlusion=none,eyes,nose,mouth"


def _shown(folders: Sequence[Path]) -> str:
    names = ",".join(map(str, folders))
    return f"[{names}]" if len(folders) > 1 else names


def _latest(output: Path, notes: list[str]) -> str:
    """Return the latest sweep whose last job has ended, which is when its summary is written."""
    sweeps = sorted(path for path in (output / "sweeps").glob("*") if path.is_dir())
    ended = [path for path in sweeps if (path / "summary.csv").exists()]
    if not ended:
        raise ConfigError(f"sweep: there is no finished sweep in {output / 'sweeps'}; {_ADVICE}")
    for path in sweeps[sweeps.index(ended[-1]) + 1 :]:
        notes.append(f"the later sweep {path.name} has not finished; sweep={path} reads it")
    return str(ended[-1])


def _read(folder: Path, trust: bool) -> list[dict[str, Any]]:
    if (folder / "provenance.json").exists():
        return [read_run(folder, trust)]
    runs = read_sweep(folder, trust) if folder.is_dir() else []
    if not runs:
        raise ConfigError(f"sweep={folder}: there is no run in this folder; {_ADVICE}")
    return runs


def _readable(finished: Sequence[Mapping[str, Any]], notes: list[str]) -> list[Run]:
    """Return the runs whose predictions can be read; the last problem is raised if none can."""
    runs, problem = [], None
    for run in finished:
        try:
            runs.append(_with_predictions(run))
        except ConfigError as error:
            problem = error
            notes.append(f"{run['folder'].name} is left out: {error}")
    if not runs and problem:
        raise problem
    return runs


def _with_predictions(run: Mapping[str, Any]) -> Run:
    config = upgraded(run["config"])
    faces = run["metrics"]["faces"]
    file = "test_predictions.csv" if faces.get("test") else "predictions.csv"
    predictions = read_predictions(run["folder"] / file, config.data.classes)
    return Run(run["folder"], config, run["provenance"], faces, predictions)


def _notes_on_tests(conditions: Mapping[str, Condition]) -> list[str]:
    tested = [
        label for label, one in conditions.items() if any(r.has_test for r in one.runs.values())
    ]
    if not tested:
        return []
    whose = "" if len(tested) == len(conditions) else f" of {', '.join(tested)}"
    return [
        f"accuracy{whose} is that of the test part, which had no say in training; the networks are "
        "those of the epoch that was best on the validation part"
    ]


def _notes_on_splits(conditions: Mapping[str, Condition]) -> list[str]:
    same = {label: one for label, one in conditions.items() if one.same_faces and len(one.runs) > 1}
    if not same:
        return []
    official = all(one.protocol == "official" for one in same.values())
    chance = "the initial head and the order of the batches" if official else "the training"
    return [
        f"the seeds of {', '.join(same)} are tested on the same faces, so that their spread is "
        f"only that of {chance}: there is no interval over seeds; accuracies, their intervals over "
        "faces and paired tests are those of the lowest seed's network"
    ]


def _refuse_other_data(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        for what, one, other in (
            ("classes", list(first.config.data.classes), list(run.config.data.classes)),
            ("data", _data(first), _data(run)),
        ):
            if one != other:
                raise ConfigError(
                    f"sweep: {first.name} and {run.name} cannot be compared, their {what} differ: "
                    f"{plain(one)} and {plain(other)}; analyse them one at a time"
                )


def _data(run: Run) -> str:
    facts = run.provenance
    return f"{sum(facts['faces'].values()):,} faces of fingerprint {facts['data_fingerprint'][:12]}"
