"""A check of the maps on faces whose answer is known, because the program drew them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from fer_lit.analysis.cam import MapSettings, map_faces
from fer_lit.analysis.enlargement import row_shares, scale
from fer_lit.analysis.networks import Networks, TrainedNetwork
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.synthetic import draw_faces
from fer_lit.networks.head import Perceptron
from fer_lit.paper import BANDS

FACES = 240
"""How many are drawn."""


def check_drawn_faces(networks: Networks, settings: MapSettings, seed: int) -> dict[str, Any]:
    """Let a new head learn drawn faces: its maps must peak at the mouth, where the emotion is.

    The emotion is drawn in the mouth, less in the eyes and brows, and not in the nose (see
    `faces.synthetic`). The peak is that of the average map scaled to sum 1.

    Deep layers with random weights map what they happen to amplify, so there it does not apply.

    Args:
        networks: the first one's backbone and taps are checked, with a linear head.
        settings: how maps are made; they explain the label.
        seed: of the drawn faces.

    Returns:
        Without `check` and `condition` a row of `trust.check_maps`; `value` is the row of the face
        in which the peak lies.
    """
    if networks.selection.config.model.weights is None:
        return {"verdict": "not applicable: random weights"}
    try:
        faces = draw_faces(networks.faces.classes, FACES, seed)
    except ConfigError as error:
        return {"verdict": f"not applicable: {error}"}
    network = next(iter(networks.trained.values()))
    learnt = network.with_head(_learn(network, faces))
    of_labels = replace(settings, target="label")
    raw = map_faces([learnt], faces.pixels, faces.labels, of_labels)[0]
    centres = network.centres(settings.layer)
    mass = scale(raw, centres)["mass"]
    known = mass[~np.isnan(mass[:, 0, 0])]
    if not len(known):
        return {"verdict": "not applicable: the maps are zero everywhere"}
    peak = int(row_shares(known.mean(axis=0), centres).argmax())
    rows = BANDS["mouth"]
    return {
        "faces": len(known),
        "value": float(peak),
        "wanted": f"row {rows.start} to {rows.stop - 1}",
        "verdict": "pass" if rows.start <= peak < rows.stop else "fail",
    }


@torch.no_grad()
def _learn(network: TrainedNetwork, faces: FaceSet) -> nn.Module:
    """Return a linear head that has learnt the faces by logistic regression."""
    read = network.features(faces.pixels)
    features = torch.cat([values.flatten(1) for values in read.values()], dim=1)
    classes = int(faces.labels.max()) + 1
    head = Perceptron(dropout=0, hidden=None).build(features.shape[1], classes)
    head = head.to(network.reader.device).eval()
    head.standardise.running_mean.copy_(features.mean(dim=0))
    head.standardise.running_var.copy_(features.var(dim=0))
    standardised = head.standardise(features).cpu().numpy()
    # Strongly regularised, since there are more features than faces.
    learnt = LogisticRegression(C=1e-3, max_iter=1000).fit(standardised, faces.labels)
    weights = learnt.coef_ if classes > 2 else np.concatenate([-learnt.coef_, learnt.coef_])
    head.linear.weight.copy_(torch.from_numpy(weights))
    head.linear.bias.zero_()
    return head
