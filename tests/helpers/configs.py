"""Configurations, without a program that reads them."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from helpers.command import CONF

FOLDERS = {path.parent.relative_to(CONF).as_posix() for path in CONF.glob("*/**/*.yaml")}
GROUPS = sorted(folder for folder in FOLDERS if not folder.startswith("hydra/"))
"""Every group on disk; Hydra's own are in every configuration."""


@cache
def composed(*overrides: str) -> DictConfig:
    """Return what Hydra makes of `conf/` and the overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))


def changed(*overrides: str) -> DictConfig:
    """Return the composed groups, and in them the options, which replace what was there."""
    groups = [text for text in overrides if text.split("=")[0] in GROUPS]
    cfg = deepcopy(composed(*groups))
    for text in overrides:
        if text not in groups:
            override = OverridesParser.create().parse_override(text)
            option, value = override.key_or_group, override.value()
            OmegaConf.update(cfg, option, value, merge=False, force_add=True)
    return cfg


def choices(group: str) -> list[str]:
    """Return the configurations of a group on disk."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))
