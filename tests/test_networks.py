"""The two networks as lists of frozen blocks, against their references."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from helpers.backbones import BLOCKS, NETWORKS, build_backbone
from safetensors.torch import load_file
from torch import nn
from torchvision.models import GoogLeNet_Weights
from torchvision.models import googlenet as torchvision_googlenet

from fer_lit.networks.architecture import map_side
from fer_lit.networks.backbone import Backbone, moving_layers, pool
from fer_lit.networks.caffe_layers import LocalResponseNorm
from fer_lit.networks.googlenet import CHANNELS
from fer_lit.networks.preprocessing import CaffePreprocessing, TorchvisionPreprocessing


@pytest.fixture(scope="module", params=NETWORKS)
def backbone(request) -> Backbone:
    return build_backbone(request.param, None)


def grey(count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(3)) * 255


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.double() - wanted.double()).norm() / wanted.double().norm()).item()


@torch.inference_mode()
def test_the_caffe_network_reproduces_its_reference(shared):
    file = shared / "weights" / "bvlc_googlenet.safetensors"
    reference = load_file(shared / "weights" / "bvlc_googlenet_reference.safetensors")
    network = build_backbone("googlenet_caffe", str(file))

    images = reference["images_rgb_uint8"].float()
    pooled = pool(network(images, ["inception5b"])["inception5b"], 1).flatten(1)
    tensors = load_file(file)
    logits = nn.functional.linear(
        pooled, tensors["loss3/classifier.weight"], tensors["loss3/classifier.bias"]
    )

    assert relative_error(pooled, reference["pooled_features"]) < 1e-5
    assert relative_error(logits, reference["logits"]) < 1e-5


@torch.inference_mode()
def test_bfloat16_on_the_real_weights_is_close_to_float32(shared):
    file = shared / "weights" / "bvlc_googlenet.safetensors"
    images = load_file(shared / "weights" / "bvlc_googlenet_reference.safetensors")
    images = images["images_rgb_uint8"].float()
    network = build_backbone("googlenet_caffe", str(file)).to(memory_format=torch.channels_last)
    wanted = pool(network(images, ["inception5b"])["inception5b"], 1)
    with torch.autocast("cpu", torch.bfloat16):
        activation = network(images, ["inception5b"])["inception5b"]

    assert activation.dtype == torch.bfloat16
    assert activation.is_contiguous(memory_format=torch.channels_last)
    assert relative_error(pool(activation, 1), wanted) < 0.01


@torch.inference_mode()
def test_googlenet_equals_torchvisions_forward():
    ours = build_backbone("googlenet", None)
    theirs = torchvision_googlenet(weights=None, init_weights=False, aux_logits=False).eval()
    theirs.load_state_dict(ours.blocks.state_dict(), strict=False)
    seen = {}
    for name in BLOCKS:
        getattr(theirs, name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.__setitem__(name, output)
        )
    pixels = grey()
    theirs(ours.preprocessing(pixels))
    activations = ours(pixels, BLOCKS)
    for name in BLOCKS:
        assert torch.equal(activations[name], seen[name]), name


def test_googlenet_preprocesses_as_torchvision_does():
    pixels = torch.randint(0, 256, (2, 1, 40, 40), dtype=torch.uint8)
    transform = GoogLeNet_Weights.IMAGENET1K_V1.transforms(resize_size=40, crop_size=40)
    network = partial(torchvision_googlenet, weights=None, init_weights=False, aux_logits=False)
    wanted = network(transform_input=True)._transform_input(transform(pixels.expand(-1, 3, -1, -1)))
    torch.testing.assert_close(
        TorchvisionPreprocessing()(pixels.float()), wanted, rtol=0, atol=1e-6
    )


def test_the_caffe_network_gets_bgr_minus_the_mean():
    red, green, blue = 200.0, 100.0, 50.0
    rgb = torch.tensor([red, green, blue]).view(1, 3, 1, 1)
    wanted = torch.tensor([blue - 104, green - 117, red - 123]).view(1, 3, 1, 1)
    assert torch.equal(CaffePreprocessing()(rgb), wanted)
    wanted = torch.tensor([red - 104, red - 117, red - 123]).view(1, 3, 1, 1)
    assert torch.equal(CaffePreprocessing()(rgb[:, :1]), wanted)


def test_preprocessing_describes_itself():
    assert repr(CaffePreprocessing()) == "CaffePreprocessing(BGR, 0-255, minus (104, 117, 123))"
    assert repr(TorchvisionPreprocessing()) == "TorchvisionPreprocessing(RGB, 0-255 to -1-1)"


def test_local_response_norm_and_its_gradient_equal_torchs():
    x = (torch.randn(2, 64, 5, 5, dtype=torch.float64) * 300).requires_grad_()
    ours, theirs = LocalResponseNorm(64)(x), nn.LocalResponseNorm(5, 1e-4, 0.75, 1)(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    weights = torch.randn_like(x)
    gradients = [torch.autograd.grad(y, x, weights)[0] for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_local_response_norm_takes_large_numbers_in_half_precision(dtype):
    x = (torch.randn(2, 64, 5, 5) * 2000).relu()
    with torch.autocast("cpu", torch.bfloat16):
        y = LocalResponseNorm(64)(x.to(dtype))
    assert y.dtype == dtype
    assert relative_error(y, nn.LocalResponseNorm(5, 1e-4, 0.75, 1)(x)) < 0.01


@torch.inference_mode()
def test_resuming_after_any_block_equals_the_whole_pass(backbone):
    activations = backbone(grey(), BLOCKS)
    for block, later in pairwise(BLOCKS):
        resumed = backbone.resume(block, activations[block], {later, "inception5b"})
        assert list(resumed) == list(dict.fromkeys([later, "inception5b"]))
        assert torch.equal(resumed[later], activations[later]), block
        assert torch.equal(resumed["inception5b"], activations["inception5b"]), block


@torch.inference_mode()
@pytest.mark.parametrize("size", [33, 48, 65])
def test_blocks_give_the_channels_they_say_at_odd_sizes(backbone, size):
    activations = backbone(grey(1, size), BLOCKS)
    assert {name: x.shape[1] for name, x in activations.items()} == CHANNELS == backbone.channels
    assert all(x.isfinite().all() and x.std() > 0.1 for x in activations.values())


def test_gradients_reach_a_resumed_activation_through_frozen_blocks(backbone):
    with torch.no_grad():
        activation = backbone(grey(), ["conv1"])["conv1"]
    output = backbone.resume("conv1", activation.requires_grad_(), ["inception5b"])["inception5b"]
    (gradient,) = torch.autograd.grad(output.sum(), activation)
    assert gradient.isfinite().all() and gradient.abs().max() > 0


@torch.inference_mode()
def test_nothing_after_the_deepest_tap_is_computed(backbone):
    calls = []
    hooks = [
        backbone.blocks[name].register_forward_hook(lambda *_, name=name: calls.append(name))
        for name in BLOCKS
    ]
    try:
        backbone(grey(), ["maxpool2", "conv1"])
        assert calls == list(BLOCKS[: BLOCKS.index("maxpool2") + 1])
        calls.clear()
        backbone.resume("inception4a", torch.zeros(1, 512, 4, 4), ["inception4c"])
        assert calls == ["inception4b", "inception4c"]
        calls.clear()
        assert backbone(grey(), []) == {}
        assert calls == []
    finally:
        for hook in hooks:
            hook.remove()


def test_a_tap_that_is_not_ahead_is_refused(backbone):
    with pytest.raises(ValueError, match="inception9"):
        backbone(grey(), ["inception9"])
    with pytest.raises(ValueError, match="conv1"):
        backbone.resume("conv1", torch.zeros(1, 64, 4, 4), ["conv1"])


def test_frozen_is_frozen(backbone):
    before = backbone.digest()
    whole = nn.Sequential(backbone, nn.BatchNorm2d(1)).train()
    assert whole[1].training
    assert not any(module.training for module in backbone.modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    backbone(grey(), ["inception5b"])
    assert backbone.digest() == before


def test_the_digest_changes_with_one_bit_and_not_with_the_layout(backbone):
    before = backbone.digest()
    backbone.to(memory_format=torch.channels_last)
    assert backbone.digest() == before
    weight = next(backbone.blocks["inception4d"].parameters()).data
    bits = weight.view(torch.int32)
    bits[3, 5, 0, 0] ^= 1
    assert backbone.digest() != before
    bits[3, 5, 0, 0] ^= 1
    assert backbone.digest() == before


def test_pooling_averages_in_float32():
    activation = torch.tensor([[256.0, 1.0], [1.0, 1.0]], dtype=torch.bfloat16)[None, None]
    with torch.autocast("cpu", torch.bfloat16):
        pooled = pool(activation, 1)
    assert pooled.dtype == torch.float32
    assert pooled.item() == 64.75  # bfloat16 would give 64.5 or 65
    assert torch.equal(pool(activation, 2), activation.float())


def test_a_backbone_needs_all_blocks_in_order(backbone):
    blocks = dict(backbone.blocks.items())
    blocks["conv1"] = blocks.pop("conv1")
    with pytest.raises(ValueError, match="in this order"):
        Backbone(backbone.architecture, blocks, backbone.preprocessing)


@pytest.mark.parametrize(
    ("network", "block", "first", "step"),
    [
        # Even cells of inception5b would have their first centre at 16 of 224 pixels.
        ("googlenet_caffe", "inception5b", 16 + 14.5, 32),
        ("googlenet", "inception5b", 16 + 6.5, 32),
        ("googlenet", "inception4e", 14.5, 16),
        ("googlenet", "conv1", 0.5, 2),
    ],
)
def test_the_centres_of_the_cells_are_known(network, block, first, step):
    centres = build_backbone(network, None).centres(block, 224)
    assert len(centres) == map_side(NETWORKS[network], block, 224)
    assert centres[:2] == [first, first + step]


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_known_before_a_network_is_built_is_true_of_it(network):
    backbone = build_backbone(network, None)
    for name, block in backbone.blocks.items():
        assert moving_layers(block) == list(NETWORKS[network].layers(name)), name


@pytest.mark.parametrize("network", NETWORKS)
def test_a_cell_answers_to_pixels_around_its_centre(network):
    """The gradient of a cell in the middle of a map lies around its centre, on the whole."""
    torch.manual_seed(0)
    backbone = build_backbone(network, None)
    pixels = (torch.rand(4, 1, 160, 160) * 255).requires_grad_()
    activation = backbone(pixels, ["inception4a"])["inception4a"]
    activation[:, :, 4, 4].sum().backward()
    weight = pixels.grad.abs().sum(dim=(0, 1, 2))
    middle = float((weight * (torch.arange(160) + 0.5)).sum() / weight.sum())
    centre = backbone.centres("inception4a", 160)[4]
    assert abs(middle - centre) < 4  # a quarter of a cell
