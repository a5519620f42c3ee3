"""What the options of a run may be, alone and together, without importing torch.

Options that a class has (occlusion, augmentation, faces, head) are checked by that class.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fer_lit.errors import ConfigError
from fer_lit.limits import (
    FLAG,
    FOLDER,
    SEED,
    SHARE,
    Rule,
    check_rules,
    name,
    number,
    one_of,
    path,
    shown,
    whole,
)
from fer_lit.networks import schedules
from fer_lit.networks.architecture import FREEZE, Architecture, trained_blocks
from fer_lit.networks.taps import check_taps, parse_taps
from fer_lit.targets import build

WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".caffemodel")
PRECISIONS = ("auto", "32", "bf16-mixed", "16-mixed")


_VIEW = whole(0, 1_000_000)


def _is_views(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(_VIEW[0], value))


def _is_emotion(value: Any) -> bool:
    """Whether it can be the name of a folder."""
    return type(value) is str and value == value.strip() != "" and "/" not in value


BUILT = {
    "data.source": "is_there",
    "occlusion": "identity",
    "augmentation": "draw",
    "model.backbone": "channels",
    "model.head": "build",
    "model.schedule": "__call__",
    "logger.tracker": "track",
}
"""Options that a class is built from, and something that it must have."""
_SECTIONS = ("data", "data.split", "features", "model", "trainer", "logger")
_RULES = (
    *(
        Rule(section, lambda v: isinstance(v, Mapping), "options with values of their own")
        for section in (*_SECTIONS, *BUILT)
        if section != "logger.tracker"
    ),
    Rule(
        "logger.tracker",
        lambda v: v is None or isinstance(v, Mapping),
        "options with values of their own, or null",
    ),
    Rule("seed", *SEED),
    Rule("recipe", *name("runs in tables")),
    Rule("data.name", *name("the data in tables")),
    Rule("model.network", *name("the network in tables")),
    Rule("logger.name", *name("where curves are sent")),
    Rule(
        "data.classes",
        lambda v: (
            isinstance(v, list)
            and all(map(_is_emotion, v))
            and len(v) == len({emotion.casefold() for emotion in v}) >= 2
        ),
        "a list of at least two different emotions, such as [angry,happy]",
    ),
    Rule("data.root", *path("a folder or a CSV file")),
    Rule("data.image_size", *whole(32, 2048)),
    # The head standardises by the batch, which takes two faces.
    Rule("data.batch_size", *whole(2, 1_000_000)),
    Rule("data.download", *FLAG),
    Rule("data.split.protocol", *one_of("paper", "grouped", "official")),
    Rule("data.split.validation", *number(lambda v: 0 < v < 1, "a number between 0 and 1")),
    Rule("data.split.test", *SHARE),
    Rule("features.bank", *FLAG),
    Rule(
        "features.views",
        lambda v: _VIEW[0](v) or _is_views(v),
        f"{_VIEW[1]}, or a list of views such as [0,1]",
    ),
    Rule(
        "features.test_views",
        lambda v: _is_views(v) and len(v) <= 3,  # as many as the bank keeps open
        "a list of one to three views such as [0,1]",
    ),
    Rule("model.freeze", *one_of(*FREEZE)),
    Rule("model.lr_decay", *number(lambda v: 0 < v <= 1, "a number above 0, at most 1")),
    Rule("model.optimizer", *one_of("adamw", "sgd")),
    Rule("model.lr", *number(lambda v: 0 < v <= 100, "a number above 0, at most 100")),
    Rule("model.weight_decay", *number(lambda v: 0 <= v <= 1000, "a number from 0 to 1,000")),
    Rule("model.scheduler", *one_of(*schedules.NAMES)),
    Rule("model.label_smoothing", *SHARE),
    Rule("model.save_backbone", *FLAG),
    Rule("output", *FOLDER),
    Rule("trainer.max_epochs", *whole(1, 1_000_000)),
    Rule("trainer.devices", *one_of(1)),
    Rule("trainer.accelerator", *one_of("auto", "cpu", "gpu")),
    Rule("trainer.precision", lambda v: str(v) in PRECISIONS, one_of(*PRECISIONS)[1]),
)


def check(cfg: DictConfig) -> None:
    """Check the options of a run, alone and together.

    Raises:
        ConfigError: the first option that cannot work, what it is, and what it must be.
    """
    check_alone(cfg)
    options = OmegaConf.to_container(cfg, resolve=True)
    for option, attribute in BUILT.items():
        check_built(options, option, attribute)
    _check_split(options["data"]["split"])
    _check_views(options)
    architecture = build(options["model"]["backbone"])
    check_taps(options["model"]["taps"], architecture, options["data"]["image_size"])
    _check_freeze(options, architecture)
    _check_weights(options["model"]["weights"])


def check_alone(cfg: DictConfig) -> None:
    """Check each option by itself, without building anything.

    Raises:
        ConfigError: the first option that cannot work, what it is, and what it must be.
    """
    check_rules("", OmegaConf.to_container(cfg, resolve=True), _RULES)


def check_built(options: Mapping[str, Any], option: str, attribute: str) -> None:
    """Check that a class takes its options, and has what is asked of it; null is nothing.

    Raises:
        ConfigError: it is not so, or what it takes from options of the same names was replaced.
    """
    place, _, last = option.rpartition(".")
    above = options[place] if place else options
    node = above[last]
    if node is None:
        return
    for key, value in node.items():
        if place and shown(above.get(key, value)) != shown(value):
            raise ConfigError(
                f"{option}.{key}={shown(value)}: is {place}.{key}, which is "
                f"{shown(above[key])}; set that in its place"
            )
    if not hasattr(build(node, option), attribute):
        raise ConfigError(
            f"{option}._target_={node['_target_']}: what it makes has no '{attribute}', so it "
            f"cannot be {option}; name another class"
        )


def _check_split(split: Mapping[str, Any]) -> None:
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


def _check_views(options: Mapping[str, Any]) -> None:
    views, draws = options["features"]["views"], options["augmentation"]
    own = draws.get("flip"), draws.get("translate"), draws.get("scale")
    always_the_same = own == (1, 0, [1, 1])
    if always_the_same and type(views) is int and views > 0:
        raise ConfigError(
            f"features.views={views}: all random views are the same mirror image, and no face "
            "would be trained on as it is; use features.views=[0,1]"
        )


def _check_freeze(options: Mapping[str, Any], architecture: Architecture) -> None:
    freeze, taps = options["model"]["freeze"], parse_taps(options["model"]["taps"])
    if freeze == "all":
        return
    if options["features"]["bank"]:
        raise ConfigError(
            f"model.freeze={freeze} features.bank=true: the bank keeps what a frozen backbone puts "
            "out, and this one is trained; add features.bank=false"
        )
    if not trained_blocks(architecture, freeze, taps):
        first = list(architecture.channels)[len(architecture.stem)]
        raise ConfigError(
            f"model.freeze={freeze}: leaves nothing to train, since no tap ({', '.join(taps)}) is "
            f"after the stem; tap a later block, such as {first}, or use model.freeze=none"
        )


def _check_weights(weights: Any) -> None:
    if weights in (None, "imagenet"):
        return
    path = Path(str(weights)).expanduser()
    if not path.is_file():
        fix = "give a file of weights, imagenet, or null (random)"
        raise ConfigError(f"model.weights={weights}: no such file; {fix}")
    if path.suffix not in WEIGHT_FILES:
        raise ConfigError(f"model.weights={weights}: must be one of {', '.join(WEIGHT_FILES)}")
