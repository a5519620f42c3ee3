"""The original GoogLeNet, as published for Caffe.

Szegedy et al., "Going deeper with convolutions", CVPR 2015; the layers, their names and sizes are
those of `bvlc_googlenet/deploy.prototxt` of the Caffe reference models.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from fer_lit.networks.backbone import Backbone

FIRST_WEIGHT = "conv1/7x7_s2.weight"
"""A name that only the published weights of this network have."""

IGNORED = ("loss1/", "loss2/", "loss3/")
"""Beginnings of the names, in the published weights, of the classifiers that are not used."""


class CaffePreprocessing(nn.Module):
    """Pixels of 0 to 255, (B, 1, H, W) grey or (B, 3, H, W) RGB, to BGR minus the ImageNet mean."""

    def __init__(self) -> None:
        super().__init__()
        mean = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Gives (B, 3, H, W), float32, about -123 to 151."""
        return x.flip(1) - self.mean

    def extra_repr(self) -> str:
        """What it does, for provenance."""
        return "BGR, 0-255, minus (104, 117, 123)"


class LocalResponseNorm(nn.Module):
    """`nn.LocalResponseNorm(5, 1e-4, 0.75, 1)`: x / (1 + 1e-4 / 5 * sum of 5 channels' x²)^0.75.

    The sum over neighbouring channels is a 1x1 convolution with a banded matrix, which is several
    times as fast on a CPU.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        index = torch.arange(channels)
        band = ((index[:, None] - index[None, :]).abs() <= 2).float()
        self.register_buffer("band", band[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (B, C, H, W); the same shape and type."""
        # Autocast would choose types operation by operation. Scaling before squaring keeps float16
        # from overflowing, as activations reach thousands. Two roots cost a tenth of a power.
        with torch.autocast(x.device.type, enabled=False):
            squares = (x * (1e-4 / 5) ** 0.5).square_()
            root = nn.functional.conv2d(squares, self.band.to(x.dtype)).add_(1).rsqrt_()
            return (root * root.sqrt()).mul_(x)


class Inception(nn.ModuleDict):
    """Four branches, concatenated: 1x1 | 3x3 | 5x5 | pooled and projected."""

    def __init__(
        self, channels: int, one: int, three: tuple[int, int], five: tuple[int, int], pooled: int
    ) -> None:
        super().__init__(
            {
                "1x1": nn.Conv2d(channels, one, 1),
                "3x3_reduce": nn.Conv2d(channels, three[0], 1),
                "3x3": nn.Conv2d(*three, 3, padding=1),
                "5x5_reduce": nn.Conv2d(channels, five[0], 1),
                "5x5": nn.Conv2d(*five, 5, padding=2),
                "pool_proj": nn.Conv2d(channels, pooled, 1),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (B, `channels`, H, W) to as many channels as the branches have together."""
        pooled = nn.functional.max_pool2d(x, 3, stride=1, padding=1)
        branches = (
            self._relu("1x1", x),
            self._relu("3x3", self._relu("3x3_reduce", x)),
            self._relu("5x5", self._relu("5x5_reduce", x)),
            self._relu("pool_proj", pooled),
        )
        return torch.cat(branches, 1)

    def _relu(self, layer: str, x: Tensor) -> Tensor:
        # Directly after its convolution, where a compiler makes one operation of both.
        return nn.functional.relu_(self[layer](x))


def googlenet_caffe() -> Backbone:
    """Builds the original network with untrained weights (torch's initialisation)."""
    blocks = OrderedDict(
        conv1=_convolution("7x7_s2", nn.Conv2d(3, 64, 7, stride=2, padding=3)),
        maxpool1=nn.Sequential(_halved(), LocalResponseNorm(64)),
        conv2=_convolution("3x3_reduce", nn.Conv2d(64, 64, 1)),
        conv3=_convolution("3x3", nn.Conv2d(64, 192, 3, padding=1)).append(LocalResponseNorm(192)),
        maxpool2=_halved(),
        inception3a=Inception(192, 64, (96, 128), (16, 32), 32),
        inception3b=Inception(256, 128, (128, 192), (32, 96), 64),
        maxpool3=_halved(),
        inception4a=Inception(480, 192, (96, 208), (16, 48), 64),
        inception4b=Inception(512, 160, (112, 224), (24, 64), 64),
        inception4c=Inception(512, 128, (128, 256), (24, 64), 64),
        inception4d=Inception(512, 112, (144, 288), (32, 64), 64),
        inception4e=Inception(528, 256, (160, 320), (32, 128), 128),
        maxpool4=_halved(),
        inception5a=Inception(832, 256, (160, 320), (32, 128), 128),
        inception5b=Inception(832, 384, (192, 384), (48, 128), 128),
    )
    return Backbone(blocks, CaffePreprocessing())


def published_name(name: str) -> str:
    """The published name of a weight: `inception3a.3x3.bias` is `inception_3a/3x3.bias`."""
    block, layer = name.split(".", 1)
    group = "conv2" if block == "conv3" else block.replace("inception", "inception_")
    return f"{group}/{layer}"


def _convolution(name: str, convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(OrderedDict([(name, convolution), ("relu", nn.ReLU(inplace=True))]))


def _halved() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)
