"""The checks of the maps, each where its outcome is known: passed, and failed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.backbones import build_backbone, linear_head, mlp_head
from helpers.configs import changed
from helpers.figures import assert_readable
from omegaconf import OmegaConf
from pytorch_grad_cam.metrics.road import ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch.optim.swa_utils import update_bn

from fer_lit.analysis.cam import MapSettings, map_faces
from fer_lit.analysis.chapter import FAILED, PASSED
from fer_lit.analysis.chapters.trust import summary
from fer_lit.analysis.checks import cascade as cascades
from fer_lit.analysis.checks import removal
from fer_lit.analysis.checks.cascade import cascade, check_cascade, draw_cascade
from fer_lit.analysis.checks.drawn_faces import check_drawn_faces
from fer_lit.analysis.checks.knowledge import check_knowledge
from fer_lit.analysis.checks.likeness import check_random_heads
from fer_lit.analysis.checks.passes import FromFaces
from fer_lit.analysis.checks.removal import blob, check_removal
from fer_lit.analysis.checks.retraining import check_reproducibility, trains_long
from fer_lit.analysis.checks.subject import Subject
from fer_lit.analysis.networks import TrainedNetwork
from fer_lit.networks.reader import FrozenReader
from fer_lit.networks.weights import calibrate_batch_norm
from fer_lit.runs.predictions import prediction_frame

RANDOM = np.random.default_rng(0)
MAPS = RANDOM.random((20, 6, 6))
NOISE = RANDOM.integers(0, 256, (12, 48, 48), np.uint8)


def test_maps_turned_upside_down_by_half_of_the_random_heads_are_no_other_maps():
    """Their signed correlations average to zero, as those of random heads do by symmetry."""
    assert check_random_heads(MAPS, [MAPS, -MAPS], seed=0)["verdict"] == "fail"
    others = [RANDOM.random(MAPS.shape) for _ in range(2)]
    found = check_random_heads(MAPS, others, seed=0)
    # Of 36 cells that have nothing to do with each other |ρ| is √(2 / 35π) on average.
    assert found["verdict"] == "pass" and found["value"] == pytest.approx(0.135, abs=0.04)


def test_a_head_that_is_trained_once_more_must_come_to_the_same_maps():
    slightly = MAPS + 0.1 * RANDOM.random(MAPS.shape)
    assert check_reproducibility(MAPS, slightly, seed=0)["verdict"] == "pass"
    assert check_reproducibility(MAPS, RANDOM.permuted(MAPS, axis=2), 0)["verdict"] == "fail"
    assert check_reproducibility(MAPS, -MAPS, seed=0)["value"] == pytest.approx(-1)


def predictions(*right: int) -> pd.DataFrame:
    """Ten faces of each emotion, so many of which are recognised."""
    labels = np.repeat(np.arange(len(right)), 10)
    predicted = np.concatenate([np.full(10, label) for label in range(len(right))])
    for label, count in enumerate(right):
        predicted[10 * label + count : 10 * label + 10] = (label + 1) % len(right)
    probabilities = np.eye(len(right))[predicted]
    return prediction_frame(list(map(str, range(len(labels)))), labels, probabilities, "abc")


def test_a_network_that_always_says_the_same_knows_nothing():
    found = check_knowledge(predictions(10, 0, 0), seed=0)
    assert found["verdict"] == "fail" and found["value"] == pytest.approx(1 / 3)
    frequent = pd.concat([predictions(10, 0, 0), *[predictions(10, 0, 0)[:10]] * 9])
    assert frequent["right"].mean() > 0.8
    found = check_knowledge(frequent, seed=0)
    assert found["verdict"] == "fail" and found["value"] == pytest.approx(1 / 3)


def test_the_interval_of_what_is_known_is_over_the_faces_of_each_emotion():
    found = check_knowledge(predictions(8, 8, 5), seed=0)
    deviation = np.sqrt(2 * 0.8 * 0.2 / 10 + 0.25 / 10) / 3
    assert found["verdict"] == "pass" and found["faces"] == 30
    assert found["to"] - found["from"] == pytest.approx(2 * 1.96 * deviation, rel=0.08)


def network(name="googlenet_caffe", taps=None, size=64, hidden=None) -> TrainedNetwork:
    """A random network, whose statistics are those of `NOISE`."""
    taps = taps or {"inception4a": 1}
    backbone = build_backbone(name, None)
    trained = TrainedNetwork(FrozenReader(backbone, taps, torch.float32, CPU, size), None)
    calibrate_batch_norm(backbone, trained.views(NOISE)(torch.arange(len(NOISE)), 0))
    features = backbone.numbers(taps)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = mlp_head(features, 3, 0.5, hidden) if hidden else linear_head(features, 3)
        update_bn([trained.features(NOISE)], head)
    return trained.with_head(head)


CPU = torch.device("cpu")


def subject(trained: TrainedNetwork, layer: str, pixels=NOISE) -> Subject:
    labels = np.arange(len(pixels)) % 3
    return Subject(trained, pixels, labels, MapSettings(layer, "hirescam", "label", "logit"), 0)


def own_maps(one: Subject) -> np.ndarray:
    return map_faces([one.network], one.pixels, one.labels, one.settings)[0]


@pytest.mark.parametrize(
    ("name", "taps", "layer", "hidden"),
    [
        ("googlenet_caffe", {"inception4a": 1}, "inception4a", None),
        ("googlenet", {"inception4a": 1, "maxpool2": 2}, "inception3a", 8),
    ],
)
def test_a_randomised_backbone_has_other_maps_and_is_a_copy(name, taps, layer, hidden):
    one = subject(network(name, taps, hidden=hidden), layer)
    backbone = one.network.reader.backbone
    before = backbone.digest()
    stages = cascade(one, own_maps(one))
    assert backbone.digest() == before and not any(p.requires_grad for p in backbone.parameters())
    assert [stage["block"] for stage in stages] == [
        *("inception4a", "inception3b", "inception3a", "conv3", "conv2", "conv1")
    ]
    assert [stage["randomised"] for stage in stages] == list(range(1, 7))
    assert all(stage["faces"] >= 4 for stage in stages)  # the others are zero by their labels
    found = check_cascade(stages)
    assert found["verdict"] == "pass" and found["value"] == stages[-1]["value"]
    table = pd.DataFrame(stages).assign(condition="none")
    shorter = table[1:].assign(condition="eyes lr=0.003")
    figure = draw_cascade(pd.concat([table, shorter]))
    assert_readable(figure)
    assert [line.get_xdata()[0] for line in figure.axes[0].lines[:2]] == [0, 1]


def test_random_blocks_have_statistics_of_what_they_are_given():
    one = subject(network("googlenet"), "inception4a")
    stages = cascades._Stages(one)
    stages.maps("inception4a")
    given = one.network.reader.backbone(stages._pixels, ["maxpool3"])["maxpool3"]
    branch = stages._partly.blocks["inception4a"].branch1
    wanted = branch.conv(given).mean(dim=(0, 2, 3))
    torch.testing.assert_close(branch.bn.running_mean, wanted, rtol=1e-3, atol=1e-3)
    assert wanted.abs().max() > 0.1


def test_maps_that_random_weights_do_not_move_fail(monkeypatch):
    """Here the weights that take the place of the trained ones are the same."""
    monkeypatch.setattr(
        cascades, "build_backbone", lambda *_, **__: build_backbone("googlenet_caffe", None)
    )
    one = subject(network(taps={"inception3a": 2}), "inception3a")
    stages = cascade(one, own_maps(one))
    assert [stage["value"] for stage in stages] == pytest.approx([1] * 4, abs=1e-3)
    assert check_cascade(stages)["verdict"] == "fail"


def looking_at_the_mouth() -> TrainedNetwork:
    """A network that says 1 where rows 31 to 38 are bright and 0 where they are dark."""
    trained = network(taps={"conv1": 24}, size=48)
    convolution = trained.reader.backbone.blocks["conv1"][0]
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.bias.zero_()
        convolution.weight[0, 0, 3, 3] = 1  # blue, from which the preprocessing takes 104
        convolution.bias[0] = 104
        trained.head.standardise.running_mean.fill_(127)
        trained.head.standardise.running_var.fill_(127**2)
        weights = torch.zeros(3, 64, 24, 24)
        weights[1, 0, 16:19], weights[0, 0, 16:19] = 0.03, -0.03
        trained.head.linear.weight.copy_(weights.flatten(1))
        trained.head.linear.bias.copy_(torch.tensor([0.0, 0.0, -9.0]))
    return trained


@pytest.fixture
def mouths() -> Subject:
    faces = np.random.default_rng(1).integers(0, 256, (30, 48, 48), np.uint8)
    faces[::2, 31:39], faces[1::2, 31:39] = 20, 235
    settings = MapSettings("conv1", "hirescam", "label", "logit")
    return Subject(looking_at_the_mouth(), faces, np.arange(30) % 2, settings, 0)


def test_what_a_map_points_to_must_matter_more_than_what_others_do(mouths, monkeypatch):
    monkeypatch.setattr(removal, "PHOTOGRAPHS", 12)
    own = np.zeros((30, 24, 24))
    own[:, 15:20] = 1
    elsewhere = [np.roll(own, shift, axis=1) for shift in (5, -10)]
    found = check_removal(mouths, own, elsewhere)
    assert list(found) == ["deletion", "insertion", "ROAD combined"]
    for row in found.values():
        assert row["verdict"] == "pass" and row["faces"] == removal.PHOTOGRAPHS
        differences = [row["own map"] - row[control] for control in ("random head", "blob")]
        assert row["value"] == pytest.approx(min(differences), abs=1e-5)


@pytest.mark.parametrize("own", ["elsewhere", "blob"])
def test_to_beat_one_of_the_controls_is_not_enough(mouths, own, monkeypatch):
    monkeypatch.setattr(removal, "PHOTOGRAPHS", 8)
    mouth = np.zeros((30, 24, 24))
    mouth[:, 15:20] = 1
    elsewhere = np.roll(mouth, -10, axis=1)
    middle = np.broadcast_to(blob()[::2, ::2], mouth.shape)
    found = {
        "elsewhere": lambda: check_removal(mouths, elsewhere, [mouth]),
        "blob": lambda: check_removal(mouths, middle, [elsewhere]),
    }[own]()
    assert {row["verdict"] for row in found.values()} == {"fail"}


def test_road_combined_is_the_librarys(mouths, monkeypatch):
    few = mouths.only(np.arange(4))
    maps = np.zeros((1, 4, 48, 48))
    maps[:, :, 28:42] = 1
    maps += 0.1 * np.random.default_rng(2).random(maps.shape)
    monkeypatch.setattr(removal, "_ranks", lambda one, random: one)
    measured = removal._measures(few, list(maps))["ROAD combined"]
    road = ROADCombined(percentiles=list(removal.PERCENTILES))
    targets = [ClassifierOutputSoftmaxTarget(int(label)) for label in few.labels]
    faces = torch.from_numpy(few.pixels)[:, None].float()
    with pytest.warns(DeprecationWarning, match="__array_wrap__"):
        wanted = road(faces, maps[0], targets, FromFaces(few.network, "conv1"))
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(measured[0], wanted, atol=1e-4)  # a little noise is filled in


def test_a_single_photograph_is_not_judged(mouths):
    one = mouths.only(np.arange(1))
    found = check_removal(one, np.ones((1, 24, 24)), [np.ones((1, 24, 24))])
    assert {row["verdict"] for row in found.values()} == {
        "not applicable: a single photograph is held out"
    }


def drawn(name: str, taps: dict[str, int], classes=("angry", "happy", "neutral")):
    """Networks as far as a check of drawn faces looks at them."""
    trained = network(name, taps)
    taps = [f"{tap}/{grid}" for tap, grid in taps.items()]
    cfg = changed("data.image_size=64", "model.weights=some.pth", f"model.taps=[{taps[0]}]")
    condition = SimpleNamespace(runs={0: SimpleNamespace(config=cfg)})
    return SimpleNamespace(
        trained={("none", 0): trained},
        selection=SimpleNamespace(conditions={"none": condition}),
        faces=SimpleNamespace(classes=classes),
        device=CPU,
    )


def test_a_new_head_that_reads_places_finds_the_mouth_of_drawn_faces():
    settings = MapSettings("maxpool1", "hirescam", "predicted", "logit")
    state = torch.get_rng_state()
    found = check_drawn_faces(drawn("googlenet", {"maxpool1": 8}), settings, seed=0)
    assert found["verdict"] == "pass" and found["faces"] == 240
    assert torch.equal(torch.get_rng_state(), state)


def test_emotions_that_cannot_be_drawn_are_not_checked():
    settings = MapSettings("maxpool1", "hirescam", "label", "logit")
    found = check_drawn_faces(drawn("googlenet", {"maxpool1": 8}, ["bored", "happy"]), settings, 0)
    assert "no face can be drawn for 'bored'" in found["verdict"]


@pytest.mark.parametrize(
    ("head", "faces", "epochs", "long"),
    [
        (linear_head(4096, 3), 1_050, 30, False),
        (linear_head(1024, 3), 12_700, 30, True),
        (linear_head(1024, 3), 12_700, 10, False),
        (mlp_head(1024, 3, 0.5, hidden=512), 12_700, 3, True),
    ],
)
def test_how_long_a_head_takes_to_train(head, faces, epochs, long):
    cfg = OmegaConf.create({"trainer": {"max_epochs": epochs}})
    run = SimpleNamespace(faces={"train": faces}, config=cfg)
    networks = SimpleNamespace(
        trained={("none", 0): SimpleNamespace(head=head)},
        selection=SimpleNamespace(conditions={"none": SimpleNamespace(runs={0: run})}),
    )
    assert trains_long(networks, [("none", 0)]) is long


def test_failed_checks_are_named_before_all_else():
    rows = [
        {"check": "deletion", "condition": "eyes", "verdict": "fail"},
        {"check": "deletion", "condition": "nose", "verdict": "fail"},
        {"check": "insertion", "condition": "eyes", "verdict": "pass"},
        {"check": "drawn faces", "condition": None, "verdict": "fail"},
    ]
    (said,) = summary(pd.DataFrame(rows))
    assert said.verdict == FAILED
    assert said.text.endswith(": deletion (under eyes, nose); drawn faces.")
    (said,) = summary(pd.DataFrame(rows[2:3]))
    assert said.verdict == PASSED
    assert not summary(pd.DataFrame([{**rows[0], "verdict": "not applicable: …"}]))
