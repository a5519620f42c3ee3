"""Attention maps: known ones, and those of pytorch-grad-cam used plainly."""

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from helpers.backbones import build_backbone, linear_head, mlp_head
from omegaconf import OmegaConf
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import nn

from fer_lit.analysis.cam import MapMaker, MapSettings, trunk
from fer_lit.analysis.checks.likeness import with_random_head
from fer_lit.analysis.networks import TrainedNetwork
from fer_lit.analysis.settings import (
    choose_layer,
    choose_settings,
    describe,
    map_settings,
    notes_on_method,
)
from fer_lit.cli.analyze import METHODS
from fer_lit.errors import ConfigError
from fer_lit.networks.backbone import pool
from fer_lit.networks.reader import FrozenReader, extract_features
from fer_lit.networks.weights import calibrate_batch_norm

CFG = OmegaConf.create({"layer": "auto", "method": "auto", "target": "label", "score": "logit"})
SEVERAL = {"inception4b": 2, "inception3b": 1, "inception5a": 1}


def pixels(count=4, size=64):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0)) * 255


def network(name="googlenet_caffe", taps=None, size=64, backbone=None) -> TrainedNetwork:
    """A random network whose head has seen the features' means and deviations."""
    taps = taps or {"inception5b": 1}
    if backbone is None:
        backbone = build_backbone(name, None)
        calibrate_batch_norm(backbone, pixels(size=size))
    features = extract_features(backbone, pixels(size=size), taps, torch.float32)
    flat = torch.cat([values.flatten(1) for values in features.values()], dim=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = linear_head(flat.shape[1], 3, dropout=0.5)
    head.standardise.running_mean.copy_(flat.mean(0))
    head.standardise.running_var.copy_(flat.var(0) + 1e-4)
    head.requires_grad_(False).eval()
    reader = FrozenReader(backbone, taps, torch.float32, torch.device("cpu"), size)
    return TrainedNetwork(reader, head)


def maps(trained, settings, labels, count=4):
    tapped = trunk(trained, settings.layer)(pixels(count, trained.reader.image_size))
    return MapMaker(trained, settings)(tapped, labels)


class Whole(nn.Module):
    """The whole network, with something that requires gradients in front of it."""

    def __init__(self, trained):
        super().__init__()
        self.trained = trained
        self.backbone, self.head = trained.reader.backbone, trained.head

    def forward(self, x):
        taps = self.trained.reader.taps
        read = self.backbone(x.clone().requires_grad_(), taps)
        return self.head({tap: pool(read[tap], grid) for tap, grid in taps.items()})


def above_average(label):
    return lambda logits: logits[label] - logits.sum() / len(logits)


@pytest.fixture(scope="module", params=["googlenet", "googlenet_caffe"])
def several_taps(request):
    return network(request.param, SEVERAL)


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("layer", ["inception4b", "inception5a"])
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_those_of_pytorch_grad_cam_through_the_whole_network(
    several_taps, layer, method, score
):
    labels = torch.tensor([0, 2, 1, 1])
    found = maps(several_taps, MapSettings(layer, method, "label", score), labels)
    target = {"logit": above_average, "probability": ClassifierOutputSoftmaxTarget}[score]
    plain = getattr(pytorch_grad_cam, METHODS[method])(
        Whole(several_taps), [several_taps.reader.backbone.blocks[layer]]
    )
    wanted = plain(pixels(), [target(int(label)) for label in labels])
    # Plainly used, the library scales twice: the small map, then the enlarged one.
    enlarged = scale_cam_image(scale_cam_image(found, (64, 64)))
    assert np.linalg.norm(enlarged - wanted) < 1e-4 * np.linalg.norm(wanted)
    assert found.shape[0] == 4
    assert found.max() > 0


def looking_at_brightness(*weights) -> TrainedNetwork:
    """A network that can be followed by hand.

    Channel 0 of its first block is the brightness of every other pixel, and the head's logits are
    that channel's mean, times the weights.
    """
    backbone = build_backbone("googlenet_caffe", None)
    convolution = backbone.blocks["conv1"][0]
    convolution.weight.zero_()
    convolution.bias.zero_()
    convolution.weight[0, 0, 3, 3] = 1  # blue, from which the preprocessing takes 104
    convolution.bias[0] = 104
    trained = network(taps={"conv1": 1}, size=32, backbone=backbone)
    head = trained.head
    head.standardise.running_mean.zero_()
    head.standardise.running_var.fill_(1 - head.standardise.eps)
    head.linear.weight.zero_()
    head.linear.weight[:, 0] = torch.tensor(weights)
    head.linear.bias.zero_()
    return trained


def test_a_map_that_is_known_exactly():
    trained = looking_at_brightness(2.0, -1.0, 0.8)  # 0.6 on average
    settings = MapSettings("conv1", "gradcam", "label", "logit")
    found = maps(trained, settings, torch.tensor([0, 1, 2]), count=3)
    brightness = pixels(3, 32)[:, 0, ::2, ::2].numpy()
    cells = 16 * 16
    np.testing.assert_allclose(found[0], 1.4 / cells * brightness[0], rtol=1e-5)
    assert not found[1].any()  # a negative weight, and the ReLU
    np.testing.assert_allclose(found[2], 0.2 / cells * brightness[2], rtol=1e-5)


@pytest.mark.parametrize("hidden", [None, 8])
@pytest.mark.parametrize("method", METHODS)
def test_what_all_emotions_share_in_the_last_layer_moves_no_map(method, hidden):
    """Nor does it move a probability, so that no label ever teaches it."""
    trained = network(taps={"inception3a": 1})
    if hidden:
        trained = trained.with_head(mlp_head(256, 3, dropout=0.0, hidden=hidden))
    read = trained.features(pixels()[:, 0].to(torch.uint8).numpy())
    last = [module for module in trained.head.modules() if isinstance(module, nn.Linear)][-1]
    before = maps(trained, of_labels("inception3a", method), torch.tensor([0, 1, 2, 0]))
    logits, probabilities = trained.head(read), trained.probabilities(read)
    last.weight += 5 * torch.randn(last.weight.shape[1], generator=torch.manual_seed(2))
    assert (trained.head(read) - logits).abs().min() > 0.1
    torch.testing.assert_close(trained.probabilities(read), probabilities, rtol=0, atol=1e-4)
    after = maps(trained, of_labels("inception3a", method), torch.tensor([0, 1, 2, 0]))
    assert before.max() > 0
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-3 * before.max())


