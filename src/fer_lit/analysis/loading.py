"""Loads trained networks from their run folders, and the photographs of the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from omegaconf import OmegaConf

from fer_lit.analysis.networks import Key, Networks, TrainedNetwork
from fer_lit.classifier import EmotionClassifier
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet
from fer_lit.networks.backbone import Backbone
from fer_lit.networks.reader import FrozenReader
from fer_lit.runs.folder import one_line
from fer_lit.targets import build

if TYPE_CHECKING:
    from fer_lit.analysis.labels import Run
    from fer_lit.analysis.selection import Selection


def gather(
    selection: Selection, root: str | None, weights: str | None, device: torch.device
) -> tuple[Networks | None, list[str]]:
    """Return networks and photographs, or None if either cannot be had, and why in a line each.

    Args:
        selection: the runs.
        root: where the photographs are, if they have moved.
        weights: file of the backbone's weights, if it has moved.
        device: where the networks go.
    """
    try:
        faces = load_photographs(selection, root)
    except ConfigError as error:
        return None, [f"there are no maps and no transfer: {error}"]
    trained, notes = load_networks(selection, weights, device)
    return (Networks(selection, faces, trained, device) if trained else None), notes


def load_photographs(selection: Selection, root: str | None) -> FaceSet:
    """Return the photographs that the runs were trained and validated on.

    Args:
        selection: the runs.
        root: where the photographs are, if they have moved.

    Raises:
        ConfigError: they are not there, or are others.
    """
    source = selection.config.data.source.copy()
    if root is not None and "root" in source:
        source.root = root
    faces = build(source).load()
    wanted = selection.runs[0].provenance["data_fingerprint"]
    if faces.fingerprint != wanted:
        raise ConfigError(
            f"data.root={faces.source}: these are not the photographs of the runs (fingerprint "
            f"{faces.fingerprint[:12]}, not {wanted[:12]}); give those as data.root=FOLDER"
        )
    return faces


def load_networks(
    selection: Selection, weights: str | None, device: torch.device
) -> tuple[dict[Key, TrainedNetwork], list[str]]:
    """Return the networks that can be rebuilt, and a line for each that cannot.

    Args:
        selection: the runs.
        weights: file of the backbone's weights, if it is not where the run found it.
        device: where the networks go.
    """
    trained: dict[Key, TrainedNetwork] = {}
    backbones: dict[str, Backbone] = {}
    problems: dict[str, list[str]] = {}
    for condition in selection.conditions.values():
        for seed, run in condition.runs.items():
            try:
                trained[condition.label, seed] = _load(run, weights, backbones, device)
            # A checkpoint can be missing, cut off, or of weights that are not there any more.
            except Exception as error:
                advice = " (weights=FILE says where they are now)" * isinstance(error, ConfigError)
                problems.setdefault(one_line(error) + advice, []).append(run.name)
    notes = [
        f"only the predictions of {', '.join(names)} are analysed, not the network: {reason}"
        for reason, names in problems.items()
    ]
    computed_in = {run.provenance["precision"]["backbone"] for run in selection.runs}
    if device.type == "cpu" and "float16" in computed_in:
        notes.append("what was computed in float16 is float32 here: a CPU has no float16")
    return trained, notes


def _load(
    run: Run, weights: str | None, backbones: dict[str, Backbone], device: torch.device
) -> TrainedNetwork:
    try:
        model = _rebuild(run)
    except ConfigError:
        if weights is None:
            raise
        model = _rebuild(run, weights=weights)
    model.backbone.freeze_all_but(())
    arithmetic = model.hparams.backbone_arithmetic
    float16_on_cpu = arithmetic == "float16" and device.type == "cpu"
    reader = FrozenReader(
        backbones.setdefault(model.backbone.digest(), model.backbone.to(device)),
        model.taps,
        torch.float32 if float16_on_cpu else getattr(torch, arithmetic),
        device,
        run.config.data.image_size,
    )
    head = model.head.requires_grad_(False).eval().to(device)
    return TrainedNetwork(reader, head)


def _rebuild(run: Run, **changed: str) -> EmotionClassifier:
    options = OmegaConf.to_container(run.config.model)
    # Those of the configuration, which was checked, and which earlier versions' files lack.
    described = {name: options[name] for name in ("backbone", "head", "schedule", "taps")}
    return EmotionClassifier.load_from_checkpoint(
        run.checkpoint,
        map_location="cpu",
        weights_only=True,
        download=run.config.data.download,
        trust=True,
        **described,
        **changed,
    )
