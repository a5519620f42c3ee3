"""torchvision's GoogLeNet: a port of TensorFlow's, with BatchNorm and 3×3 in place of 5×5."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fer_lit.networks.architecture import Layer, Published

if TYPE_CHECKING:
    from fer_lit.networks.backbone import Backbone

CHANNELS = {
    "conv1": 64,
    "maxpool1": 64,
    "conv2": 64,
    "conv3": 192,
    "maxpool2": 192,
    "inception3a": 256,
    "inception3b": 480,
    "maxpool3": 480,
    "inception4a": 512,
    "inception4b": 512,
    "inception4c": 512,
    "inception4d": 528,
    "inception4e": 832,
    "maxpool4": 832,
    "inception5a": 832,
    "inception5b": 1024,
}
"""How many channels each block of either GoogLeNet puts out, in the order in which they run."""
STEM = tuple(CHANNELS)[:5]
"""What MATLAB's example of transfer learning with GoogLeNet freezes."""
_POOLING = Layer(kernel=3, stride=2, ceil=True)
LAYERS = {"conv1": [Layer(7, 2, 3)], **{f"maxpool{number}": [_POOLING] for number in range(1, 5)}}
"""The layers that change a map's size; all others are centred and keep it."""


@dataclass(frozen=True)
class GoogLeNet:
    """See `Architecture`."""

    name: ClassVar = "googlenet"
    channels: ClassVar = CHANNELS
    stem: ClassVar = STEM
    imagenet: ClassVar = Published(
        "googlenet-1378be20.pth",
        "sha256",
        "1378be20",
        "https://download.pytorch.org/models/googlenet-1378be20.pth",
        downloadable=True,
    )
    ignored: ClassVar = ("aux1.", "aux2.", "fc.")
    other_networks: ClassVar = {"conv1/7x7_s2.weight": "googlenet_caffe"}

    def layers(self, block: str) -> Sequence[Layer]:
        """Return the layers of a block that change a map's size."""
        own = {"maxpool4": [Layer(kernel=2, stride=2, ceil=True)]}
        return (LAYERS | own).get(block, ())

    def build(self) -> Backbone:
        """Return torchvision's network with untrained weights (torch's initialisation)."""
        from torchvision.models import googlenet

        from fer_lit.networks.backbone import Backbone
        from fer_lit.networks.preprocessing import TorchvisionPreprocessing

        network = googlenet(weights=None, aux_logits=False, init_weights=False)
        blocks = OrderedDict((name, getattr(network, name)) for name in CHANNELS)
        return Backbone(self, blocks, TorchvisionPreprocessing())

    def published_name(self, name: str) -> str:
        """Return the published name of a weight, which is its own."""
        return name
