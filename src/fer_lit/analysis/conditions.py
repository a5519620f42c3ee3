"""Which runs are alike, and what tells them from others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fer_lit import paper
from fer_lit.faces.occlusion import Occlusion
from fer_lit.runs.predictions import Predictions
from fer_lit.runs.summary import varied_options
from fer_lit.targets import build

PROTOCOL = "data.split.protocol"
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
_SPLIT = "data.split."
_NAMED_ANYWAY = ("recipe", "occlusion.", _SPLIT, "model.network", "model.weights")
"""Options, or their beginnings, that a recipe's name does not stand for."""


@dataclass(frozen=True)
class Run:
    """A finished run: see `folder.read_run`.

    Attributes:
        faces: how many `train`, `validation` and, if there is such a part, `test`.
        predictions: of the test part, or else of the validation part.
    """

    folder: Path
    config: DictConfig
    provenance: Mapping[str, Any]
    faces: Mapping[str, int]
    predictions: Predictions

    @property
    def name(self) -> str:
        """The sweep's and the run's folder, for people."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def accuracy(self) -> float:
        """Share of the predictions that are right, 0–1."""
        return float(self.predictions.right.mean())

    @property
    def has_test(self) -> bool:
        """Whether a part of the faces was set aside as a test."""
        return bool(self.faces.get("test"))

    @property
    def checkpoint(self) -> Path:
        """The network that made the predictions."""
        return self.folder / "checkpoints" / ("best.ckpt" if self.has_test else "last.ckpt")


@dataclass(frozen=True)
class Condition:
    """Runs that differ in their seed only.

    Attributes:
        label: the occlusion's name, and what else differs between the conditions: `none lr=0.003`.
        reference: label of the same without occlusion, whether or not there are runs of it.
        covered: label of the occlusion alone: its name, and what else differs about it.
        unsplit: label of the same without how the faces are split.
        occlusion: the band and its fill.
        runs: by seed, ascending.
    """

    label: str
    reference: str
    covered: str
    unsplit: str
    occlusion: Occlusion
    runs: Mapping[int, Run]

    @property
    def config(self) -> DictConfig:
        """Options of one of the runs."""
        return next(iter(self.runs.values())).config

    @property
    def protocol(self) -> str:
        """How the faces are split."""
        return OmegaConf.select(self.config, PROTOCOL)

    @property
    def has_test(self) -> bool:
        """Whether it is judged on a part of the faces that was set aside as a test."""
        return next(iter(self.runs.values())).has_test

    @property
    def same_faces(self) -> bool:
        """Whether all runs are tested on the same faces, as with the data set's own parts."""
        return len({frozenset(run.predictions.names) for run in self.runs.values()}) == 1

    @property
    def ratio(self) -> float | None:
        """Tested faces for each face trained on, mean over the runs (see `repeated_splits`).

        None if the runs do not repeat the split: there is one, or they have the `same_faces`.
        """
        if self.same_faces:
            return None
        return mean(len(run.predictions.names) / run.faces["train"] for run in self.runs.values())


def group_runs(runs: Sequence[Run]) -> tuple[dict[str, Condition], list[str]]:
    """Return the runs by condition; of two runs with the same seed the later one counts.

    Returns:
        Conditions by label, those of the paper first, in its order; and a line for each run that
        does not count.
    """
    varied = _telling_options(runs)
    grouped: dict[str, dict[int, Run]] = {}
    notes = []
    for run in runs:
        label = _label(run.config.occlusion.name, run, _telling(run.config, varied))
        seeds = grouped.setdefault(label, {})
        if earlier := seeds.get(run.config.seed):
            notes.append(f"{earlier.name} is left out: {run.name} is the same, trained again")
        seeds[run.config.seed] = run
    conditions = [_condition(label, seeds, varied) for label, seeds in grouped.items()]
    order = list(paper.CONDITIONS)
    conditions.sort(key=lambda one: order.index(_name(one)) if _name(one) in order else len(order))
    return {condition.label: condition for condition in conditions}, notes


def _telling_options(runs: Sequence[Run]) -> list[str]:
    """Return the options that make conditions of the runs.

    What follows from the recipe is not among them, since its name says it; what was typed is.
    """
    recipes: dict[str, list[Run]] = {}
    for run in runs:
        recipes.setdefault(run.config.recipe, []).append(run)
    return [
        option
        for option in varied_options([run.config for run in runs])
        if not option.startswith(_NO_DIFFERENCE)
        and (
            _differs(option, runs)
            if option.startswith(_NAMED_ANYWAY) or _typed_differently(option, runs)
            else any(_differs(option, own) for own in recipes.values())
        )
    ]


def _differs(option: str, runs: Iterable[Run]) -> bool:
    return len({_shown_value(run, option) for run in runs}) > 1


def _typed_differently(option: str, runs: Sequence[Run]) -> bool:
    """Return whether the option, or a group that it is in, was given other values by hand."""
    typed = [
        {name: value for name, value in _typed(run).items() if _is_about(name, option)}
        for run in runs
    ]
    return any(one != typed[0] for one in typed)


def _is_about(name: str, option: str) -> bool:
    if name == "model":  # chooses the network, which is named anyway
        return False
    return f"{option}.".startswith(f"{name}.") or name.startswith(f"{option}.")


def _typed(run: Run) -> dict[str, str]:
    """Return the options and groups that were given on the command line: name → value."""
    given = (argument.lstrip("+").partition("=") for argument in run.provenance["command"][1:])
    return {name: value for name, equals, value in given if equals}


def _name(condition: Condition) -> str:
    return condition.occlusion.name


def _condition(label: str, seeds: Mapping[int, Run], varied: Sequence[str]) -> Condition:
    run = next(iter(seeds.values()))
    config = run.config
    telling = _telling(config, varied)
    return Condition(
        label,
        _label("none", run, _without_band(varied)),
        _label(config.occlusion.name, run, _of_band(telling)),
        _label(config.occlusion.name, run, [o for o in telling if not o.startswith(_SPLIT)]),
        build(config.occlusion),
        dict(sorted(seeds.items())),
    )


def _telling(config: DictConfig, varied: Sequence[str]) -> list[str]:
    """Return the options that tell a run from others.

    What fills no band tells nothing, nor do shares of faces where the data set has its own parts.
    """
    telling = list(varied) if config.occlusion.height else _without_band(varied)
    if OmegaConf.select(config, PROTOCOL) != "official":
        return telling
    return [option for option in telling if option == PROTOCOL or not option.startswith(_SPLIT)]


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
    return plain(value)


def plain(value: Any) -> str:
    """Return an option's value as labels and messages show it."""
    return value if isinstance(value, str) else str(value).replace("'", "").replace(" ", "")
