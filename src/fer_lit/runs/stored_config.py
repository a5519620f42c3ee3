"""The `config.yaml` of a run, which anybody may have written: nothing in it multiplies or runs."""

from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf

from fer_lit.bounded import read_text
from fer_lit.errors import ConfigError
from fer_lit.targets import refuse_foreign_targets

_LARGEST = 2**18  # bytes; a run's has some 1,500
_MEND = "bring back the original, or train the run again"


def read_config(path: Path, trust: bool = False) -> DictConfig:
    """Return the options of a run.

    Raises:
        ConfigError: the file is not there, larger than any run's, no mapping in YAML, or has
            anchors; or, without `trust`, it names classes that are not fer_lit's, or refers to
            other values, such as variables of the environment.
    """
    text = read_text(path, _LARGEST, _MEND)
    try:
        anchor = _first_anchor(text)
        config = None if anchor else OmegaConf.create(text)
    except Exception as error:  # a broken file can make the parser raise anything
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not readable as YAML ({reason}); {_MEND}") from error
    if anchor:
        # Nine lines of nine aliases each stand for 387 million values.
        raise ConfigError(f"{path}: has the anchor &{anchor}, which no run writes; {_MEND}")
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{path}: holds no options but a list; {_MEND}")
    if not trust:
        _refuse_references(config, path)
        refuse_foreign_targets(config, path)
    return config


def _first_anchor(text: str) -> str | None:
    """Return the name of the first anchor, without which there are no aliases, if there is one."""
    if "&" not in text:  # nearly always, and the parser is slow
        return None
    events = yaml.parse(text, Loader=yaml.SafeLoader)  # the scanner of OmegaConf
    return next(filter(None, (getattr(event, "anchor", None) for event in events)), None)


def _refuse_references(config: DictConfig, path: Path) -> None:
    if "${" in repr(OmegaConf.to_container(config, resolve=False)):
        raise ConfigError(
            f"{path}: refers to other values by ${{…}}, which no run writes; trust=true follows "
            "that, if you know where the file comes from"
        )
