"""Options as they are typed: Hydra's overrides, and what is wrong with them in one line."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fer_lit.errors import NOT_SHOWN, UNWRITABLE, ConfigError
from fer_lit.limits import FOLDER, name, shown, suggestion

_MODEL = ("model", "model/head", "trainer")
GROUPS = {
    "config": ("data", "occlusion", "augmentation", *_MODEL, "logger", "experiment"),
    "analyze": ("logger",),
}
"""What is chosen by name in each configuration."""
_STUMBLES = (AssertionError, AttributeError, TypeError, ValueError)
_HYDRAS = (HydraException, OmegaConfBaseException, *_STUMBLES)
"""What Hydra raises for what cannot be put together, not always on purpose."""
_LOG_NAME = name("the log")
_LISTED = "list the values, as in seed=0,1,2"
_UNFIT = "the value does not fit; --cfg job shows those there are"


def compose_job(config: str, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration of one job, with its interpolations checked but not replaced.

    Raises:
        ConfigError: an option is unknown, given twice, or cannot be read.
    """
    _refuse_other_structure(config, overrides)
    try:
        cfg = compose(config, list(overrides))
        refuse_unreadable(cfg)
    except _HYDRAS as error:
        raise ConfigError(_explain(error, config, overrides)) from error
    return cfg


def refuse_unreadable(cfg: DictConfig) -> None:
    """Raise ConfigError for a value that is missing, or would not be the same when read back.

    Raises:
        OmegaConfBaseException: it refers to an option that is not there.
    """
    for option in OmegaConf.missing_keys(cfg):
        raise ConfigError(f"{option}=???: stands for a value that is missing; give one")
    texts = _texts(OmegaConf.to_container(cfg, resolve=True), "")
    for option, value in sorted(texts, key=lambda text: text[0].count(".")):  # typed ones first
        refuse_unreadable_text(f"{option}={value}", value)


def refuse_unreadable_text(named: str, text: str) -> None:
    """Raise ConfigError for a text that is not the same when a configuration is read back."""
    if "${" in text:
        raise ConfigError(f"{named}: '${{' stands for another option's value; use another name")
    if UNWRITABLE.search(text):
        raise ConfigError(f"{named}: {NOT_SHOWN}; use another name")


def _texts(options: Any, option: str) -> Iterator[tuple[str, str]]:
    """Yield all texts below an option, with the names of theirs."""
    if isinstance(options, dict):
        for key, value in options.items():
            yield from _texts(value, f"{option}.{key}" if option else str(key))
    elif isinstance(options, list):
        for value in options:
            yield from _texts(value, option)
    elif isinstance(options, str):
        yield option, options


def _refuse_other_structure(config: str, overrides: Sequence[str]) -> None:
    """Raise ConfigError if an override takes an option away, adds one, or names no choice.

    Options of Lightning's Trainer and of Hydra may be added, and those of a class of one's own.
    """
    for item in parse(overrides):
        text, option = item.input_line, item.key_or_group
        if not option or item.is_delete() or item.package is not None:
            raise ConfigError(f"{text}: options are written name=value, and none can be taken away")
        if option == "hydra.mode":
            raise ConfigError(f"{text}: write -m (--multirun) for several jobs, nothing for one")
        if option == "hydra.job.name" and not _LOG_NAME[0](item.value()):
            raise ConfigError(f"{text}: must be {_LOG_NAME[1]}")
        if option in GROUPS[config]:
            _require_choice(item)
        free = option.startswith(("trainer.", "hydra.", "hydra/"))
        if (item.is_add() or item.is_force_add()) and not free:
            known = _options(config, overrides)
            if option not in known and f"{option.rpartition('.')[0]}._target_" not in known:
                raise ConfigError(
                    f"{text}: there is no option '{option}'{suggestion(option, known)}"
                )


def _require_choice(item: Override) -> None:
    """Raise ConfigError if a group is given something else than one of its configurations."""
    group, value = item.key_or_group, item.value()
    known = GlobalHydra.instance().config_loader().get_group_options(group)
    if value not in known and not (group == "experiment" and value is None):
        close = suggestion(value, known) if isinstance(value, str) else ""
        raise ConfigError(f"{item.input_line}: must be one of {', '.join(known)}{close}")


