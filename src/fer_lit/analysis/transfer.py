"""What networks trained under one occlusion achieve under another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import mean, stdev
from typing import Any

from fer_lit.analysis.checkpoints import TrainedNetwork
from fer_lit.analysis.mapping import covered_views
from fer_lit.analysis.material import Material
from fer_lit.analysis.testing import (
    Key,
    faces_to_test,
    group_extractor,
    predict,
    predict_directly,
    sharing_features,
)
from fer_lit.faces.occlusion import Occlusion
from fer_lit.feature_bank.bank import FeatureBank
from fer_lit.progress import image_progress
from fer_lit.runs.predictions import Predictions

Accuracies = dict[str, list[float]]
"""Accuracies, 0–1, of the single networks of each condition."""
_READ_AT_A_TIME = 4096  # faces, which bounds the memory


def transfer_table(material: Material) -> list[dict[str, Any]]:
    """Test each network under every condition's occlusion, on the faces it is judged on, view 0.

    Features of frozen backbones come from the feature bank; those that are not there are computed
    and kept. Those of fine-tuned ones would serve nobody else, and are not.

    Returns:
        A row for each condition that networks were trained under and each occlusion: `trained`,
        `tested`, `own` (whether it is the one they were trained under), `seeds`, and `mean` and
        `sd` (None for one network) of their accuracies.
    """
    conditions = material.conditions
    occlusions = {one.covered: one.occlusion for one in conditions.values()}
    tested: dict[str, Accuracies] = {name: {} for name in occlusions}
    for group in sharing_features(material.networks):
        for name, predictions in _under_each(material, group, occlusions):
            for (label, _), own in predictions.items():
                tested[name].setdefault(label, []).append(float(own.right.mean()))
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


def _under_each(
    material: Material, group: Sequence[Key], occlusions: Mapping[str, Occlusion]
) -> Iterator[tuple[str, dict[Key, Predictions]]]:
    faces = faces_to_test(material, group)
    if material.conditions[group[0][0]].config.model.freeze == "all":
        for name, occlusion in occlusions.items():
            bank = _bank(material, material.networks[group[0]], occlusion)
            bank.fill({0: faces})
            read = partial(bank.read, view=0)
            yield name, predict(material, group, read, _READ_AT_A_TIME)
        return
    passes = len(faces) * len(occlusions)
    extract = group_extractor(material, group, passes)
    with image_progress("Testing under occlusions", passes) as advance:
        for name, occlusion in occlusions.items():
            yield name, predict_directly(material, group, occlusion, extract, advance)


def _bank(material: Material, network: TrainedNetwork, occlusion: Occlusion) -> FeatureBank:
    return FeatureBank(
        covered_views(material.faces, occlusion, network.image_size),
        {"data": material.faces.fingerprint, "occlusion": occlusion.identity},
        network.backbone,
        network.taps,
        network.arithmetic,
        material.device,
    )
