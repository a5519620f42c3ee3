"""What networks trained under one occlusion achieve under another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fer_lit.analysis.checkpoints import Networks, TrainedNetwork
from fer_lit.analysis.mapping import covered_views
from fer_lit.analysis.material import Material
from fer_lit.feature_bank import FeatureBank
from fer_lit.occlusion import Occlusion

Accuracies = dict[tuple[str, str], list[float]]
"""Accuracies, 0–1, of the single networks, by the condition that they were trained under and the
name of the occlusion that they were tested under."""


def test_everywhere(material: Material) -> Accuracies:
    """Test each network on its validation faces under every condition's occlusion.

    Features come from the feature bank; those that are not there are computed and kept.
    """
    occlusions = {one.occlusion.name: one.occlusion for one in material.conditions.values()}
    accuracies: Accuracies = {}
    for name, occlusion in occlusions.items():
        for group in _sharing_features(material.networks):
            wanted = np.any([material.held_out[key] for key in group], axis=0)
            bank = _bank(material, material.networks[group[0]], occlusion)
            bank.fill({0: np.flatnonzero(wanted)})
            for key in group:
                own = np.flatnonzero(material.held_out[key])
                predicted = _predict(material.networks[key], bank, own, material.device)
                right = predicted == material.faces.labels[own]
                accuracies.setdefault((key[0], name), []).append(float(right.mean()))
    return accuracies


def transfer_table(accuracies: Accuracies) -> list[dict[str, Any]]:
    """Return a row a pair: `trained`, `tested`, `seeds`, and `mean` and `sd` of the accuracy."""
    trained = list(dict.fromkeys(pair[0] for pair in accuracies))
    return [
        {
            "trained": name,
            "tested": tested,
            "seeds": len(values),
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        }
        for (name, tested), values in sorted(
            accuracies.items(), key=lambda item: trained.index(item[0][0])
        )
    ]


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
