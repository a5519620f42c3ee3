"""What networks trained under one occlusion achieve under another."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch

from fer_lit.analysis.checkpoints import Networks, TrainedNetwork
from fer_lit.analysis.mapping import covered_views
from fer_lit.analysis.material import Material
from fer_lit.feature_bank import FeatureBank
from fer_lit.occlusion import Occlusion

Accuracies = dict[str, list[float]]
"""Accuracies, 0–1, of the single networks of each condition."""


def transfer_table(material: Material) -> list[dict[str, Any]]:
    """Test each network on its validation faces under every condition's occlusion.

    Features come from the feature bank; those that are not there are computed and kept.

    Returns:
        A row for each condition that networks were trained under and each occlusion: `trained`,
        `tested`, `own` (whether it is the one they were trained under), `seeds`, and `mean` and
        `sd` (None for one network) of their accuracies.
    """
    conditions = material.conditions
    occlusions = {one.covered: one.occlusion for one in conditions.values()}
    tested = {name: _accuracies(material, occlusion) for name, occlusion in occlusions.items()}
    return [
        {
            "trained": label,
            "tested": name,
            "own": name == conditions[label].covered,
            "seeds": len(accuracies[label]),
            "mean": mean(accuracies[label]),
            "sd": stdev(accuracies[label]) if len(accuracies[label]) > 1 else None,
        }
        for label in conditions
        for name, accuracies in tested.items()
    ]


def _accuracies(material: Material, occlusion: Occlusion) -> Accuracies:
    accuracies: Accuracies = {}
    for group in _sharing_features(material.networks):
        wanted = np.any([material.held_out[key] for key in group], axis=0)
        bank = _bank(material, material.networks[group[0]], occlusion)
        bank.fill({0: np.flatnonzero(wanted)})
        for key in group:
            own = np.flatnonzero(material.held_out[key])
            predicted = _predict(material.networks[key], bank, own, material.device)
            right = predicted == material.faces.labels[own]
            accuracies.setdefault(key[0], []).append(float(right.mean()))
    return accuracies


def _sharing_features(networks: Networks) -> list[Sequence[tuple[str, int]]]:
    """Return the networks in groups that read the same features of the same backbone."""
    groups: dict[tuple, list[tuple[str, int]]] = {}
    for key, network in networks.items():
        taps = tuple(network.taps.items())
        same = (network.digest, taps, network.arithmetic, network.image_size)
        groups.setdefault(same, []).append(key)
    return list(groups.values())


def _bank(material: Material, network: TrainedNetwork, occlusion: Occlusion) -> FeatureBank:
    return FeatureBank(
        covered_views(material.faces, occlusion, network.image_size),
        {"data": material.faces.fingerprint, "occlusion": occlusion.identity},
        network.backbone,
        network.taps,
        network.arithmetic,
        material.device,
    )


def _predict(
    network: TrainedNetwork, bank: FeatureBank, indices: np.ndarray, device: torch.device
) -> np.ndarray:
    parts = torch.from_numpy(indices).to(device).split(4096)
    predicted = [network.probabilities(bank.read(part, 0)).argmax(dim=1) for part in parts]
    return torch.cat(predicted).cpu().numpy()
