"""A check of the maps on faces whose answer is known, because the program drew them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from fer_lit.analysis.cam import MapMaker, MapSettings
from fer_lit.analysis.checks.passes import read_on, tapped_batches
from fer_lit.analysis.checks.subject import Row, not_applicable
from fer_lit.analysis.enlargement import row_shares, scale
from fer_lit.analysis.networks import Networks
from fer_lit.errors import ConfigError
from fer_lit.faces.augmentation import AS_THEY_ARE
from fer_lit.faces.datamodule import FaceDataModule
from fer_lit.faces.face_set import SIZE, FaceSet
from fer_lit.faces.occlusion import Occlusion
from fer_lit.faces.split import Split
from fer_lit.faces.synthetic import draw_faces
from fer_lit.fitting import fit_head
from fer_lit.paper import BANDS

FACES = 240
"""How many are drawn."""
BATCHES = 8
"""Of an epoch: a batch has 30 faces, or as many as the run's batches if those are smaller.

In batches of hundreds, as a run's are, so few faces would make so few steps that much of the
initial head would be left in the maps.
"""


def check_drawn_faces(networks: Networks, settings: MapSettings, seed: int) -> Row:
    """Let a new head learn drawn faces: its maps must peak at the mouth, where the emotion is.

    The emotion is drawn in the mouth, less in the eyes and brows, and not in the nose (see
    `faces.synthetic`). The head is of the kind of the run's and trained as that was, for as many
    epochs. The peak is that of the average map scaled to sum 1.

    Deep layers with random weights map what they happen to amplify, so there it does not apply.

    Args:
        networks: the backbone, the taps and the training of the first one's head are checked.
        settings: how maps are made; they explain the label.
        seed: of the drawn faces and the new head.

    Returns:
        A row of the checks; `value` is the row of the face in which the peak lies.
    """
    (label, own), network = next(iter(networks.trained.items()))
    cfg = networks.selection.conditions[label].runs[own].config
    if cfg.model.weights is None:
        return not_applicable("random weights")
    try:
        faces = draw_faces(networks.faces.classes, FACES, seed)
    except ConfigError as error:
        return not_applicable(str(error))
    layer, device = settings.layer, networks.device
    batches = list(tapped_batches(network, layer, faces.pixels))
    features = _joined([read_on(network, layer, tapped) for tapped in batches])
    learnt = network.with_head(_learn(cfg, faces, features, device, seed))
    make = MapMaker(learnt, replace(settings, target="label"))
    labels = torch.from_numpy(faces.labels).to(device).split(network.reader.batch)
    raw = np.concatenate([make(*given) for given in zip(batches, labels, strict=True)])
    centres = network.centres(layer)
    mass = scale(raw, centres)["mass"]
    known = mass[~np.isnan(mass[:, 0, 0])]
    if not len(known):
        return not_applicable("the maps are zero everywhere")
    peak = int(row_shares(known.mean(axis=0), centres).argmax())
    rows = BANDS["mouth"]
    return {
        "faces": len(known),
        "value": float(peak),
        "wanted": f"row {rows.start} to {rows.stop - 1}",
        "verdict": "pass" if rows.start <= peak < rows.stop else "fail",
    }


def _learn(
    cfg: DictConfig,
    faces: FaceSet,
    features: Mapping[str, Tensor],
    device: torch.device,
    seed: int,
) -> nn.Module:
    """Return a head of a run's kind that has learnt the faces by their features."""
    data = FaceDataModule(
        faces,
        Occlusion("none", 0, 0, 0, SIZE, "noise", 0),
        AS_THEY_ARE,
        image_size=cfg.data.image_size,
        split=Split(np.arange(FACES), np.arange(0), np.arange(0)),
        batch_size=min(cfg.data.batch_size, FACES // BATCHES),
        views=0,
    )
    data.bank = _InMemory(features)
    return fit_head(cfg, data, device, seed)


def _joined(batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {tap: torch.cat([batch[tap] for batch in batches]) for tap in batches[0]}


class _InMemory:
    """Features of faces as they are, to train on: what training asks of a `FeatureBank`."""

    def __init__(self, features: Mapping[str, Tensor]):
        self._features = features

    def read(self, indices: Tensor, view: int) -> dict[str, Tensor]:
        """Return features of faces, tap → float32, (B, channels, grid, grid)."""
        return {tap: features[indices] for tap, features in self._features.items()}
