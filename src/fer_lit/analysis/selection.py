"""Which runs are analysed, and which of them are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fer_lit.analysis.predictions import Predictions, read_predictions
from fer_lit.errors import ConfigError
from fer_lit.occlusion import PAPER_BANDS, Occlusion
from fer_lit.runs import read_run, read_sweep
from fer_lit.summary import varied_options

_NO_DIFFERENCE = (
    "seed",
    "output",
    "logger.",
    "data.root",
    "data.download",
    "data.on_bad_image",
    "trainer.accelerator",
    "trainer.devices",
    "model.save_backbone",
)
"""Options, or their beginnings, that do not make two runs different conditions."""


@dataclass(frozen=True)
class Run:
    """A finished run: see `runs.read_run`."""

    folder: Path
    config: DictConfig
    provenance: Mapping[str, Any]
    predictions: Predictions

    @property
    def name(self) -> str:
        """The sweep's and the run's folder, for people."""
        return f"{self.folder.parent.name}/{self.folder.name}"


@dataclass(frozen=True)
class Condition:
    """Runs that differ in their seed only.

    Attributes:
        label: the occlusion's name, and what else differs between the conditions: `none lr=0.003`.
        reference: label of the same without occlusion, whether or not there are runs of it.
        covered: label of the occlusion alone: its name, and what else differs about it.
        occlusion: the band and its fill.
        runs: by seed, ascending.
    """

    label: str
    reference: str
    covered: str
    occlusion: Occlusion
    runs: Mapping[int, Run]

    @property
    def config(self) -> DictConfig:
        """Options of one of the runs."""
        return next(iter(self.runs.values())).config


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
        return tuple(name for name in PAPER_BANDS if name not in names)


def select_runs(sweep: str | Sequence[str] | None, output: str) -> Selection:
    """Return the finished runs of the named sweeps, or of the latest finished one.

    Args:
        sweep: a folder of a sweep or of a run, or several.
        output: folder that holds `sweeps/`.

    Raises:
        ConfigError: there are none, or they are on different data or classes.
    """
    notes: list[str] = []
    named = [sweep] if isinstance(sweep, str) else sweep
    folders = [Path(name).expanduser() for name in named or [_latest(Path(output), notes)]]
    found = [run for folder in folders for run in _read(folder)]
    finished = [run for run in found if run["metrics"]]
    for run in found:
        if not run["metrics"]:
            reason = run["provenance"].get("error", "it did not finish")
            notes.append(f"{run['folder'].name} is left out: {reason}")
    if not finished:
        raise ConfigError(f"sweep={_shown(folders)}: no run in it has finished; {_ADVICE}")
    runs = _readable(finished, notes)
    _refuse_other_data(runs)
    conditions = _group(runs, notes)
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


def _read(folder: Path) -> list[dict[str, Any]]:
    if (folder / "provenance.json").exists():
        return [read_run(folder)]
    runs = read_sweep(folder) if folder.is_dir() else []
    if not runs:
        raise ConfigError(f"sweep={folder}: there is no run in this folder; {_ADVICE}")
    return runs


def _readable(finished: Sequence[Mapping[str, Any]], notes: list[str]) -> list[Run]:
    """Return the runs whose predictions can be read; the last problem is raised if none can."""
    runs, problem = [], None
    for run in finished:
        try:
            path = run["folder"] / "predictions.csv"
            predictions = read_predictions(path, run["config"].data.classes)
        except ConfigError as error:
            problem = error
            notes.append(f"{run['folder'].name} is left out: {error}")
        else:
            runs.append(Run(run["folder"], run["config"], run["provenance"], predictions))
    if not runs and problem:
        raise problem
    return runs


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
                    f"{_plain(one)} and {_plain(other)}; analyse them one at a time"
                )


def _data(run: Run) -> str:
    facts = run.provenance
    return f"{sum(facts['faces'].values()):,} faces of fingerprint {facts['data_fingerprint'][:12]}"


def _group(runs: Sequence[Run], notes: list[str]) -> dict[str, Condition]:
    """Return the runs by condition; of two runs with the same seed the later one counts."""
    varied = [
        option
        for option in varied_options([run.config for run in runs])
        if not option.startswith(_NO_DIFFERENCE)
        and not (option == "model.weights" and len({_shown_value(r, option) for r in runs}) == 1)
    ]
    grouped: dict[str, dict[int, Run]] = {}
    for run in runs:
        label = _label(run.config.occlusion.name, run, _telling(run.config, varied))
        seeds = grouped.setdefault(label, {})
        if earlier := seeds.get(run.config.seed):
            notes.append(f"{earlier.name} is left out: {run.name} is the same, trained again")
        seeds[run.config.seed] = run
    conditions = [_condition(label, seeds, varied) for label, seeds in grouped.items()]
    order = list(PAPER_BANDS)
    conditions.sort(key=lambda one: order.index(_name(one)) if _name(one) in order else len(order))
    return {condition.label: condition for condition in conditions}


def _name(condition: Condition) -> str:
    return condition.occlusion.name


def _condition(label: str, seeds: Mapping[int, Run], varied: Sequence[str]) -> Condition:
    run = next(iter(seeds.values()))
    config = run.config
    return Condition(
        label,
        _label("none", run, _without_band(varied)),
        _label(config.occlusion.name, run, _of_band(_telling(config, varied))),
        Occlusion(**config.occlusion),
        dict(sorted(seeds.items())),
    )


def _telling(config: DictConfig, varied: Sequence[str]) -> list[str]:
    """Return the options that tell a run from others; what fills no band tells nothing."""
    return list(varied) if config.occlusion.height else _without_band(varied)


def _without_band(options: Sequence[str]) -> list[str]:
    return [option for option in options if not option.startswith("occlusion.")]


def _of_band(options: Sequence[str]) -> list[str]:
    return [option for option in options if option.startswith("occlusion.")]


def _label(occlusion: str, run: Run, varied: Sequence[str]) -> str:
    short = [option.rpartition(".")[2] for option in varied]
    clear = len(set(short)) == len(short) and "seed" not in short
    names = short if clear else varied
    return " ".join(
        [occlusion]
        + [
            f"{name}={_shown_value(run, option)}"
            for name, option in zip(names, varied, strict=True)
        ]
    )


def _shown_value(run: Run, option: str) -> str:
    value = OmegaConf.select(run.config, option)
    if option == "model.weights" and value is not None:
        return run.provenance["backbone_digest"][:8]  # wherever the file lies
    return _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else str(value).replace("'", "").replace(" ", "")
