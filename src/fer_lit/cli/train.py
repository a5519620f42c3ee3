"""The command line of `train.py`: every job checked before the first one starts, and the demo."""

import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fer_lit.cli import resume
from fer_lit.cli.common import Start, own_folder
from fer_lit.cli.overrides import (
    compose_job,
    parse,
    refuse_several_values,
    split_jobs,
    subdir_template,
    sweep_of,
)
from fer_lit.errors import ConfigError
from fer_lit.networks.taps import old_form
from fer_lit.options import check
from fer_lit.runs.folder import release
from fer_lit.runs.plan import Job, Plan, job_of, write_plan
from fer_lit.runs.reading import is_run, run_folders
from fer_lit.targets import build

_PHOTOGRAPHS_ONLY = ("experiment", "data", "data.root", "data.on_bad_image")
"""Overrides that the demo replaces or has no use for."""


def start(arguments: Sequence[str]) -> Start:
    """Return what is to run: the arguments given, those of the demo, or the rest of a sweep or run.

    Raises:
        ConfigError: an option of a job cannot work, or the folder cannot be had.
    """
    flags, overrides = _separated(arguments)
    if folder := resume.wanted(overrides, multirun=bool(flags)):
        typed = [one for one in overrides if not one.startswith("resume=")]
        others = [one for one in typed if not one.startswith("output=")]
        resumed = _resumed_run if is_run(folder) else _resumed_sweep
        return resumed(folder, flags, typed if others else [])
    command, _ = _checked(flags, overrides)
    begun = own_folder("config", command)
    if flags:
        try:
            write_plan(begun.folder, Plan(command, _jobs(command)))
        except OSError:  # a full disk, on which nothing is begun
            release(begun.folder)
            raise
    return begun


def checked(arguments: Sequence[str]) -> list[str]:
    """Return the arguments to run: those given, or those of the demo.

    Raises:
        ConfigError: an option of a job cannot work.
    """
    return _checked(*_separated(arguments))[0]


def _resumed_sweep(folder: Path, flags: Sequence[str], typed: Sequence[str]) -> Start:
    if typed and not flags:
        raise ConfigError(f"resume={folder}: is a sweep; add -m, or leave other options out")
    arguments = [*flags, *typed] if typed else resume.recorded_sweep(folder).command
    command, configs = _checked(*_separated(arguments), or_demo=False)
    template = subdir_template(_separated(command)[1])
    went_on = resume.resume_sweep(folder, Plan(command, _jobs(command)), configs, template)
    return Start([*command, *went_on], folder)


def _resumed_run(folder: Path, flags: Sequence[str], typed: Sequence[str]) -> Start:
    if flags:
        raise ConfigError(f"resume={folder}: is a single run; leave out -m")
    command, (cfg,) = _checked([], typed or resume.recorded_run(folder), or_demo=False)
    return Start([*command, *resume.run_arguments(folder, cfg)], folder)


def _separated(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    flags = [argument for argument in arguments if argument.startswith("-")]
    return flags, [argument for argument in arguments if not argument.startswith("-")]


def _checked(
    flags: Sequence[str], overrides: Sequence[str], or_demo: bool = True
) -> tuple[list[str], list[DictConfig]]:
    """Return the arguments to run, or those of the demo, and the configuration of each job."""
    overrides = list(overrides)
    _refuse_single_taps(overrides)
    _refuse_common_folder(overrides)
    configs = _compose_jobs(overrides, multirun=bool(flags))
    swept, replaced = _sweep_of_experiment(overrides) if flags else ([], [])
    if swept:
        configs = _compose_jobs(swept + overrides, multirun=True)
    if not _have_faces(configs):
        if not or_demo:
            raise ConfigError("data.root: the photographs of these runs are not found; name them")
        parsed = zip(swept + overrides, parse(swept + overrides), strict=True)
        kept = [text for text, item in parsed if item.key_or_group not in _PHOTOGRAPHS_ONLY]
        overrides = ["experiment=demo", *kept]
        configs = _compose_jobs(overrides, multirun=bool(flags))
        _announce_demo()
    elif replaced:
        # Hydra would sweep these, too, and train each network several times.
        overrides = ["hydra.sweeper.params=null", *swept, *overrides]
    return [*flags, *overrides], configs


def _jobs(command: Sequence[str]) -> list[Job]:
    """Return the jobs of a sweep, in the order in which Hydra numbers them."""
    overrides = _separated(command)[1]
    own = [one for one in overrides if not one.startswith("hydra.")]
    return [job_of(job) for job in split_jobs([*sweep_of("config", overrides), *own])]


def stopped(folder: Path) -> None:
    """Report on what there is of a sweep that was stopped."""
    from fer_lit.runs.sweep_report import report_sweep, say_how_to_resume

    if run_folders(folder):
        report_sweep(folder)
    elif is_run(folder):
        say_how_to_resume(folder)


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
