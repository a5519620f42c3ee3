"""The command line of `train.py`: every job checked before the first one starts, and the demo."""

import logging
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from fer_lit.cli.overrides import compose_job, parse, refuse_several_values, split_jobs, sweep_of
from fer_lit.errors import ConfigError
from fer_lit.networks.taps import old_form
from fer_lit.options import check
from fer_lit.targets import build

_PHOTOGRAPHS_ONLY = ("experiment", "data", "data.root", "data.on_bad_image")
"""Overrides that the demo replaces or has no use for."""


def checked(arguments: Sequence[str]) -> list[str]:
    """Return the arguments to run: those given, or those of the demo.

    Raises:
        ConfigError: an option of a job cannot work.
    """
    flags = [argument for argument in arguments if argument.startswith("-")]
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    _refuse_single_taps(overrides)
    _refuse_common_folder(overrides)
    configs = _compose_jobs(overrides, multirun=bool(flags))
    swept, replaced = _sweep_of_experiment(overrides) if flags else ([], [])
    if swept:
        configs = _compose_jobs(swept + overrides, multirun=True)
    if not _have_faces(configs):
        parsed = zip(swept + overrides, parse(swept + overrides), strict=True)
        kept = [text for text, item in parsed if item.key_or_group not in _PHOTOGRAPHS_ONLY]
        overrides = ["experiment=demo", *kept]
        _compose_jobs(overrides, multirun=bool(flags))
        _announce_demo()
    elif replaced:
        # Hydra would sweep these, too, and train each network several times.
        overrides = ["hydra.sweeper.params=null", *swept, *overrides]
    return flags + overrides


def _compose_jobs(overrides: list[str], multirun: bool) -> list[DictConfig]:
    """Return the checked configuration of each job."""
    if not multirun:
        refuse_several_values(overrides, "several values need -m (--multirun)")
    configs = []
    for job in split_jobs(overrides):
        configs.append(compose_job("config", job))
        OmegaConf.resolve(configs[-1])
        check(configs[-1])
    return configs


def _sweep_of_experiment(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what an experiment sweeps by itself, as overrides: what holds, and what is replaced.

    What is typed replaces it, and another occlusion replaces the rows of its band, too.
    """
    typed = {item.key_or_group for item in parse(overrides)}
    holding: list[str] = []
    replaced: list[str] = []
    for item in parse(sweep_of("config", overrides)):
        option, group = item.key_or_group, item.key_or_group.partition(".")[0]
        (replaced if typed & {option, group} else holding).append(item.input_line)
    return holding, replaced


def _have_faces(configs: Sequence[DictConfig]) -> bool:
    """Whether the faces that the jobs want are there, fetched if they must and may be."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    wanted = {OmegaConf.to_yaml(cfg.data.source): cfg.data.source for cfg in configs}
    return all(build(source).is_there() for source in wanted.values())


def _refuse_single_taps(overrides: Sequence[str]) -> None:
    """Refuse `model.taps.BLOCK=GRID`, since taps are a list."""
    for item in parse(overrides):
        group, _, block = item.key_or_group.rpartition(".")
        if group == "model.taps":
            raise old_form({block: item.value()})


def _refuse_common_folder(overrides: Sequence[str]) -> None:
    """Refuse a folder that all jobs of a sweep would share."""
    for item in parse(overrides):
        text = item.input_line
        if item.key_or_group == "hydra.sweep.subdir" and "${" not in text:
            fix = "give each job its own, as in hydra.sweep.subdir='${hydra:job.num}'"
            raise ConfigError(f"{text}: all jobs would have this folder; {fix}")


def _announce_demo() -> None:
    from rich.console import Console
    from rich.panel import Panel

    text = (
        "No photographs were found, so this runs [bold]experiment=demo[/]: faces drawn by the "
        "program and a network with random weights. The results say [bold]data: synthetic[/] and "
        "say nothing about people.\n\n"
        "With the photographs: python train.py … data.root=FOLDER (see the README)"
    )
    Console().print(Panel(text, title="DEMO", border_style="yellow"))
