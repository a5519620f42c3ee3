"""What maps and transfer are made of: photographs, and networks that did not train on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from omegaconf import DictConfig

from fer_lit.analysis.checkpoints import Networks, load_networks
from fer_lit.analysis.conditions import Condition
from fer_lit.analysis.selection import Selection
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet
from fer_lit.targets import build

HeldOut = dict[tuple[str, int], np.ndarray]
"""By condition and seed of a network: which faces it is judged on, bool, (faces,).

Those of the test part, or else of the validation part; it has trained on none of them.
"""


@dataclass(frozen=True)
class Material:
    """Photographs and networks.

    Attributes:
        selection: the runs.
        faces: the photographs that the runs were trained and validated on.
        networks: those that could be rebuilt, at least one.
        device: where they are.
    """

    selection: Selection
    faces: FaceSet
    networks: Networks
    device: torch.device

    @cached_property
    def conditions(self) -> dict[str, Condition]:
        """The conditions that have networks."""
        labels = {label for label, _ in self.networks}
        return {label: one for label, one in self.selection.conditions.items() if label in labels}

    def keys(self, label: str) -> list[tuple[str, int]]:
        """Return the keys of a condition's networks, at least one, by ascending seed."""
        return [key for key in self.networks if key[0] == label]

    @cached_property
    def held_out(self) -> HeldOut:
        """Which faces each network is judged on."""
        position = {name: index for index, name in enumerate(self.faces.names)}
        held_out = {}
        for label, seed in self.networks:
            names = self.selection.conditions[label].runs[seed].predictions.names
            held_out[label, seed] = np.zeros(len(self.faces), dtype=bool)
            held_out[label, seed][[position[name] for name in names]] = True
        return held_out


def gather(
    selection: Selection, root: str | None, weights: str | None, device: torch.device
) -> tuple[Material | None, list[str]]:
    """Return photographs and networks, or None if either cannot be had, and why in a line each.

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
    networks, notes = load_networks(selection, weights, device)
    return (Material(selection, faces, networks, device) if networks else None), notes


def load_photographs(selection: Selection, root: str | None) -> FaceSet:
    """Return the photographs that the runs were trained and validated on.

    Args:
        selection: the runs.
        root: where the photographs are, if they have moved.

    Raises:
        ConfigError: they are not there, or are others.
    """
    source: DictConfig = selection.config.data.source.copy()
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
