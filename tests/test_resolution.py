"""How finely maps can tell places of the face apart."""

import numpy as np
import pytest
import torch
from helpers.backbones import build_backbone
from torch import nn

from fer_lit.analysis.networks import TrainedNetwork
from fer_lit.analysis.resolution import blur
from fer_lit.networks.reader import FrozenReader


@pytest.fixture(scope="module")
def backbone():
    """A network whose first block sums seven by seven pixels, which is known by hand."""
    backbone = build_backbone("googlenet_caffe", None)
    convolution = backbone.blocks["conv1"][0]
    nn.init.ones_(convolution.weight)
    nn.init.constant_(convolution.bias, 1e6)  # which no ReLU cuts off
    return backbone


def network(backbone, size) -> TrainedNetwork:
    reader = FrozenReader(backbone, {}, torch.float32, torch.device("cpu"), size)
    return TrainedNetwork(reader, nn.Identity())


def test_the_blur_of_a_sum_of_seven_rows_is_two(backbone):
    """Seven equal energies have a standard deviation of 2 pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 48), np.uint8)
    assert blur(network(backbone, 48), "conv1", pixels) == pytest.approx(2)
    assert blur(network(backbone, 96), "conv1", pixels) == pytest.approx(1)


def test_deeper_blocks_see_more_of_the_face(backbone):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 48), np.uint8)
    trained = network(backbone, 64)
    spreads = [blur(trained, block, pixels) for block in ("conv1", "inception3a", "inception4c")]
    assert spreads == sorted(spreads) and 3 < spreads[-1] < 14  # all rows alike would be 13.9
