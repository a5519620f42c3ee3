"""Where on the face the cells of a map lie."""

import numpy as np
import pytest
import torch
from helpers.backbones import BLOCKS, NETWORKS, build_backbone
from helpers.maps import even
from torch import nn

from fer_lit.analysis.enlargement import enlarge, enlargement, row_shares
from fer_lit.analysis.networks import TrainedNetwork
from fer_lit.analysis.settings import SMALLEST_SIDE
from fer_lit.networks.reader import FrozenReader

PLANTED = (5, 15, 25, 35, 45)


def test_cells_that_tile_the_face_are_enlarged_as_by_torch():
    maps = np.random.default_rng(0).random((3, 7, 7))
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[None], (48, 48), mode="bilinear", align_corners=False
    )[0]
    np.testing.assert_allclose(enlarge(maps, even(7)), wanted, rtol=1e-12)


def test_between_centres_a_map_is_linear_and_beyond_them_constant():
    matrix = enlargement([10, 14, 40])
    np.testing.assert_allclose(matrix[11], [0.75, 0.25, 0])
    assert (matrix[:11] == [1, 0, 0]).all() and (matrix[40:] == [0, 0, 1]).all()
    np.testing.assert_allclose(row_shares(np.ones((3, 3)), [10, 14, 40]), 48)


def see_through(name: str) -> nn.Module:
    """Return a network that adds nothing: each of its convolutions averages its channels."""
    backbone = build_backbone(name, None)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            middle = module.kernel_size[0] // 2
            # Where it skips pixels it must look at all of them.
            seen = slice(None) if module.stride[0] > 1 else slice(middle, middle + 1)
            module.weight[:, :, seen, seen] = 1 / module.weight[0, :, seen, seen].numel()
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return backbone


@pytest.fixture(scope="module", params=NETWORKS)
def backbone(request):
    return see_through(request.param)


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 96, 112, 160, 224])
def test_a_bright_row_is_mapped_to_that_row(backbone, size):
    """Within half a cell and a row, in every block whose cells can tell bands apart."""
    faces = np.full((len(PLANTED) + 1, 48, 48), 128, np.uint8)
    faces[range(len(PLANTED)), PLANTED] = 255
    reader = FrozenReader(backbone, {}, torch.float32, torch.device("cpu"), size)
    network = TrainedNetwork(reader, nn.Identity())
    outputs = backbone(network.views(faces)(torch.arange(len(faces)), 0), BLOCKS)
    for block, output in outputs.items():
        maps = output.mean(dim=1).double().numpy()
        centres = np.array(network.centres(block))
        assert maps.shape[1:] == 2 * (len(centres),)
        if len(centres) >= SMALLEST_SIDE:
            for one, row in zip(maps[:-1] - maps[-1], PLANTED, strict=True):
                of_rows = one.sum(axis=1)
                highest = centres[of_rows > 0.999 * of_rows.max()]  # pooling makes some equal
                assert abs(highest.mean() - row) <= (centres[1] - centres[0]) / 2 + 1, block
