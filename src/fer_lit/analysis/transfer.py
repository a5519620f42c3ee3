"""What networks trained under one occlusion achieve under another."""

from __future__ import annotations

from functools import partial
from statistics import mean, stdev
from typing import Any

from fer_lit.analysis.checkpoints import TrainedNetwork
from fer_lit.analysis.mapping import covered_views
from fer_lit.analysis.material import Material
from fer_lit.analysis.testing import faces_to_test, predict, sharing_features
from fer_lit.feature_bank import FeatureBank
from fer_lit.occlusion import Occlusion

Accuracies = dict[str, list[float]]
"""Accuracies, 0–1, of the single networks of each condition."""
_READ_AT_A_TIME = 4096  # faces, which bounds the memory


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
    for group in sharing_features(material.networks):
        bank = _bank(material, material.networks[group[0]], occlusion)
        bank.fill({0: faces_to_test(material, group)})
        predicted = predict(material, group, partial(bank.read, view=0), _READ_AT_A_TIME)
        for (label, _), predictions in predicted.items():
            accuracies.setdefault(label, []).append(float(predictions.right.mean()))
    return accuracies


def _bank(material: Material, network: TrainedNetwork, occlusion: Occlusion) -> FeatureBank:
    return FeatureBank(
        covered_views(material.faces, occlusion, network.image_size),
        {"data": material.faces.fingerprint, "occlusion": occlusion.identity},
        network.backbone,
        network.taps,
        network.arithmetic,
        material.device,
    )
