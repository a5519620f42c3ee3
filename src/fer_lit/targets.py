"""Objects from their configuration, by Hydra's `_target_`, and which targets are trusted."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from fer_lit.errors import ConfigError

_SCHEDULES = "fer_lit.networks.schedules"


def build(node: DictConfig | Mapping[str, Any] | None, option: str = "") -> Any:
    """Return what a configuration describes (see `hydra.utils.instantiate`); None: nothing.

    Messages name the `option` that it is the value of, if that is given.

    Raises:
        ConfigError: an option that the class refuses, or has not, or a class that is not there.
    """
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, ConfigError):
            raise cause from None
        reason = " ".join(str(cause or error).split())
        named = f"{option}._target_" if option else "_target_"
        raise ConfigError(
            f"{named}={node['_target_']}: {reason}; give the full name of a class, and its options"
        ) from error


def refuse_foreign_targets(config: Any, where: object) -> None:
    """Refuse a configuration from a file that names other classes than this program's options.

    To build what a file names is to run it. Messages say `where` the configuration is from.

    Raises:
        ConfigError: a target that is no dataclass of `fer_lit`.
    """
    if OmegaConf.is_config(config):
        config = OmegaConf.to_container(config, resolve=False)
    for option, target in _targets(config, ""):
        if not _is_own(target):
            raise ConfigError(
                f"{where}: {option}={target} is not of fer_lit and is not built, since that would "
                "run it; trust=true builds it, if you know where the file comes from"
            )


def _targets(config: Any, place: str) -> Iterator[tuple[str, str]]:
    lists = enumerate(config) if isinstance(config, list | tuple) else ()
    entries = config.items() if isinstance(config, Mapping) else lists
    for key, value in entries:
        if key == "_target_":
            yield f"{place}_target_", str(value)
        else:
            yield from _targets(value, f"{place}{key}.")


def _is_own(target: str) -> bool:
    """Return whether it is one of our classes of options, or a schedule.

    Other functions of ours do what no file should decide, and names of other modules can be reached
    through ours, so that the beginning of a name says little.
    """
    if not target.startswith("fer_lit."):
        return False
    try:
        found = get_object(target)
    except Exception:  # whatever importing it raises
        return False
    module = getattr(found, "__module__", "")
    return module == _SCHEDULES or (is_dataclass(found) and module.startswith("fer_lit."))
