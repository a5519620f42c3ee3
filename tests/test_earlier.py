"""Configurations of earlier versions are read as if this one had written them."""

from helpers.configs import composed
from omegaconf import OmegaConf

from fer_lit.runs.earlier import upgraded

ADDED = {
    "model": ("backbone", "head", "schedule"),
    "data": ("source",),
    "occlusion": ("_target_",),
    "augmentation": ("_target_",),
}


def earlier(*overrides: str) -> tuple[dict, dict]:
    """Return a configuration of today, and what an earlier version would have written."""
    today = OmegaConf.to_container(composed(*overrides), resolve=True)
    before = OmegaConf.to_container(OmegaConf.create(today))
    for group, names in ADDED.items():
        for name in names:
            del before[group][name]
    before["model"]["taps"] = {
        tap.partition("/")[0]: int(tap.partition("/")[2]) for tap in today["model"]["taps"]
    }
    return today, before


def test_what_is_built_follows_from_the_options_of_then():
    for overrides in (
        ("experiment=demo", "occlusion=eyes"),
        ("experiment=multiscale", "model=googlenet_caffe"),
        ("experiment=finetune", "data.root=/photographs"),
    ):
        today, before = earlier(*overrides)
        before["model"]["taps"]["conv3"] = None  # was not tapped
        assert OmegaConf.to_container(upgraded(OmegaConf.create(before))) == today
        assert OmegaConf.to_container(upgraded(OmegaConf.create(today))) == today


def test_options_that_came_later_are_what_was_done_before():
    today, before = earlier("experiment=demo", "recipe=paper")
    del before["recipe"], before["model"]["freeze"], before["data"]["split"]["test"]
    del before["model"]["hidden"], before["model"]["lr_decay"], before["features"]["test_views"]
    assert OmegaConf.to_container(upgraded(OmegaConf.create(before))) == today
