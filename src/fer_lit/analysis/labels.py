"""Which runs are alike, and what they are called."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from fer_lit import paper
from fer_lit.faces.occlusion import Occlusion
from fer_lit.runs.summary import varied_options
from fer_lit.targets import build

Pair = tuple[str, str]
"""The labels of two conditions."""

PROTOCOL = "data.split.protocol"
_NO_DIFFERENCE = (
    *("seed", "output", "logger.", "data.root", "data.download", "data.on_bad_image"),
    *("trainer.accelerator", "trainer.devices", "model.save_backbone"),
)
"""Options, or their beginnings, that do not make two runs different conditions."""
_BAND, _SPLIT = "occlusion.", "data.split."
_NAMED_ANYWAY = ("recipe", _BAND, _SPLIT, "model.network", "model.weights")
"""Options, or their beginnings, that a recipe's name does not stand for."""


@dataclass(frozen=True)
class Run:
    """A finished run: see `reading.read_run`.

    Attributes:
        faces: how many `train`, `validation` and, if there is such a part, `test`.
        predictions: of the test part, or else of the validation part (see `prediction_frame`).
    """

    folder: Path
    config: DictConfig
    provenance: Mapping[str, Any]
    faces: Mapping[str, int]
    predictions: pd.DataFrame

    @property
    def name(self) -> str:
        """The sweep's and the run's folder, for people."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def accuracy(self) -> float:
        """Share of the predictions that are right, 0–1."""
        return float(self.predictions["right"].mean())

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
    def first(self) -> Run:
        """The run of the lowest seed."""
        return next(iter(self.runs.values()))

    @property
    def config(self) -> DictConfig:
        """Options of one of the runs."""
        return self.first.config

    @property
    def protocol(self) -> str:
        """How the faces are split."""
        return OmegaConf.select(self.config, PROTOCOL)

    @property
    def same_faces(self) -> bool:
        """Whether all runs are tested on the same faces, as with the data set's own parts."""
        return len({frozenset(run.predictions["image"]) for run in self.runs.values()}) == 1

    @property
    def ratio(self) -> float | None:
        """Tested faces for each face trained on, mean over the runs (see `stats.resampled_t`).

        None if the runs do not repeat the split: there is one, or they have the `same_faces`.
        """
        if self.same_faces:
            return None
        return mean(len(run.predictions) / run.faces["train"] for run in self.runs.values())


def occlusion_pairs(conditions: Mapping[str, Condition]) -> list[Pair]:
    """Return the pairs that differ in the occlusion only."""
    pairs = combinations(conditions.values(), 2)
    return [(a.label, b.label) for a, b in pairs if a.reference == b.reference]


def option_pairs(conditions: Mapping[str, Condition]) -> list[Pair]:
    """Return the pairs under the same occlusion that differ otherwise.

    Two split protocols test other faces, which cannot be paired: see `splits.protocol_pairs`.
    """
    return [
        (a.label, b.label)
        for a, b in combinations(conditions.values(), 2)
        if a.covered == b.covered and a.protocol == b.protocol
    ]


def group_runs(runs: Sequence[Run]) -> tuple[dict[str, Condition], list[str]]:
    """Return the runs by condition; of two runs with the same seed the later one counts.

    Those of the paper come first, in its order; and there is a line for each run that does not
    count.
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
    order = {name: place for place, name in enumerate(paper.CONDITIONS)}
    conditions.sort(key=lambda one: order.get(one.occlusion.name, len(order)))
    return {condition.label: condition for condition in conditions}, notes


def _telling_options(runs: Sequence[Run]) -> list[str]:
    """Return the options that make conditions of the runs.

    What follows from the recipe is not among them, since its name says it; what was typed is.
    """
    recipes: dict[str, list[Run]] = {}
    for run in runs:
        recipes.setdefault(run.config.recipe, []).append(run)
    parser = OverridesParser.create()
    typed = []  # on the command line: the options and groups, name → value
    for run in runs:
        parsed = parser.parse_overrides(list(run.provenance.get("overrides", ())))
        typed.append({override.key_or_group: override.value() for override in parsed})
    return [
        option
        for option in varied_options([run.config for run in runs])
        if not option.startswith(_NO_DIFFERENCE)
        and (
            _differs(option, runs)
            if option.startswith(_NAMED_ANYWAY) or _typed_differently(option, typed)
            else any(_differs(option, own) for own in recipes.values())
        )
    ]


def _differs(option: str, runs: Iterable[Run]) -> bool:
    return len({_shown_value(run, option) for run in runs}) > 1


def _typed_differently(option: str, typed: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the option, or a group that it is in, was given other values by hand."""
    about = [
        {
            name: value
            for name, value in own.items()
            if name != "model"  # which chooses the network, and that is named anyway
            and (f"{option}.".startswith(f"{name}.") or name.startswith(f"{option}."))
        }
        for own in typed
    ]
    return any(own != about[0] for own in about)


def _condition(label: str, seeds: Mapping[int, Run], varied: Sequence[str]) -> Condition:
    run = next(iter(seeds.values()))
    name, telling = run.config.occlusion.name, _telling(run.config, varied)
    return Condition(
        label,
        reference=_label("none", run, _without_band(varied)),
        covered=_label(name, run, [one for one in telling if one.startswith(_BAND)]),
        unsplit=_label(name, run, [one for one in telling if not one.startswith(_SPLIT)]),
        occlusion=build(run.config.occlusion),
        runs=dict(sorted(seeds.items())),
    )


def _telling(config: DictConfig, varied: Sequence[str]) -> list[str]:
    """Return the options that tell a run from others.

    The fill is ignored without a band, and so are shares of faces where the data set has its own
    parts.
    """
    telling = list(varied) if config.occlusion.height else _without_band(varied)
    if OmegaConf.select(config, PROTOCOL) != "official":
        return telling
    return [option for option in telling if option == PROTOCOL or not option.startswith(_SPLIT)]


def _without_band(options: Sequence[str]) -> list[str]:
    return [option for option in options if not option.startswith(_BAND)]


def _label(occlusion: str, run: Run, varied: Sequence[str]) -> str:
    # The class of a head is called head, not _target_.
    varied_names = [option.removesuffix("._target_") for option in varied]
    short = [option.rpartition(".")[2] for option in varied_names]
    clear = len(set(short)) == len(short) and "seed" not in short
    names = short if clear else varied_names
    pairs = zip(names, varied, strict=True)
    return " ".join([occlusion, *(f"{name}={_shown_value(run, option)}" for name, option in pairs)])


def _shown_value(run: Run, option: str) -> str:
    value = OmegaConf.select(run.config, option)
    if option == "model.weights" and value is not None:
        return run.provenance["backbone_digest"][:8]  # wherever the file lies
    return plain(value)


def plain(value: Any) -> str:
    """Return an option's value as labels and messages show it."""
    return value if isinstance(value, str) else str(value).replace("'", "").replace(" ", "")
