"""The flags of the command line, which are Hydra's."""

from argparse import Namespace
from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from fer_lit.errors import ConfigError

_SEE = "--hydra-help lists the flags"


def read_flags(arguments: Sequence[str]) -> Namespace:
    """Return the flags as Hydra names them, with what is not one as `overrides`.

    Raises:
        ConfigError: a flag that is not there or does not go with another, or one that replaces the
            configuration.
    """
    parser = get_args_parser()
    parser.allow_abbrev = False
    parser.error = _refuse
    flags, more = parser.parse_known_args(list(arguments))
    more += [override for override in flags.overrides if override.startswith("-")]
    if more:
        is_flag = more[0].startswith("-")
        reason = "there is no such flag" if is_flag else "flags such as -m come before all options"
        _refuse(f"{more[0]}: {reason}")
    for flag in ("config_path", "config_name", "config_dir", "experimental_rerun"):
        if (value := getattr(flags, flag)) is not None:
            raise ConfigError(
                f"--{flag.replace('_', '-')}={value}: the options are those of conf/; a yaml of "
                "your own in one of its folders is chosen by group=name"
            )
    wanted = {"--run": flags.run, "--multirun": flags.multirun, "--cfg": flags.cfg}
    wanted |= {"--info": flags.info, "--shell-completion": flags.shell_completion}
    if len(given := [flag for flag, value in wanted.items() if value]) > 1:
        raise ConfigError(f"{' '.join(given)}: give one of them; {_SEE}")
    for flag in ("resolve", "package"):
        if getattr(flags, flag) and not flags.cfg:
            raise ConfigError(f"--{flag}: belongs to --cfg job; {_SEE}")
    return flags


def starts(flags: Namespace) -> bool:
    """Return whether anything is run, not only shown."""
    shown = (flags.help, flags.hydra_help, flags.cfg, flags.info, flags.shell_completion)
    return not any(shown)


def _refuse(message: str) -> NoReturn:
    raise ConfigError(f"{message}; {_SEE}")