def folder_of(config: str, overrides: Sequence[str], option: str) -> str:
    """Return the folder that an option of Hydra's names; several values are left out.

    Raises:
        ConfigError: it names none.
    """
    cfg = _with_hydra(config, overrides)
    try:
        folder = OmegaConf.select(cfg, option)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{option}: {_first_line(error)}; name a folder") from error
    if not FOLDER[0](folder):
        raise ConfigError(f"{option}={shown(folder)}: must be {FOLDER[1]}")
    return folder


def sweep_of(config: str, overrides: Sequence[str]) -> list[str]:
    """Return what a configuration sweeps by itself, `hydra.sweeper.params`, as overrides.

    Of `overrides`, which are right, those with several values are left out.
    """
    params = _with_hydra(config, overrides).hydra.sweeper.params
    return [f"{option}={values}" for option, values in (params or {}).items()]


def subdir_template(overrides: Sequence[str]) -> str:
    """Return how the folders of a sweep's runs are named: `hydra.sweep.subdir`, not resolved."""
    sweep = _with_hydra("config", overrides).hydra.sweep
    return OmegaConf.to_container(sweep, resolve=False)["subdir"]


def quoted(value: object) -> str:
    """Return a text as Hydra reads it back from an override."""
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return f"'{escaped}'"


def _with_hydra(config: str, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration with Hydra's own; overrides with several values are left out."""
    fixed = [item.input_line for item in parse(overrides) if not item.is_sweep_override()]
    try:
        return compose(config, fixed, return_hydra_config=True)
    except _HYDRAS as error:
        raise ConfigError(_explain(error, config, fixed)) from error


def parse(overrides: Sequence[str]) -> list[Override]:
    """Return the overrides as Hydra reads them.

    Raises:
        ConfigError: one cannot be read, or two are of the same option.
    """
    try:
        items = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise ConfigError(
            f"{error.override}: cannot be read; options are written name=value, and a value with "
            "special characters in quotes: name='\"value\"'"
        ) from error
    given: dict[str, str] = {}
    for item in items:
        option, text = item.key_or_group, item.input_line
        if option in given:
            raise ConfigError(f"{given[option]} {text}: '{option}' is given twice; give it once")
        given[option] = text
    return items


def split_jobs(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job of a sweep.

    Raises:
        ConfigError: Hydra cannot sweep so, or there is nothing to sweep over.
    """
    items = parse(overrides)
    swept = " ".join(item.input_line for item in items if item.is_sweep_override())
    if not swept:
        return [list(overrides)]
    try:
        jobs = BasicSweeper.split_arguments(items, max_batch_size=None)[0]
    except (HydraException, TypeError, ValueError) as error:
        raise ConfigError(f"{swept}: cannot be swept ({_first_line(error)}); {_LISTED}") from error
    if not jobs:
        raise ConfigError(f"{swept}: has no values; {_LISTED}")
    return jobs


def refuse_several_values(overrides: Sequence[str], fix: str) -> None:
    """Fail if an option has several values separated by commas, which one job cannot have."""
    for override in parse(overrides):
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: {fix}")


def _explain(error: Exception, config: str, overrides: Sequence[str]) -> str:
    """Return Hydra's error as one line that names the option and the fix."""
    text, options = str(error), _options(config, overrides)
    if unknown := re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text):
        option = unknown[1] or unknown[2]
        typed = {text.partition("=")[0].lstrip("+"): text for text in overrides}
        written = typed.get(option, option)
        if option not in options:
            return f"{written}: there is no option '{option}'{suggestion(option, options)}"
        return f"{written}: {_UNFIT}"
    if unfit := re.search(r"Error merging override (.+)", text):
        return f"{unfit[1]}: {_UNFIT}"
    if missing := re.search(r"Could not find '([^']+)/([^'/]*)'", text):
        group, choice = missing.groups()
        choices = re.search(r"Available options in '[^']+':\s*(.+?)\s*(?:Config|$)", text, re.S)
        known = choices[1].split() if choices else []
        return f"{group}={choice}: must be one of {', '.join(known)}{suggestion(choice, known)}"
    if isinstance(error, OmegaConfBaseException):
        referring = [text for text in overrides if "${" in text] or [error.full_key]
        return f"{referring[0]}: {_first_line(error)}; ${{…}} stands for another option's value"
    if place := re.search(r"full_key: (\S+)", text):
        return f"{place[1]}: {_UNFIT}"
    return " ".join(text.split())


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _options(config: str, overrides: Sequence[str]) -> list[str]:
    """Return the names of all options and groups, for the data and model that are chosen."""
    groups = GROUPS[config]
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
