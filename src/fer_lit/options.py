"""Checks of the options, before anything is loaded; torch is not imported here."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from fer_lit.errors import ConfigError
from fer_lit.faces.occlusion import Occlusion
from fer_lit.faces.synthetic import check_drawable
from fer_lit.networks.blocks import BLOCKS, FROZEN, map_size, trained_blocks

WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".caffemodel")
PRECISIONS = ("auto", "32", "bf16-mixed", "16-mixed")


class Rule(NamedTuple):
    """What an option must be: the test, and what is wanted in words."""

    option: str
    holds: Callable[[Any], bool]
    wanted: str


def whole(least: int) -> tuple[Callable[[Any], bool], str]:
    """Return test and words for a whole number of at least `least`."""
    return lambda v: type(v) is int and v >= least, f"a whole number of at least {least}"


def _number(holds: Callable[[float], bool], wanted: str) -> tuple[Callable[[Any], bool], str]:
    return lambda v: type(v) in (int, float) and math.isfinite(v) and holds(v), wanted


def one_of(*values: Any) -> tuple[Callable[[Any], bool], str]:
    """Return test and words for one of `values`."""
    return lambda v: v in values, f"one of {', '.join(map(str, values))}"


def _is_range(value: Any) -> bool:
    numbers = isinstance(value, list) and all(type(end) in (int, float) for end in value)
    return numbers and len(value) == 2 and 0 < value[0] <= value[1]


def _is_views(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(whole(0)[0], value))


def _is_name(value: Any) -> bool:
    return type(value) is str and re.fullmatch(r"[\w-]+", value) is not None


_SHARE = _number(lambda v: 0 <= v < 1, "a number from 0 up to, but not, 1")
FLAG = (lambda v: type(v) is bool, "true or false")
"""Test and words for a switch."""

_RULES = (
    Rule("seed", *_number(lambda v: type(v) is int and 0 <= v < 2**32, "a whole number from 0")),
    Rule("recipe", _is_name, "of letters, digits, - and _, since it names runs in tables"),
    Rule(
        "data.classes",
        lambda v: (
            isinstance(v, list)
            and all(type(emotion) is str for emotion in v)
            and len(v) == len({emotion.lower() for emotion in v}) >= 2
        ),
        "a list of at least two different emotions, such as [angry,happy]",
    ),
    Rule("data.name", *one_of("fer2013", "synthetic")),
    Rule("data.image_size", *whole(32)),
    # The head standardises by the batch, which takes two faces.
    Rule("data.batch_size", *whole(2)),
    Rule("data.download", *FLAG),
    Rule("data.split.protocol", *one_of("paper", "grouped", "official")),
    Rule("data.split.validation", *_number(lambda v: 0 < v < 1, "a number between 0 and 1")),
    Rule("data.split.test", *_SHARE),
    Rule("data.on_bad_image", *one_of("error", "skip")),
    Rule("data.count", *whole(20)),
    Rule("data.seed", *whole(0)),
    Rule("features.bank", *FLAG),
    Rule(
        "features.views",
        lambda v: whole(0)[0](v) or _is_views(v),
        "a whole number of at least 0, or a list of views such as [0,1]",
    ),
    Rule(
        "features.test_views",
        lambda v: _is_views(v) and len(v) <= 3,  # as many as the bank keeps open
        "a list of one to three views such as [0,1]",
    ),
    Rule("occlusion.name", _is_name, "of letters, digits, - and _, since it names folders"),
    Rule("occlusion.top", *whole(0)),
    Rule("occlusion.height", *whole(0)),
    Rule("occlusion.left", *whole(0)),
    Rule("occlusion.width", *whole(0)),
    Rule("occlusion.noise_seed", *whole(0)),
    Rule("augmentation.flip", *_number(lambda v: 0 <= v <= 1, "a probability from 0 to 1")),
    Rule("augmentation.translate", *_number(lambda v: v >= 0, "a number of at least 0")),
    Rule("augmentation.scale", _is_range, "[smallest, largest], both above 0"),
    Rule("augmentation.seed", *whole(0)),
    Rule("model.network", *one_of("googlenet", "googlenet_caffe")),
    Rule("model.freeze", *one_of(*FROZEN)),
    Rule("model.lr_decay", *_number(lambda v: 0 < v <= 1, "a number above 0, at most 1")),
    Rule("model.taps", lambda v: isinstance(v, dict), "blocks and grids: {inception5b: 1}"),
    Rule("model.hidden", lambda v: v is None or whole(1)[0](v), "a number of units, or null"),
    Rule("model.dropout", *_SHARE),
    Rule("model.optimizer", *one_of("adamw", "sgd")),
    Rule("model.lr", *_number(lambda v: v > 0, "a number above 0")),
    Rule("model.weight_decay", *_number(lambda v: v >= 0, "a number of at least 0")),
    Rule("model.scheduler", *one_of("cosine", "one_cycle", "none")),
    Rule("model.label_smoothing", *_SHARE),
    Rule("model.save_backbone", *FLAG),
    Rule("logger.name", *one_of("wandb", "csv", "none")),
    Rule("output", lambda v: type(v) is str and v != "", "a folder"),
    Rule("trainer.max_epochs", *whole(1)),
    Rule("trainer.devices", *one_of(1)),
    Rule("trainer.accelerator", *one_of("auto", "cpu", "gpu")),
    Rule("trainer.precision", lambda v: str(v) in PRECISIONS, one_of(*PRECISIONS)[1]),
)


def check(cfg: DictConfig) -> None:
    """Check the options of a run, alone and together.

    Raises:
        ConfigError: the first option that cannot work, what it is, and what it must be.
    """
    check_rules(cfg, _RULES)
    options = OmegaConf.to_container(cfg, resolve=True)
    Occlusion(**options["occlusion"])
    _check_split(options["data"]["split"])
    _check_views(options)
    _check_taps(options)
    _check_freeze(options)
    _check_weights(options["model"]["weights"])
    if options["data"]["name"] == "synthetic":
        check_drawable(options["data"]["classes"])


def check_rules(cfg: DictConfig, rules: Iterable[Rule]) -> None:
    """Check each option by itself; what another data set may lack is left out.

    Raises:
        ConfigError: the first option that breaks its rule.
    """
    options = OmegaConf.to_container(cfg, resolve=True)
    for rule in rules:
        value = _value(options, rule.option)
        if value is not _ABSENT and not rule.holds(value):
            raise ConfigError(f"{rule.option}={_shown(value)}: must be {rule.wanted}")


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'right'?` if something known is close, else nothing."""
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


