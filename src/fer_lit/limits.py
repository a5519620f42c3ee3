"""What a single option may be: a test, and the words for what is wanted; torch is not imported."""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from fer_lit.errors import ConfigError

Limit = tuple[Callable[[Any], bool], str]
"""The test, and what is wanted in words."""


class Rule(NamedTuple):
    """What an option, its levels separated by dots, must be: a test, and the same in words."""

    option: str
    holds: Callable[[Any], bool]
    wanted: str


def whole(least: int, most: int | None = None) -> Limit:
    """Return the limit of a whole number of at least `least`, and at most `most` if given."""
    wanted = f"a whole number of at least {least}" + (f", at most {most:,}" if most else "")
    return lambda v: type(v) is int and least <= v <= (most or v), wanted


def path(wanted: str) -> Limit:
    """Return the limit of null or a path, of what is `wanted`; a shell may have left it empty."""
    return lambda v: v is None or (type(v) is str and v != ""), wanted


def number(holds: Callable[[float], bool], wanted: str) -> Limit:
    """Return the limit of a finite number that a test holds for."""
    return lambda v: type(v) in (int, float) and math.isfinite(v) and holds(v), wanted


def one_of(*values: Any) -> Limit:
    """Return the limit of one of `values`; true is not 1."""
    known = [(type(value), value) for value in values]
    return lambda v: (type(v), v) in known, f"one of {', '.join(map(str, values))}"


def name(used_for: str) -> Limit:
    """Return the limit of a name that is `used_for` something."""
    return (
        lambda v: type(v) is str and re.fullmatch(r"[\w-]+", v) is not None,
        f"of letters, digits, - and _, since it names {used_for}",
    )


SEED = whole(0, 2**32 - 1)
SHARE = number(lambda v: 0 <= v < 1, "a number from 0 up to, but not, 1")
FOLDER: Limit = (
    lambda v: type(v) is str and v.strip() != "" and not v.startswith("~"),
    "a folder, without ~ for the home folder",
)
FLAG: Limit = (lambda v: type(v) is bool, "true or false")
_ABSENT = object()


def check_rules(group: str, options: Mapping[str, Any], rules: Iterable[Rule]) -> None:
    """Check each option by itself; one that is not there is left out.

    Options are plain values, in mappings of any depth; messages name them with their `group`, if
    any.

    Raises:
        ConfigError: the first option that breaks its rule.
    """
    for rule in rules:
        value = _value(options, rule.option)
        if value is not _ABSENT and not rule.holds(value):
            option = f"{group}.{rule.option}" if group else rule.option
            raise ConfigError(f"{option}={shown(value)}: must be {rule.wanted}")


def shown(value: Any) -> str:
    """Return an option's value as it is written on the command line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {shown(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return json.dumps(value) if value is None or type(value) is bool else str(value)


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'right'?` if something known is close, else nothing."""
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _value(options: Mapping[str, Any], option: str) -> Any:
    value: Any = options
    for key in option.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return _ABSENT
        value = value[key]
    return value
