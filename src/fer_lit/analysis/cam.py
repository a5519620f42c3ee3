"""Attention maps of single photographs: class activation maps by pytorch-grad-cam.

Only what comes after the mapped block is differentiated. The trunk up to it runs once for each
photograph, without gradients, and serves every head that was trained on the same backbone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytorch_grad_cam
import torch
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor, nn

from fer_lit.analysis.networks import TrainedNetwork
from fer_lit.cli.analyze import METHODS
from fer_lit.feature_bank.compilation import fastest
from fer_lit.networks.backbone import pool
from fer_lit.networks.reader import FrozenReader


class CentredLogit:
    """The target `logit` of pytorch-grad-cam: an emotion's logit minus the mean over the emotions.

    Softmax ignores what the rows of the last layer share, so that no label ever moves it and it
    stays about as it was drawn; subtracting the mean takes it out and changes no prediction.
    """

    def __init__(self, emotion: int):
        self._emotion = emotion

    def __call__(self, logits: Tensor) -> Tensor:
        """Return the score of one face, a scalar, for its logits, (classes,)."""
        return logits[self._emotion] - logits.mean()


SCORES = {"logit": CentredLogit, "probability": ClassifierOutputSoftmaxTarget}
"""What is differentiated: targets of pytorch-grad-cam, made of an emotion's number."""


@dataclass(frozen=True)
class MapSettings:
    """How maps are made: see `conf/analyze.yaml`.

    Attributes:
        layer: block whose output is mapped.
        method: a key of `METHODS`.
        target: `label` or `predicted`: the emotion that a map explains.
        score: a key of `SCORES`: what is differentiated.
    """

    layer: str
    method: str
    target: str
    score: str


class MapMaker:
    """Makes the attention maps of one head.

    Args:
        network: the backbone and the head.
        settings: layer, method, target and score.
    """

    def __init__(self, network: TrainedNetwork, settings: MapSettings):
        self._settings = settings
        self._after = _AfterLayer(network, settings.layer).eval()
        engine = _unscaled(getattr(pytorch_grad_cam, METHODS[settings.method]))
        self._engine = engine(self._after, [self._after.layer])

    def __call__(self, tapped: Mapping[str, Tensor], labels: Tensor) -> np.ndarray:
        """Return maps after the ReLU and before any scaling, float32, (B, h, w), 0 or more.

        Args:
            tapped: the whole output of the layer, float32, (B, channels, h, w), and what the
                head reads of the blocks before it, pooled (see `trunk`).
            labels: int64, (B,).
        """
        self._after.before = tapped
        activation = tapped[self._settings.layer].detach().requires_grad_()
        explained = self._explained(tapped, labels).tolist()
        targets = [SCORES[self._settings.score](emotion) for emotion in explained]
        maps = self._engine(activation, targets)
        if len(maps) != len(labels):  # pytorch-grad-cam swallows some errors
            raise RuntimeError(f"pytorch-grad-cam made {len(maps)} maps of {len(labels)} faces")
        return maps

    @torch.no_grad()
    def _explained(self, tapped: Mapping[str, Tensor], labels: Tensor) -> Tensor:
        if self._settings.target == "label":
            return labels
        return self._after(tapped[self._settings.layer]).argmax(dim=1)


def trunk(network: TrainedNetwork, layer: str) -> FrozenReader:
    """Return what reads, in one pass, all that `MapMaker` needs: the layer and taps before it.

    The layer is read on a grid of its own size, which leaves it as it is.
    """
    return network.reader.at(_taps_before(network, layer) | {layer: network.side(layer)})


def map_faces(
    networks: Sequence[TrainedNetwork],
    pixels: np.ndarray,
    labels: np.ndarray,
    settings: MapSettings,
) -> np.ndarray:
    """Return the maps of a few faces by several heads on one backbone, and one pass through it.

    Args:
        networks: what explains; they differ in their heads only.
        pixels: uint8, (N, 48, 48).
        labels: int64, (N,): what is explained if `settings.target` is `label`.
        settings: how maps are made.

    Returns:
        float32, (networks, N, h, h), 0 or more.
    """
    reader, views = networks[0].reader, networks[0].views(pixels)
    read = fastest(trunk(networks[0], settings.layer), faces=0)  # compiled if it already is
    makers = [MapMaker(network, settings) for network in networks]
    explained = torch.from_numpy(labels).to(reader.device)
    maps = []
    for part in torch.arange(len(views), device=reader.device).split(reader.batch):
        tapped = read(views(part, 0))
        maps.append(np.stack([make(tapped, explained[part]) for make in makers]))
    return np.concatenate(maps, axis=1)


def _taps_before(network: TrainedNetwork, layer: str) -> dict[str, int]:
    before = network.blocks[: network.blocks.index(layer)]
    return {tap: grid for tap, grid in network.reader.taps.items() if tap in before}


class _AfterLayer(nn.Module):
    """What follows a block: the rest of the backbone, and the head.

    `layer` passes the block's output on, for pytorch-grad-cam to hook onto. `before` holds what the
    head reads of earlier blocks, which is constant here.
    """

    def __init__(self, network: TrainedNetwork, layer: str):
        super().__init__()
        self.layer = nn.Identity()
        self.head = network.head
        self.before: Mapping[str, Tensor] = {}
        self._backbone = (network.reader.backbone,)  # not a part: nothing in it is to be touched
        self._name = layer
        self._taps = network.reader.taps
        self._constant = _taps_before(network, layer)

    def forward(self, activation: Tensor) -> Tensor:
        """Return logits, (B, classes), for the block's output."""
        activation = self.layer(activation)
        later = [tap for tap in self._taps if tap not in self._constant and tap != self._name]
        outputs = {self._name: activation}
        outputs |= self._backbone[0].resume(self._name, activation, later)
        return self.head(
            {
                tap: self.before[tap] if tap in self._constant else pool(outputs[tap], grid)
                for tap, grid in self._taps.items()
            }
        )


@cache
def _unscaled(method: type[BaseCAM]) -> type[BaseCAM]:
    """Return a method of pytorch-grad-cam that leaves its maps as they are.

    By itself it scales each map to 0–1, after which nobody knows how strong it was, or to which
    mass it came.
    """

    class Unscaled(method):
        def compute_cam_per_layer(self, input_tensor, targets, eigen_smooth):
            seen = self.activations_and_grads
            maps = self.get_cam_image(
                input_tensor,
                self.target_layers[0],
                targets,
                seen.activations[0].numpy(),
                seen.gradients[0].numpy(),
                eigen_smooth,
            )
            return np.maximum(maps, 0)

        def aggregate_multi_layers(self, cam_per_target_layer):
            return cam_per_target_layer

    return Unscaled
