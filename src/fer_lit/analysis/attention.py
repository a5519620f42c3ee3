"""Attention maps of single photographs: class activation maps by pytorch-grad-cam.

Only what comes after the mapped block is differentiated. The trunk up to it runs once for each
photograph, without gradients, and serves every head that was trained on the same backbone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytorch_grad_cam
import torch
from omegaconf import DictConfig
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import (
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
)
from torch import Tensor, nn

from fer_lit.analysis.checkpoints import Networks, TrainedNetwork
from fer_lit.analysis.layer import choose_layer, map_side
from fer_lit.cli.analyze import METHODS
from fer_lit.errors import ConfigError
from fer_lit.networks.backbone import pool

AVERAGING = ("gradcam", "gradcam++", "xgradcam")
"""Methods that give a channel one weight for all places."""
_SCORES = {"logit": ClassifierOutputTarget, "probability": ClassifierOutputSoftmaxTarget}


@dataclass(frozen=True)
class MapSettings:
    """How maps are made: see `conf/analyze.yaml`.

    Attributes:
        layer: block whose output is mapped.
        method: a key of `METHODS`.
        target: `label` or `predicted`: the emotion that a map explains.
        score: `logit` or `probability`: what is differentiated.
    """

    layer: str
    method: str
    target: str
    score: str


def map_settings(cfg: DictConfig, networks: Networks) -> tuple[MapSettings | None, list[str]]:
    """Return how maps are made, or None, and why, if no layer is named and none suggests itself.

    Args:
        cfg: of the analysis.
        networks: what is mapped.

    Raises:
        ConfigError: the layer that is named does not fit.
    """
    try:
        layer = choose_layer(cfg.layer, list(networks.values()))
    except ConfigError as error:
        if cfg.layer is not None:
            raise
        return None, [f"there are no maps: {error}"]
    return MapSettings(layer, cfg.method, cfg.target, cfg.score), []


def notes_on_method(method: str, networks: Iterable[TrainedNetwork]) -> list[str]:
    """Return what to know about a method's maps of these networks.

    Grad-CAM weighs a channel by its gradient averaged over the map, which is right for a head that
    reads the channel's average; Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful
    explanations of convolutional neural networks" (2020), show that it is not for others.
    """
    if method == "eigencam":
        return ["eigencam asks neither the head nor the emotion; its maps' sign is arbitrary"]
    in_place = any(grid > 1 for network in networks for grid in network.taps.values())
    if method in AVERAGING and in_place:
        return [
            f"a head here reads places of the face apart, and {method} averages gradients over "
            "them, so that its maps may mislead: method=hirescam and layercam do not average"
        ]
    return []


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
                head reads of the blocks before it, pooled (see `trunk_taps`).
            labels: int64, (B,).
        """
        self._after.before = tapped
        activation = tapped[self._settings.layer].detach().requires_grad_()
        explained = self._explained(tapped, labels).tolist()
        targets = [_SCORES[self._settings.score](emotion) for emotion in explained]
        maps = self._engine(activation, targets)
        if len(maps) != len(labels):  # pytorch-grad-cam swallows some errors
            raise RuntimeError(f"pytorch-grad-cam made {len(maps)} maps of {len(labels)} faces")
        return maps

    @torch.no_grad()
    def _explained(self, tapped: Mapping[str, Tensor], labels: Tensor) -> Tensor:
        if self._settings.target == "label":
            return labels
        return self._after(tapped[self._settings.layer]).argmax(dim=1)


def trunk_taps(network: TrainedNetwork, layer: str) -> dict[str, int]:
    """Return what a pass through the trunk must read for `MapMaker`: block → grid.

    The layer is read on a grid of its own size, which leaves it as it is.
    """
    return _taps_before(network, layer) | {layer: map_side(layer, network)}


def _taps_before(network: TrainedNetwork, layer: str) -> dict[str, int]:
    before = network.backbone.names[: network.backbone.names.index(layer)]
    return {tap: grid for tap, grid in network.taps.items() if tap in before}


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
        self._backbone = (network.backbone,)  # not a part: nothing in it is to be touched
        self._name = layer
        self._taps = network.taps
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
            gradients = seen.gradients[0].numpy() if seen.gradients else None
            maps = self.get_cam_image(
                input_tensor,
                self.target_layers[0],
                targets,
                seen.activations[0].numpy(),
                gradients,
                eigen_smooth,
            )
            return np.maximum(maps, 0)

        def aggregate_multi_layers(self, cam_per_target_layer):
            return cam_per_target_layer

    return Unscaled
