"""What both command lines share: options checked before anything is loaded, errors of one line."""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fer_lit.errors import ConfigError
from fer_lit.limits import suggestion
from fer_lit.runs.folder import claim, refuse_runs, release
from fer_lit.stopping import exit_status, stop_in_good_order


class Start(NamedTuple):
    """The arguments for Hydra, and the folder that they name."""

    arguments: list[str]
    folder: Path


def run(
    job: Callable[[], None],
    conf: Path,
    config: str,
    start: Callable[[Sequence[str]], Start],
    stopped: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Check the command line, then run it; exit with a status that is not 0 if it fails.

    Args:
        job: what is run.
        conf: the folder of `config`, absolute.
        config: name of the configuration.
        start: checks the arguments, and returns what is to run; it is called where `compose`
            works, and may raise ConfigError.
        stopped: called with the output folder when the job is stopped by Ctrl-C or a scheduler.
    """
    logging.raiseExceptions = False  # as of a log on a full disk: tracebacks instead of lines
    stop_in_good_order()
    arguments = sys.argv[1:]
    folder = None
    try:
        # Other flags ask Hydra to show help or the configuration.
        if not any(a.startswith("-") and a not in ("-m", "--multirun") for a in arguments):
            with errors_in_one_line(), initialize_config_dir(str(conf), version_base="1.3"):
                sys.argv[1:], folder = start(arguments)
        job()
    except BrokenPipeError:  # as of `| head`; Python would complain once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Finished runs and the features computed so far are kept.\n")
        if folder:
            stopped(folder)
        sys.exit(exit_status())
    finally:
        if folder:
            release(folder)


def own_folder(config: str, arguments: Sequence[str]) -> Start:
    """Create the folder of what is about to run, and name it in the arguments.

    Hydra would name it after the time, to the second, and two commands would share it.

    Args:
        config: name of the configuration.
        arguments: the whole command line; one that names a folder by itself stays as it is.

    Raises:
        ConfigError: the folder that is named holds runs, or it cannot be created.
    """
    option = "hydra.sweep.dir" if {"-m", "--multirun"} & set(arguments) else "hydra.run.dir"
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    path = Path(OmegaConf.select(with_hydra(config, overrides), option))
    if any(item.key_or_group == option for item in parse(overrides)):
        refuse_runs(path, option)
        return Start(list(arguments), path)
    try:
        claimed = claim(path)
    except OSError as error:
        raise ConfigError(
            f"output: {path} cannot be created ({error.strerror}); name a folder to write to"
        ) from error
    return Start([*arguments, f"{option}={quoted(str(claimed))}"], claimed)


def quoted(text: str) -> str:
    """Return a text as Hydra reads it back from an override."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return f"'{escaped}'"


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Exit with a line instead of a traceback where the input is wrong."""
    try:
        yield
    except ConfigError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")


def compose_job(config: str, overrides: Sequence[str], groups: Sequence[str]) -> DictConfig:
    """Return the configuration of one job, with its interpolations checked but not replaced.

    Raises:
        ConfigError: an option is unknown (the advice knows the `groups`) or cannot be read.
    """
    _refuse_other_structure(config, overrides, groups)
    try:
        cfg = compose(config, list(overrides))
        OmegaConf.to_container(cfg, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, _options(config, overrides, groups))) from error
    return cfg


def _refuse_other_structure(config: str, overrides: Sequence[str], groups: Sequence[str]) -> None:
    """Raise ConfigError if an override takes an option away, adds one, or names no choice.

    Options of Lightning's Trainer and of Hydra may be added, and those of a class of one's own.
    """
    for item in parse(overrides):
        text, option = item.input_line, item.key_or_group
        if not option or item.is_delete():
            raise ConfigError(f"{text}: options are written name=value, and none can be taken away")
        if option in {*groups, "trainer", "experiment"} and isinstance(item.value(), int | float):
            raise ConfigError(f"{text}: must be a name; --help lists them")
        free = option.startswith(("trainer.", "hydra.", "hydra/"))
        if (item.is_add() or item.is_force_add()) and not free:
            known = _options(config, overrides, groups)
            if option not in known and f"{option.rpartition('.')[0]}._target_" not in known:
                raise ConfigError(
                    f"{text}: there is no option '{option}'{suggestion(option, known)}"
                )


def sweep_of(config: str, overrides: Sequence[str]) -> list[str]:
    """Return what a configuration sweeps by itself, `hydra.sweeper.params`, as overrides.

    Of `overrides`, which are right, those with several values are left out.
    """
    params = with_hydra(config, overrides).hydra.sweeper.params
    return [f"{option}={values}" for option, values in (params or {}).items()]


def with_hydra(config: str, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration with Hydra's own; overrides with several values are left out."""
    fixed = [item.input_line for item in parse(overrides) if not item.is_sweep_override()]
    return compose(config, fixed, return_hydra_config=True)


def parse(overrides: Sequence[str]) -> list[Override]:
    """Return the overrides as Hydra reads them.

    Raises:
        ConfigError: one cannot be read.
    """
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise ConfigError(
            f"{error.override}: cannot be read; options are written name=value, and a value with "
            "special characters in quotes: name='\"value\"'"
        ) from error


def refuse_several_values(overrides: Sequence[str], fix: str) -> None:
    """Fail if an option has several values separated by commas, which one job cannot have."""
    for override in parse(overrides):
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: {fix}")


def _explain(error: Exception, options: Sequence[str]) -> str:
    """Return Hydra's error as one line that names the option and the fix."""
    text = str(error)
    if unknown := re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text):
        option = unknown[1] or unknown[2]
        return f"there is no option '{option}'{suggestion(option, options)}"
    if unfit := re.search(r"Error merging override (.+)", text):
        return f"{unfit[1]}: the value does not fit; --cfg job shows those there are"
    if missing := re.search(r"Could not find '([^']+)/([^'/]*)'", text):
        group, choice = missing.groups()
        choices = re.search(r"Available options in '[^']+':\s*(.+?)\s*(?:Config|$)", text, re.S)
        known = choices[1].split() if choices else []
        return f"{group}={choice}: must be one of {', '.join(known)}{suggestion(choice, known)}"
    return " ".join(text.split())


def _options(config: str, overrides: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Return the names of all options and groups, for the data and model that are chosen."""
    chosen = [item for item in overrides if item.split("=")[0] in groups]
    try:
        cfg = compose(config, chosen)
    except HydraException:
        cfg = compose(config)
    return [*cfg, *groups, *_dotted(OmegaConf.to_container(cfg), "")]


def _dotted(options: dict, prefix: str) -> list[str]:
    names = [f"{prefix}{key}" for key in options]
    for key, value in options.items():
        names += _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else []
    return names