_ABSENT = object()


def _value(options: dict[str, Any], option: str) -> Any:
    """Return an option's value; another data set may lack it."""
    value: Any = options
    for key in option.split("."):
        if key not in value:
            return _ABSENT
        value = value[key]
    return value


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).replace("'", "")


def _check_split(split: dict[str, Any]) -> None:
    if split["protocol"] == "official" and split["test"]:
        raise ConfigError(
            f"data.split.test={split['test']}: shares belong to data.split.protocol=paper and "
            "grouped; official takes the data set's own test part: leave data.split.test at 0"
        )
    if split["validation"] + split["test"] >= 1:
        raise ConfigError(
            f"data.split.test={split['test']}: with data.split.validation={split['validation']} no "
            "faces are left to train; both together must be below 1"
        )


def _check_views(options: dict[str, Any]) -> None:
    views, draws = options["features"]["views"], options["augmentation"]
    always_the_same = draws["flip"] == 1 and not draws["translate"] and draws["scale"] == [1, 1]
    if always_the_same and type(views) is int and views > 0:
        raise ConfigError(
            f"features.views={views}: all random views are the same mirror image, and no face "
            "would be trained on as it is; use features.views=[0,1]"
        )


def _taps(options: dict[str, Any]) -> dict[str, Any]:
    return {tap: grid for tap, grid in options["model"]["taps"].items() if grid is not None}


def _check_freeze(options: dict[str, Any]) -> None:
    freeze, taps = options["model"]["freeze"], _taps(options)
    if freeze == "all":
        return
    if options["features"]["bank"]:
        raise ConfigError(
            f"model.freeze={freeze} features.bank=true: the bank keeps what a frozen backbone puts "
            "out, and this one is trained; add features.bank=false"
        )
    if not trained_blocks(freeze, taps):
        raise ConfigError(
            f"model.freeze={freeze}: leaves nothing to train, since no tap ({', '.join(taps)}) is "
            "after the stem; tap a later block, such as inception3a, or use model.freeze=none"
        )


def _check_taps(options: dict[str, Any]) -> None:
    taps = _taps(options)
    if not taps:
        raise ConfigError("model.taps: taps no block; give at least one, such as {inception5b: 1}")
    network, image_size = options["model"]["network"], options["data"]["image_size"]
    for tap, grid in taps.items():
        if tap not in BLOCKS:
            raise ConfigError(
                f"model.taps: {network} has no block '{tap}'{suggestion(tap, BLOCKS)} "
                f"(blocks: {', '.join(BLOCKS)})"
            )
        side = map_size(network, tap, image_size)
        if type(grid) is not int or not 1 <= grid <= side:
            raise ConfigError(
                f"model.taps.{tap}={_shown(grid)}: must be a whole number from 1 to {side}, the "
                f"side of that block's map at data.image_size={image_size}"
            )


def _check_weights(weights: Any) -> None:
    if weights in (None, "imagenet"):
        return
    path = Path(str(weights)).expanduser()
    if path.is_file() and path.suffix in WEIGHT_FILES:
        return
    if path.is_file():
        raise ConfigError(f"model.weights={weights}: must be one of {', '.join(WEIGHT_FILES)}")
    raise ConfigError(
        f"model.weights={weights}: no such file; give a file of weights, imagenet, or null (random)"
    )
