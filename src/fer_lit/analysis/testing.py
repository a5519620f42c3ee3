"""Networks put to the test under an occlusion that need not be the one they were trained under."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from fer_lit.analysis.checkpoints import Networks
from fer_lit.analysis.mapping import covered_views
from fer_lit.analysis.material import Material
from fer_lit.faces.occlusion import Occlusion
from fer_lit.feature_bank.bank import faces_in_a_pass
from fer_lit.feature_bank.compilation import Extractor, feature_extractor
from fer_lit.runs.predictions import Predictions

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
    """Return the faces that a network of the group is judged on: indices, int64, ascending."""
    return np.flatnonzero(np.any([material.held_out[key] for key in group], axis=0))


def predict(
    material: Material, group: Sequence[Key], read: Read, batch: int
) -> dict[Key, Predictions]:
    """Let each network of a group predict the faces that it is judged on.

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


def group_extractor(material: Material, group: Sequence[Key], passes: int) -> Extractor:
    """Return what reads features of the group's backbone, compiled if the passes are worth it."""
    network = material.networks[group[0]]
    return feature_extractor(
        network.backbone,
        network.taps,
        network.arithmetic,
        material.device,
        faces_in_a_pass(material.device, network.image_size),
        network.image_size,
        passes * network.image_size**2,
    )


def predict_directly(
    material: Material,
    group: Sequence[Key],
    occlusion: Occlusion,
    extract: Extractor,
    advance: Callable[[int], None],
) -> dict[Key, Predictions]:
    """Let each network of a group predict under an occlusion, and keep no features.

    Args:
        material: photographs and networks.
        group: networks that share their features.
        occlusion: to test under.
        extract: see `group_extractor`.
        advance: told how many faces have gone through the network.
    """
    size = material.networks[group[0]].image_size
    views = covered_views(material.faces, occlusion, size)

    def read(indices: Tensor) -> dict[str, Tensor]:
        features = extract(views(indices, 0))
        advance(len(indices))
        return features

    return predict(material, group, read, faces_in_a_pass(material.device, size))


def _predictions(material: Material, key: Key, probabilities: np.ndarray) -> Predictions:
    own = np.flatnonzero(material.held_out[key])
    names = tuple(material.faces.names[index] for index in own)
    return Predictions(names, material.faces.labels[own], probabilities)