def of_labels(layer, method="gradcam", score="logit"):
    return MapSettings(layer, method, "label", score)


def test_a_probability_is_differentiated_through_the_softmax():
    weights = torch.tensor([0.02, -0.01, 0.005])
    trained = looking_at_brightness(*weights)
    settings = MapSettings("conv1", "gradcam", "label", "probability")
    found = maps(trained, settings, torch.tensor([0]), count=1)
    brightness = pixels(1, 32)[0, 0, ::2, ::2]
    p = (weights * brightness.mean()).softmax(0)
    slope = p[0] * (weights[0] - (p * weights).sum()) / (16 * 16)
    np.testing.assert_allclose(found[0], slope * brightness, rtol=1e-4)


def test_the_predicted_emotion_is_explained_if_asked():
    trained = looking_at_brightness(-1.0, 2.0, 0.0)  # emotion 1 for every face
    of_label = maps(
        trained, MapSettings("conv1", "gradcam", "label", "logit"), torch.tensor([0, 1]), 2
    )
    predicted = maps(
        trained, MapSettings("conv1", "gradcam", "predicted", "logit"), torch.tensor([0, 1]), 2
    )
    assert not of_label[0].any()
    assert predicted[0].any()
    np.testing.assert_array_equal(of_label[1], predicted[1])


def test_nothing_of_the_network_changes():
    trained = network()
    digest = trained.reader.backbone.digest()
    before = {name: value.clone() for name, value in trained.head.state_dict().items()}
    maps(trained, MapSettings("inception5b", "gradcam", "label", "logit"), torch.tensor([0] * 4))
    assert trained.reader.backbone.digest() == digest
    assert all(parameter.grad is None for parameter in trained.reader.backbone.parameters())
    assert all((value == before[name]).all() for name, value in trained.head.state_dict().items())


def test_methods_that_average_over_places_are_warned_of_where_places_are_told_apart():
    pooled, in_place = network(size=224), network(taps={"inception3b": 2})
    for settings, networks in (
        (of_labels("inception5b"), [pooled]),
        (of_labels("inception3b", "hirescam"), [in_place]),
    ):
        assert notes_on_method(settings, networks) == []
    for settings, networks in (
        (of_labels("inception4e"), [pooled]),
        (of_labels("inception3b", "gradcam++"), [in_place]),
    ):
        (note,) = notes_on_method(settings, networks)
        assert "method=hirescam" in note


