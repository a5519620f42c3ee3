"""The command line of `analyze.py`: its options, checked without importing torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fer_lit.cli.common import Start, own_folder
from fer_lit.cli.overrides import compose_job, refuse_several_values
from fer_lit.errors import ConfigError
from fer_lit.limits import FLAG, FOLDER, SEED, Rule, check_rules, number, one_of, path, whole
from fer_lit.options import check_built

METHODS = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "xgradcam": "XGradCAM",
}
"""What `method` may be, and the class of pytorch-grad-cam that does it."""


def _is_colormap(value: object) -> bool:
    from matplotlib import colormaps  # takes a moment, and is needed in an analysis only

    return isinstance(value, str) and value in colormaps


def _is_folders(value: object) -> bool:
    folders = value if isinstance(value, list) else [value]
    named = all(type(folder) is str and folder != "" for folder in folders)
    return value is None or (folders != [] and named)


_SECTION = "options with values of their own"
_RULES = (
    *(Rule(o, lambda value: isinstance(value, Mapping), _SECTION) for o in ("data", "logger")),
    Rule("sweep", _is_folders, "a folder, or several: sweep=[A,B]"),
    Rule("images", *path("a file, a folder or a glob")),
    Rule("band_map", *FLAG),
    Rule("trust", *FLAG),
    Rule("samples", *whole(2, 1_000_000)),
    Rule("seed", *SEED),
    Rule("method", *one_of(*METHODS)),
    Rule("layer", *path("the name of a block")),
    Rule("target", *one_of("label", "predicted")),
    Rule("score", *one_of("logit", "probability")),
    Rule("margin", *number(lambda v: 0 < v <= 100, "a number above 0, at most 100")),
    Rule("colormap", _is_colormap, "a colour map of matplotlib, such as jet or viridis"),
    Rule("data.root", *path("a folder or a CSV file")),
    Rule("weights", *path("a file of weights")),
    Rule("logger.name", *one_of("wandb", "csv", "none")),
    Rule(
        "logger.tracker",
        lambda value: value is None or isinstance(value, Mapping),
        f"{_SECTION}, or null",
    ),
    Rule("output", *FOLDER),
)


def start(arguments: Sequence[str]) -> Start:
    """Return the arguments, and a folder for the analysis.

    Raises:
        ConfigError: an option cannot work, or the folder cannot be created.
    """
    return own_folder("analyze", checked(arguments))


def checked(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments, which are right.

    Raises:
        ConfigError: the first option that cannot work, what it is, and what it must be.
    """
    flags = [argument for argument in arguments if argument.startswith("-")]
    if flags:
        raise ConfigError(f"{flags[0]}: analyze.py runs once; give several sweeps as sweep=[A,B]")
    refuse_several_values(arguments, "give one value; several sweeps are written sweep=[A,B]")
    cfg = compose_job("analyze", arguments)
    check(cfg)
    for folder in [cfg.sweep] if isinstance(cfg.sweep, str) else cfg.sweep or []:
        if not Path(folder).expanduser().is_dir():
            raise ConfigError(
                f"sweep={folder}: there is no such folder; name one that train.py made"
            )
    return arguments


def check(cfg: DictConfig) -> None:
    """Check the options of an analysis, alone and together.

    Raises:
        ConfigError: the first option that cannot work, what it is, and what it must be.
    """
    options = OmegaConf.to_container(cfg, resolve=True)
    check_rules("", options, _RULES)
    check_built(options, "logger.tracker", "log_analysis")
    if cfg.band_map and cfg.images is not None:
        raise ConfigError("band_map=true: leave out images, which is another analysis")
