"""Trained networks, and the photographs they may be shown: those that they did not train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from fer_lit.classifier import EmotionClassifier
from fer_lit.errors import ConfigError
from fer_lit.faces.augmentation import AS_THEY_ARE
from fer_lit.faces.face_set import SIZE, FaceSet
from fer_lit.faces.views import FaceViews
from fer_lit.networks.backbone import Backbone
from fer_lit.networks.reader import FrozenReader
from fer_lit.runs.folder import one_line
from fer_lit.targets import build

if TYPE_CHECKING:
    from fer_lit.analysis.labels import Condition, Run
    from fer_lit.analysis.selection import Selection

Key = tuple[str, int]
"""The label of a network's condition, and its seed."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A run's network, frozen, on the device: that of its predictions.

    Attributes:
        reader: reads what the head is given; its backbone is one and the same object for all
            networks whose weights are equal.
        head: in eval mode.
    """

    reader: FrozenReader
    head: nn.Module

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the backbone's blocks, in the order in which they run."""
        return self.reader.backbone.names

    @property
    def deepest(self) -> str:
        """The deepest block that the head reads."""
        return max(self.reader.taps, key=self.blocks.index)

    def side(self, block: str) -> int:
        """Return the height and width of a block's output in cells."""
        return self.reader.backbone.side(block, self.reader.image_size)

    def centres(self, block: str) -> list[float]:
        """Return where a block's cells have their centres: rows of the face, whose first is 0."""
        size = self.reader.image_size
        return [place * SIZE / size - 0.5 for place in self.reader.backbone.centres(block, size)]

    def views(self, pixels: np.ndarray) -> FaceViews:
        """Return what the network sees of faces, uint8, (N, 48, 48); only view 0 is meant."""
        return FaceViews(pixels, AS_THEY_ARE, self.reader.image_size)

    def features(self, pixels: np.ndarray) -> dict[str, Tensor]:
        """Return what the head reads of a few faces: tap → float32, (N, channels, grid, grid)."""
        views = self.views(pixels)
        faces = torch.arange(len(views), device=self.reader.device)
        batches = [self.reader(views(part, 0)) for part in faces.split(self.reader.batch)]
        return {tap: torch.cat([batch[tap] for batch in batches]) for tap in self.reader.taps}

    @torch.no_grad()
    def probabilities(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return softmax probabilities, float32, (B, classes), for pooled taps."""
        return self.head(features).softmax(dim=1)

    def with_head(self, head: nn.Module) -> TrainedNetwork:
        """Return the same backbone under another head."""
        return replace(self, head=head.requires_grad_(False).eval())


@dataclass(frozen=True)
class Networks:
    """Networks, and the photographs that they were trained and validated on.

    Attributes:
        selection: the runs.
        faces: the photographs.
        trained: the networks that could be rebuilt, at least one.
        device: where they are.
    """

    selection: Selection
    faces: FaceSet
    trained: Mapping[Key, TrainedNetwork]
    device: torch.device

    @cached_property
    def conditions(self) -> dict[str, Condition]:
        """The conditions that have networks."""
        labels = {label for label, _ in self.trained}
        return {label: one for label, one in self.selection.conditions.items() if label in labels}

    def keys(self, label: str) -> list[Key]:
        """Return the keys of a condition's networks, at least one, by ascending seed."""
        return [key for key in self.trained if key[0] == label]

    @property
    def covered_rows(self) -> list[slice | None]:
        """The rows that each condition covers; None where it covers none."""
        occlusions = [one.occlusion for one in self.conditions.values()]
        return [one.band[0] if one.height else None for one in occlusions]

    @cached_property
    def held_out(self) -> dict[Key, np.ndarray]:
        """Which faces each network is judged on, bool, (faces,): it has trained on none of them.

        Those of the test part, or else of the validation part.
        """
        images = {
            (label, seed): self.selection.conditions[label].runs[seed].predictions["image"]
            for label, seed in self.trained
        }
        names = pd.Index(self.faces.names)
        return {key: names.isin(own) for key, own in images.items()}

    @property
    def sharing(self) -> list[list[Key]]:
        """The networks in groups that read the same features of the same backbone."""
        groups: dict[tuple, list[Key]] = {}
        for key, network in self.trained.items():
            groups.setdefault(network.reader.key, []).append(key)
        return list(groups.values())

    def judged(self, group: Sequence[Key]) -> np.ndarray:
        """Return the faces that a network of the group is judged on: indices, int64, ascending."""
        return np.flatnonzero(np.any([self.held_out[key] for key in group], axis=0))


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
    if not run.checkpoint.is_file():  # a pipe would be waited for
        raise FileNotFoundError(f"{run.checkpoint} is not there")
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