def test_a_random_head_keeps_nothing_that_was_learnt_but_how_to_standardise():
    trained = network()
    head = mlp_head(1024, 3, dropout=0.5, hidden=8)
    head.train()({"inception5b": torch.rand(16, 1024, 1, 1)})
    torch.nn.init.constant_(head.layers[2].weight, 7.0)
    random = with_random_head(trained.with_head(head), seed=0).head
    assert torch.equal(random.standardise.running_mean, head.standardise.running_mean)
    fresh = nn.BatchNorm1d(8).state_dict()
    assert all(
        torch.equal(value, fresh[name]) for name, value in random.layers[2].state_dict().items()
    )
    assert not torch.equal(random.layers[1].weight, head.layers[1].weight)


@pytest.mark.parametrize(
    ("taps", "size", "layer", "method"),
    [
        ({"inception5b": 1}, 224, "inception5b", "gradcam"),
        ({"inception5b": 1}, 160, "inception5b", "gradcam"),
        ({"inception5b": 1}, 112, "inception4e", "hirescam"),  # the last block has 3×3 cells
        ({"inception5b": 1}, 64, "inception3b", "hirescam"),
        ({"inception5b": 3}, 224, "inception5b", "hirescam"),
        ({"inception5b": 1, "inception3b": 4, "inception4b": 4}, 112, "inception3b", "hirescam"),
        ({"inception5b": 1, "inception4b": 1}, 224, "inception4b", "hirescam"),
    ],
)
def test_block_and_method_follow_from_what_the_head_reads(taps, size, layer, method):
    networks = [network(taps=taps, size=size)]
    assert choose_settings(CFG, networks) == of_labels(layer, method)
    assert map_settings(CFG, networks)[1] == []


def test_what_is_asked_for_is_done():
    networks = [network(taps={"inception4b": 1, "inception3b": 1}, size=96)]
    cfg = OmegaConf.merge(CFG, {"layer": "inception3a", "method": "layercam"})
    assert choose_settings(cfg, networks) == MapSettings(
        "inception3a", "layercam", "label", "logit"
    )


def test_it_is_said_why_that_block():
    several = [network(taps={"inception5b": 1, "inception3b": 4}, size=112)]
    assert describe(of_labels("inception3b", "hirescam"), several) == (
        "hirescam of inception3b (14×14 cells), the shallowest block that the heads read; what "
        "follows tells its places apart"
    )
    assert "(3×3 cells), which leaves out what the heads read of inception3b" in describe(
        of_labels("inception5b"), several
    )
    small = [network(size=112)]
    assert "(7×7 cells), before inception5b (3×3), the shallowest block" in describe(
        of_labels("inception4e"), small
    )
    assert describe(of_labels("inception5b"), [network(size=224)]).endswith(
        "the heads read its averages alone"
    )


def test_a_map_too_small_for_the_bands_is_refused():
    message = r"layer=inception4a: its map of 4×4 cells .* apart; layer=inception3b can"
    with pytest.raises(ConfigError, match=message):
        choose_layer("inception4a", [network()])


def test_a_layer_that_the_head_does_not_read_is_refused():
    with pytest.raises(ConfigError, match="layer=inception5b: the head reads nothing after incep"):
        choose_layer("inception5b", [network(taps={"inception3b": 1})])


def test_runs_of_several_heads_are_mapped_where_all_of_them_read():
    early, late = network(taps={"conv3": 1}), network(taps={"inception3b": 1})
    assert choose_layer("auto", [late, early]) == "conv3"
    assert choose_layer("conv3", [early, late]) == "conv3"


def test_runs_whose_maps_cannot_stand_side_by_side_are_refused():
    small, large = network(), network(size=96)
    with pytest.raises(ConfigError, match="layer=conv3: the runs' maps have different sizes"):
        choose_layer("conv3", [small, large])
    with pytest.raises(ConfigError, match="; analyse the sweeps one at a time"):
        choose_layer("auto", [small, large])


def test_without_a_layer_that_fits_there_are_no_maps_and_no_error_unless_it_was_asked_for():
    networks = [network(), network(size=96)]
    settings, (note,) = map_settings(CFG, networks)
    assert settings is None
    assert note.startswith("there are no maps: layer: up to inception5b, no block has maps of one")
    with pytest.raises(ConfigError, match="layer=conv3"):
        map_settings(OmegaConf.merge(CFG, {"layer": "conv3"}), networks)
