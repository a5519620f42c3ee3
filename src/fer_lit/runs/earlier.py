"""Configurations of runs by earlier versions, in the form of this one."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from fer_lit.networks.taps import write_taps

_DEFAULTS = {
    ("recipe",): "paper",
    ("data", "split", "test"): 0,
    ("model", "freeze"): "all",
    ("model", "lr_decay"): 1,
    ("model", "hidden"): None,
    ("features", "test_views"): [0],
}
"""Options that earlier runs do not have, and what was done then."""
_BACKBONES = {
    "googlenet": "fer_lit.networks.googlenet.GoogLeNet",
    "googlenet_caffe": "fer_lit.networks.googlenet_caffe.GoogLeNetCaffe",
}
_SOURCES = {
    "fer2013": (
        "fer_lit.faces.photographs.Photographs",
        ("root", "classes", "on_bad_image", "download"),
    ),
    "synthetic": ("fer_lit.faces.synthetic.DrawnFaces", ("classes", "count", "seed")),
}


def upgraded(config: DictConfig) -> DictConfig:
    """Return the configuration of a run, resolved, with the `_target_`s and taps of this version.

    Parts that are of this version, or not there, stay as they are.
    """
    options: dict[str, Any] = OmegaConf.to_container(config)
    for (*groups, name), value in _DEFAULTS.items():
        place = options
        for group in groups:
            place = place.setdefault(group, {})
        place.setdefault(name, value)
    for group in ("occlusion", "augmentation"):
        if group in options:
            target = f"fer_lit.faces.{group}.{group.capitalize()}"
            options[group] = {"_target_": target} | options[group]
    model, data = options["model"], options["data"]
    if isinstance(model.get("taps"), dict):
        read = {block: grid for block, grid in model["taps"].items() if grid is not None}
        model["taps"] = write_taps(read)
    if "backbone" not in model and model.get("network") in _BACKBONES:
        model["backbone"] = {"_target_": _BACKBONES[model["network"]]}
    if "head" not in model and "dropout" in model:
        own = {name: model[name] for name in ("dropout", "hidden")}
        model["head"] = {"_target_": "fer_lit.networks.head.Perceptron", **own}
    if "schedule" not in model and "scheduler" in model:
        target = f"fer_lit.networks.schedules.{model['scheduler']}"
        model["schedule"] = {"_target_": target, "_partial_": True}
    if "source" not in data and data.get("name") in _SOURCES:
        target, names = _SOURCES[data["name"]]
        data["source"] = {"_target_": target, **{name: data.get(name) for name in names}}
    return OmegaConf.create(options)
