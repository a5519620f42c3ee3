"""The networks by name, with random weights or those of a file."""

from __future__ import annotations

from typing import Any

from torch import nn

from fer_lit.networks import weights as weights_module
from fer_lit.networks.backbone import Backbone
from fer_lit.networks.googlenet import CHANNELS, GoogLeNet
from fer_lit.networks.googlenet_caffe import GoogLeNetCaffe
from fer_lit.networks.head import Perceptron

NETWORKS = {"googlenet": GoogLeNet(), "googlenet_caffe": GoogLeNetCaffe()}
BLOCKS = tuple(CHANNELS)
"""Those of either network."""


def build_backbone(network: str, weights: str | None, **options: Any) -> Backbone:
    """Return a network: see `weights.build_backbone`."""
    return weights_module.build_backbone(NETWORKS[network], weights, **options)


def published_name(name: str) -> str:
    """Return the name of a weight in the Caffe network's published file."""
    return NETWORKS["googlenet_caffe"].published_name(name)


def linear_head(features: int, classes: int, dropout: float = 0.0) -> nn.Module:
    """Return a linear head."""
    return Perceptron(dropout, hidden=None).build(features, classes)


def mlp_head(features: int, classes: int, dropout: float, hidden: int) -> nn.Module:
    """Return a head with a hidden layer."""
    return Perceptron(dropout, hidden).build(features, classes)
