"""Networks put to the test under an occlusion that need not be the one they were trained under."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from fer_lit.analysis.checkpoints import Networks
from fer_lit.analysis.material import Material
from fer_lit.analysis.predictions import Predictions

Key = tuple[str, int]
"""Condition and seed of a network."""
Read = Callable[[Tensor], dict[str, Tensor]]
"""Returns the features of faces, given their indices: see `FeatureBank.read`."""


def sharing_features(networks: Networks) -> list[list[Key]]:
    """Return the networks in groups that read the same features of the same backbone."""
    groups: dict[tuple, list[Key]] = {}
    for key, network in networks.items():
        taps = tuple(network.taps.items())
        same = (network.digest, taps, network.arithmetic, network.image_size)
        groups.setdefault(same, []).append(key)
    return list(groups.values())


def faces_to_test(material: Material, group: Sequence[Key]) -> np.ndarray:
    """Return the faces that a network of the group did not train on: indices, int64, ascending."""
    return np.flatnonzero(np.any([material.held_out[key] for key in group], axis=0))


def predict(
    material: Material, group: Sequence[Key], read: Read, batch: int
) -> dict[Key, Predictions]:
    """Let each network of a group predict the faces that it did not train on.

    Args:
        material: photographs and networks.
        group: networks that share their features.
        read: gives the features, which are of the occlusion to test under; asked once a face.
        batch: faces to read at a time.
    """
    faces = faces_to_test(material, group)
    found: dict[Key, list[np.ndarray]] = {key: [] for key in group}
    for part in np.split(faces, range(batch, len(faces), batch)):
        features = read(torch.from_numpy(part).to(material.device))
        for key in group:
            own = torch.from_numpy(material.held_out[key][part]).to(material.device)
            tapped = {tap: values[own] for tap, values in features.items()}
            found[key].append(material.networks[key].probabilities(tapped).cpu().numpy())
    return {key: _predictions(material, key, np.concatenate(found[key])) for key in group}


def _predictions(material: Material, key: Key, probabilities: np.ndarray) -> Predictions:
    own = np.flatnonzero(material.held_out[key])
    names = tuple(material.faces.names[index] for index in own)
    return Predictions(names, material.faces.labels[own], probabilities)
