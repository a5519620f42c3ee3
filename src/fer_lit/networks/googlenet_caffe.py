"""The original GoogLeNet, as published for Caffe.

Szegedy et al., "Going deeper with convolutions", CVPR 2015; the layers, their names and sizes are
those of `bvlc_googlenet/deploy.prototxt` of the Caffe reference models.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fer_lit.networks.architecture import Layer, Published
from fer_lit.networks.googlenet import CHANNELS, LAYERS, STEM

if TYPE_CHECKING:
    from fer_lit.networks.backbone import Backbone


@dataclass(frozen=True)
class GoogLeNetCaffe:
    """See `Architecture`."""

    name: ClassVar = "googlenet_caffe"
    channels: ClassVar = CHANNELS
    stem: ClassVar = STEM
    imagenet: ClassVar = Published(
        "bvlc_googlenet.caffemodel",
        "sha1",
        "405fc5acd08a3bb12de8ee5e23a96bec22f08204",
        "https://github.com/BVLC/caffe/tree/master/models/bvlc_googlenet",
        downloadable=False,
        content="761fafa48f64634a934e1bda857be9585ae721d99cdfa626c3107c2ff7bb735d",
    )
    ignored: ClassVar = ("loss1/", "loss2/", "loss3/")
    other_networks: ClassVar = {"conv1.conv.weight": "googlenet"}

    def layers(self, block: str) -> Sequence[Layer]:
        """Return the layers of a block that change a map's size."""
        return LAYERS.get(block, ())

    def build(self) -> Backbone:
        """Return the original network with untrained weights (torch's initialisation)."""
        from torch import nn

        from fer_lit.networks.backbone import Backbone
        from fer_lit.networks.caffe_layers import Inception, LocalResponseNorm, convolution, halved
        from fer_lit.networks.preprocessing import CaffePreprocessing

        blocks = OrderedDict(
            conv1=convolution("7x7_s2", nn.Conv2d(3, 64, 7, stride=2, padding=3)),
            maxpool1=nn.Sequential(halved(), LocalResponseNorm(64)),
            conv2=convolution("3x3_reduce", nn.Conv2d(64, 64, 1)),
            conv3=convolution("3x3", nn.Conv2d(64, 192, 3, padding=1)).append(
                LocalResponseNorm(192)
            ),
            maxpool2=halved(),
            inception3a=Inception(192, 64, (96, 128), (16, 32), 32),
            inception3b=Inception(256, 128, (128, 192), (32, 96), 64),
            maxpool3=halved(),
            inception4a=Inception(480, 192, (96, 208), (16, 48), 64),
            inception4b=Inception(512, 160, (112, 224), (24, 64), 64),
            inception4c=Inception(512, 128, (128, 256), (24, 64), 64),
            inception4d=Inception(512, 112, (144, 288), (32, 64), 64),
            inception4e=Inception(528, 256, (160, 320), (32, 128), 128),
            maxpool4=halved(),
            inception5a=Inception(832, 256, (160, 320), (32, 128), 128),
            inception5b=Inception(832, 384, (192, 384), (48, 128), 128),
        )
        return Backbone(self, blocks, CaffePreprocessing())

    def published_name(self, name: str) -> str:
        """Return the published name: `inception3a.3x3.bias` is `inception_3a/3x3.bias`."""
        block, layer = name.split(".", 1)
        group = "conv2" if block == "conv3" else block.replace("inception", "inception_")
        return f"{group}/{layer}"
