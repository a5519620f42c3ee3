"""torchvision's GoogLeNet: a port of TensorFlow's, with BatchNorm and 3x3 in place of 5x5."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.models import googlenet as torchvision_googlenet

from fer_lit.networks.backbone import Backbone
from fer_lit.networks.blocks import BLOCKS

FIRST_WEIGHT = "conv1.conv.weight"
"""A name that only the published weights of this network have."""

IGNORED = ("aux1.", "aux2.", "fc.")
"""Beginnings of the names, in the published weights, of the classifiers that are not used."""


class TorchvisionPreprocessing(nn.Module):
    """Pixels of 0 to 255, (B, 1, H, W) grey or (B, 3, H, W) RGB, to RGB of -1 to 1.

    This is what torchvision's normalisation by ImageNet's mean and deviation followed by the
    network's own `transform_input` come to.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Gives (B, 3, H, W), float32."""
        return (x / 127.5 - 1).expand(-1, 3, -1, -1)

    def extra_repr(self) -> str:
        """What it does, for provenance."""
        return "RGB, 0-255 to -1-1"


def googlenet() -> Backbone:
    """Builds torchvision's network with untrained weights (torch's initialisation)."""
    network = torchvision_googlenet(weights=None, aux_logits=False, init_weights=False)
    blocks = OrderedDict((name, getattr(network, name)) for name in BLOCKS)
    return Backbone(blocks, TorchvisionPreprocessing())


def published_name(name: str) -> str:
    """The published name of a weight, which is its own."""
    return name
