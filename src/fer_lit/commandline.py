"""The command line: every job checked before the first one starts, and errors of one line.

Hydra composes the configuration and runs the jobs. What is added here is that a wrong option ends
in one line before anything is loaded, and that a machine without photographs gets the demo.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fer_lit.errors import ConfigError
from fer_lit.validation import check, suggestion

_PHOTOGRAPHS_ONLY = ("experiment", "data", "data.root", "data.on_bad_image")
"""Overrides that the demo replaces or has no use for."""


def run(job: Callable[[], None], conf: Path) -> None:
    """Check the command line, then run it; exit with a status that is not 0 if it fails.

    Args:
        job: the function that `hydra.main` decorated.
        conf: absolute folder of the configuration.
    """
    arguments = sys.argv[1:]
    try:
        if not any(_is_other_flag(argument) for argument in arguments):
            sys.argv[1:] = _checked(arguments, conf)
        job()
    except ConfigError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Finished runs and the features computed so far are kept.\n")
        sys.exit(130)


def exact_taps(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Make `model.taps={…}` mean these taps and no others; Hydra would add them to the default."""
    for override in _parse(overrides):
        if override.key_or_group == "model.taps" and isinstance(override.value(), dict):
            cfg.model.taps = {str(tap): grid for tap, grid in override.value().items()}


def _is_other_flag(argument: str) -> bool:
    """Whether Hydra should do something else than run: show help or the configuration."""
    return argument.startswith("-") and argument not in ("-m", "--multirun")


def _checked(arguments: list[str], conf: Path) -> list[str]:
    """Return the arguments to run: those given, or those of the demo."""
    flags = [argument for argument in arguments if argument.startswith("-")]
    overrides = [
        # Hydra refuses taps that the default has not, unless they are added by force.
        f"++{argument}" if argument.startswith("model.taps=") else argument
        for argument in arguments
        if not argument.startswith("-")
    ]
    with initialize_config_dir(str(conf), version_base="1.3"):
        configs = _compose_jobs(overrides, multirun=bool(flags))
        if not _have_photographs(configs):
            overrides = _demo(overrides)
            _compose_jobs(overrides, multirun=bool(flags))
            _announce_demo()
    return flags + overrides


def _compose_jobs(overrides: list[str], multirun: bool) -> list[DictConfig]:
    """Return the checked configuration of each job."""
    parsed = _parse(overrides)
    if not multirun:
        for override in parsed:
            if override.is_sweep_override():
                raise ConfigError(f"{override.input_line}: several values need -m (--multirun)")
    jobs = BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
    return [_compose(job) for job in jobs]


def _compose(overrides: Sequence[str]) -> DictConfig:
    try:
        cfg = compose("config", list(overrides))
        exact_taps(cfg, overrides)
        OmegaConf.resolve(cfg)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, overrides)) from error
    check(cfg)
    return cfg


def _parse(overrides: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise ConfigError(
            f"{error.override}: cannot be read; options are written name=value, and a value with "
            "special characters in quotes: name='\"value\"'"
        ) from error


def _explain(error: Exception, overrides: Sequence[str]) -> str:
    """Return Hydra's error as one line that names the option and the fix."""
    text = str(error)
    if unknown := re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text):
        option = unknown[1] or unknown[2]
        return f"there is no option '{option}'{suggestion(option, _options(overrides))}"
    if missing := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        group, choice = missing.groups()
        choices = re.search(r"Available options in '[^']+':\s*(.+?)\s*(?:Config|$)", text, re.S)
        known = choices[1].split() if choices else []
        return f"{group}={choice}: must be one of {', '.join(known)}{suggestion(choice, known)}"
    return " ".join(text.split())


def _options(overrides: Sequence[str]) -> list[str]:
    """Return the names of all options and groups, for the data and model that are chosen."""
    groups = ("data", "model", "occlusion", "logger", "augmentation")
    chosen = [item for item in overrides if item.split("=")[0] in groups]
    try:
        cfg = compose("config", chosen)
    except HydraException:
        cfg = compose("config")
    return [*cfg, *groups, *_dotted(OmegaConf.to_container(cfg), "")]


def _dotted(options: dict, prefix: str) -> list[str]:
    names = []
    for key, value in options.items():
        names.append(f"{prefix}{key}")
        if isinstance(value, dict):
            names += _dotted(value, f"{prefix}{key}.")
    return names


def _have_photographs(configs: Sequence[DictConfig]) -> bool:
    """Whether the photographs that the jobs want are there, fetched if they must and may be."""
    from fer_lit.faces.sources import locate_photographs

    logging.basicConfig(format="%(message)s", level=logging.INFO)
    wanted = {
        (cfg.data.root, tuple(cfg.data.classes), cfg.data.download)
        for cfg in configs
        if cfg.data.name == "fer2013"
    }
    return all(locate_photographs(*place) is not None for place in wanted)


def _demo(overrides: Sequence[str]) -> list[str]:
    """Return the overrides of the demo: those given, but for the ones about photographs."""
    parsed = zip(overrides, _parse(overrides), strict=True)
    kept = [text for text, item in parsed if item.key_or_group not in _PHOTOGRAPHS_ONLY]
    return ["experiment=demo", *kept]


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
