"""Training more than the head: which blocks change, how fast, and what is kept of them."""

import numpy as np
import pytest
import torch
from helpers import fitting
from helpers.backbones import BLOCKS, NETWORKS, build_backbone
from helpers.command import only
from helpers.fitting import CLASSES, described, drawn_faces
from helpers.warm import train
from safetensors.torch import save_file
from torch import nn

from fer_lit.analysis.cam import MapSettings
from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.transfer import transfer_table
from fer_lit.analysis.enlargement import row_shares, scale
from fer_lit.analysis.maps import map_photographs
from fer_lit.analysis.networks import gather
from fer_lit.analysis.selection import select_runs
from fer_lit.classifier import EmotionClassifier
from fer_lit.errors import ConfigError
from fer_lit.faces.occlusion import occlude
from fer_lit.networks.architecture import trained_blocks
from fer_lit.networks.backbone import pool
from fer_lit.networks.parameter_groups import parameter_groups
from fer_lit.networks.reader import extract_features
from fer_lit.networks.weights import calibrate_batch_norm
from fer_lit.runs.predictions import probability_columns
from fer_lit.runs.reading import read_run

pytestmark = fitting.QUIET


def classifier(data=None, **changes) -> EmotionClassifier:
    """A random network that stays frozen up to its stem, with statistics of `data`."""
    options = {
        "network": "googlenet",
        "weights": None,
        "taps": ["inception3b/1"],
        "classes": CLASSES,
        "dropout": 0.0,
        "optimizer": "adamw",
        "lr": 1e-2,
        "weight_decay": 0.0,  # which would change weights by itself
        "scheduler": "none",
        "label_smoothing": 0.0,
        "freeze": "stem",
        "lr_decay": 0.5,
        **changes,
    }
    model = EmotionClassifier(**described(**options))
    if data:
        calibrate_batch_norm(model.backbone, data.views(torch.arange(60), 0))
    return model


def parts(backbone) -> dict[str, dict[str, torch.Tensor]]:
    """Copy the weights and statistics of each block that has any."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in backbone.blocks.state_dict().items():
        block, _, rest = name.partition(".")
        found.setdefault(block, {})[rest] = value.clone()
    return found


@pytest.fixture
def data():
    return drawn_faces()


@pytest.fixture
def fit(data, tmp_path):
    """Train a model for an epoch; return the trainer."""
    return lambda model: fitting.fit(model, data, tmp_path, epochs=1)


@pytest.mark.parametrize(
    ("freeze", "taps", "trained"),
    [
        ("all", ["inception5b"], ()),
        ("stem", ["inception5b"], BLOCKS[BLOCKS.index("inception3a") :]),
        ("stem", ["inception3b", "conv1"], ("inception3a", "inception3b")),
        ("stem", ["maxpool2"], ()),
        ("none", ["conv2"], ("conv1", "maxpool1", "conv2")),
        ("none", ["inception5b"], BLOCKS),
    ],
)
def test_blocks_are_trained_from_the_frozen_ones_to_the_deepest_tap(freeze, taps, trained):
    assert trained_blocks(NETWORKS["googlenet"], freeze, taps) == trained


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("freeze", "changed"),
    [
        ("stem", {"inception3a", "inception3b"}),
        ("none", {"conv1", "conv2", "conv3", "inception3a", "inception3b"}),
    ],
)
def test_training_changes_all_of_some_blocks_and_not_one_bit_of_the_others(
    fit, data, network, freeze, changed
):
    model = classifier(data, network=network, freeze=freeze)
    before, digest = parts(model.backbone), model.backbone.frozen_digest()
    fit(model)
    after = parts(model.backbone)
    for block, values in after.items():
        same = [name for name in values if torch.equal(values[name], before[block][name])]
        assert same == ([] if block in changed else list(values)), block
    assert any("running_mean" in name for name in after["conv1"]) == (network == "googlenet")
    assert model.backbone.frozen_digest() == digest
    assert model.backbone.digest() != digest


@pytest.mark.parametrize("network", NETWORKS)
def test_only_trained_blocks_follow_the_mode(network):
    backbone = build_backbone(network, None)
    backbone.freeze_all_but(["inception4a", "inception3b"])
    assert backbone.trained == ("inception3b", "inception4a")
    for mode in (True, False):
        nn.Sequential(backbone).train(mode)
        for name, block in backbone.blocks.items():
            wanted = mode and name in backbone.trained
            assert {module.training for module in block.modules()} == {wanted}, name
            assert {p.requires_grad for p in block.parameters()} <= {name in backbone.trained}
    backbone.freeze_all_but(())
    backbone.train()
    assert not any(module.training for module in backbone.modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert backbone.frozen_digest() == backbone.digest()


def test_calibration_leaves_each_block_in_its_mode(data):
    backbone = classifier(data).backbone
    for name, block in backbone.blocks.items():
        modes = {module.training for module in block.modules()}
        assert modes == {name in ("inception3a", "inception3b")}, name


def test_nothing_is_kept_for_gradients_of_frozen_blocks(data):
    backbone = classifier().backbone
    kept = []
    hooks = [
        block.register_forward_hook(lambda *call: kept.append(call[-1].requires_grad))
        for block in backbone.blocks.values()
    ]
    extract_features(backbone, data.views(torch.arange(4), 0), {"inception3b": 1}, torch.float32)
    assert kept == [name.startswith("inception") for name in BLOCKS[: len(kept)]]
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("network", NETWORKS)
def test_mixed_precision_gives_float32_features_and_nearly_the_same_gradients(data, network):
    gradients = []
    for arithmetic in (torch.float32, torch.bfloat16):
        backbone = classifier(data, network=network, freeze="none").backbone.eval()
        pixels, taps = data.views(torch.arange(8), 0), {"inception3b": 1, "conv3": 2}
        features = extract_features(backbone, pixels, taps, arithmetic)
        assert {values.dtype for values in features.values()} == {torch.float32}
        sum(values.square().mean() for values in features.values()).backward()
        used = [
            p
            for name in trained_blocks(NETWORKS["googlenet"], "none", taps)
            for p in backbone.blocks[name].parameters()
        ]
        assert {p.dtype for p in used} == {p.grad.dtype for p in used} == {torch.float32}
        gradients.append(torch.cat([p.grad.flatten() for p in used]))
    exact, mixed = gradients
    assert 0 < (mixed - exact).norm() < 0.1 * exact.norm()


def test_learning_rates_fall_from_the_head_to_the_first_block():
    model = classifier(freeze="none", taps=["inception3a/1", "conv1/1"])
    groups = parameter_groups(model.head, model.backbone, lr=0.08, lr_decay=0.5)
    # Blocks that pool come in between and have no rate.
    modules = [model.head] + [
        model.backbone.blocks[name] for name in ("inception3a", "conv3", "conv2", "conv1")
    ]
    assert [group["lr"] for group in groups] == [0.08, 0.04, 0.02, 0.01, 0.005]
    for group, module in zip(groups, modules, strict=True):
        assert list(map(id, group["params"])) == list(map(id, module.parameters()))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(("freeze", "rates"), [("stem", [0.01, 0.005, 0.0025]), ("all", [0.01])])
def test_the_optimiser_has_these_rates(fit, optimizer, freeze, rates):
    trainer = fit(classifier(freeze=freeze, optimizer=optimizer))
    assert [group["lr"] for group in trainer.optimizers[0].param_groups] == rates


def test_a_cosine_takes_all_rates_to_zero(fit):
    trainer = fit(classifier(scheduler="cosine"))
    rates = [group["lr"] for group in trainer.optimizers[0].param_groups]
    assert rates == pytest.approx([0.0] * 3)


@pytest.fixture
def save(fit, tmp_path):
    """Train a model, save it, and return the path of the checkpoint."""

    def train_and_save(model):
        fit(model).save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
        return tmp_path / "last.ckpt"

    return train_and_save


def reload_(path, **changes) -> EmotionClassifier:
    return EmotionClassifier.load_from_checkpoint(path, weights_only=True, **changes).eval()


@pytest.mark.parametrize("network", NETWORKS)
def test_a_checkpoint_holds_what_was_trained_and_reloads_to_the_same(save, data, network):
    model = classifier(data, network=network)
    path = save(model)
    saved = torch.load(path, weights_only=True)["state_dict"]
    trained = {f"backbone.{name}" for name in model.backbone.trained_state()}
    assert trained and trained <= saved.keys()
    others = {name for name in saved if name.startswith("backbone.")} - trained
    # Of a random network the statistics, since nothing else could restore them.
    assert all(".bn." in name for name in others)
    pixels = data.views(torch.arange(16), 0)
    assert torch.equal(reload_(path)(pixels), model.eval()(pixels))


@pytest.fixture
def weights(tmp_path):
    """Return a function that writes random weights, their blocks by seed, and gives the file."""

    def write(name: str, stem: int, rest: int) -> str:
        state = build_backbone("googlenet", None, seed=rest).blocks.state_dict()
        early = build_backbone("googlenet", None, seed=stem).blocks.state_dict()
        state |= {name: early[name] for name in early if name.startswith("conv")}
        path = tmp_path / f"{name}.safetensors"
        save_file({name: value.contiguous() for name, value in state.items()}, path)
        return str(path)

    return write


def test_a_checkpoint_refuses_another_stem(save, data, weights):
    model = classifier(weights=weights("own", stem=1, rest=1), taps=["inception5b"])
    path = save(model)
    pixels = data.views(torch.arange(16), 0)
    wanted = model.eval()(pixels)
    # What was trained comes from the checkpoint, whatever the file has.
    again = reload_(path, weights=weights("same", stem=1, rest=2))
    assert torch.equal(again(pixels), wanted)
    with pytest.raises(ConfigError, match=r"model.weights=.*other\.safetensors: not the backbone"):
        reload_(path, weights=weights("other", stem=2, rest=1))


def test_a_checkpoint_refuses_other_weights_after_the_deepest_tap(save, weights):
    path = save(classifier(weights=weights("own", stem=1, rest=1)))
    with pytest.raises(ConfigError, match="not the backbone"):
        reload_(path, weights=weights("other", stem=1, rest=2))


def test_where_all_was_trained_no_file_is_needed(save, data, weights, tmp_path):
    options = {"freeze": "none", "taps": ["inception5b/1"]}
    model = classifier(weights=weights("own", stem=1, rest=1), **options)
    path = save(model)
    (tmp_path / "own.safetensors").unlink()
    pixels = data.views(torch.arange(16), 0)
    assert torch.equal(reload_(path)(pixels), model.eval()(pixels))


def test_checkpoints_from_before_these_options_load(save, data, tmp_path):
    model = classifier(data, freeze="all")
    checkpoint = torch.load(save(model), weights_only=True)
    for option in ("freeze", "lr_decay"):
        del checkpoint["hyper_parameters"][option]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    pixels = data.views(torch.arange(16), 0)
    assert torch.equal(reload_(tmp_path / "old.ckpt")(pixels), model.eval()(pixels))


def test_a_network_learns_faces_by_heart_that_its_head_alone_cannot(tmp_path):
    data = drawn_faces(views=0)
    faces = torch.from_numpy(data.split.train)
    labels = torch.from_numpy(data.faces.labels)[faces]
    accuracy = {}
    for freeze in ("all", "stem"):
        torch.manual_seed(0)  # of the head
        model = classifier(data, freeze=freeze, lr=1e-3, lr_decay=1.0)
        fitting.fit(model, data, tmp_path, epochs=8)
        with torch.no_grad():
            predicted = model.eval()(data.views(faces, 0)).argmax(1)
        accuracy[freeze] = (predicted == labels).float().mean().item()
    assert accuracy["all"] < 0.95 and accuracy["stem"] == 1


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A fine-tuning under two conditions, through the command line; returns its folder."""
    folder = tmp_path_factory.mktemp("finetune")
    process = train(
        folder,
        *("-m", "occlusion=none,mouth", "experiment=finetune", "data=synthetic", "data.count=60"),
        *("model.weights=null", "data.image_size=32", "model.taps=[inception3b/1]"),
        *("trainer.max_epochs=1", "data.batch_size=16", "trainer.precision=32", "logger=csv"),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return only(folder, "outputs/sweeps/*")


@pytest.fixture
def networks(sweep, monkeypatch):
    monkeypatch.setenv("FER_LIT_CACHE", str(sweep.parents[2] / "cache"))
    found, notes = gather(select_runs(str(sweep), ""), None, None, torch.device("cpu"))
    assert not notes
    return found


def test_the_command_trains_all_but_the_stem(sweep):
    for run in map(read_run, sweep.glob("*_seed0")):
        assert (run["config"].model.freeze, run["config"].features.bank) == ("stem", False)
        best, last = (
            torch.load(run["folder"] / "checkpoints" / f"{name}.ckpt", weights_only=True)
            for name in ("best", "last")
        )
        assert "optimizer_states" not in best
        rates = [group["initial_lr"] for group in last["optimizer_states"][0]["param_groups"]]
        assert rates == pytest.approx([3e-4, 0.8 * 3e-4, 0.8**2 * 3e-4])
        assert any("inception3b" in name for name in best["state_dict"])
        assert not any(name.endswith("conv1.conv.weight") for name in best["state_dict"])
    assert not any((sweep.parents[2] / "cache").glob("features/*"))


def test_fine_tuned_networks_are_analysed_each_with_its_own_backbone(networks):
    none, mouth = networks.trained["none", 0], networks.trained["mouth", 0]
    assert none.reader.backbone is not mouth.reader.backbone
    for network in (none, mouth):
        assert not any(module.training for module in network.reader.backbone.train().modules())
        assert not any(
            parameter.requires_grad for parameter in network.reader.backbone.parameters()
        )
    for label, condition in networks.conditions.items():
        predictions = condition.runs[0].predictions
        own = np.flatnonzero(networks.held_out[label, 0])
        network = networks.trained[label, 0]
        read = network.features(occlude(networks.faces.pixels, condition.occlusion)[own])
        by_name = predictions.set_index("image")[probability_columns(networks.faces.classes)]
        wanted = by_name.loc[[networks.faces.names[face] for face in own]]
        np.testing.assert_allclose(network.probabilities(read), wanted, atol=1e-4)
        table = records(transfer_table(networks))
        (row,) = (row for row in table if row["trained"] == label and row["own"])
        assert row["mean"] == pytest.approx(predictions["right"].mean())


def grad_cam(network, pixels, labels) -> np.ndarray:
    """Return the maps of `conv3`, by hand, through all that follows."""
    activation = network.reader.backbone(pixels, ["conv3"])["conv3"].requires_grad_()
    later = network.reader.backbone.resume("conv3", activation, ["inception3b"])["inception3b"]
    logits = network.head({"inception3b": pool(later, 1)})
    chosen = (logits.gather(1, labels[:, None]) - logits.mean(dim=1, keepdim=True)).sum()
    (gradient,) = torch.autograd.grad(chosen, activation)
    return (gradient.mean((2, 3), keepdim=True) * activation).sum(1).relu().detach().numpy()


def test_maps_of_a_fine_tuned_network_are_those_of_its_own_blocks(networks):
    faces = np.flatnonzero(networks.held_out["none", 0])  # of the other condition, too: one seed
    labels = torch.from_numpy(networks.faces.labels[faces])
    settings = MapSettings("conv3", "gradcam", "label", "logit")  # before what was trained
    mapped = map_photographs(networks, faces, settings)
    for label, rows in zip(networks.conditions, mapped.rows, strict=True):
        network, occlusion = networks.trained[label, 0], networks.conditions[label].occlusion
        views = network.views(occlude(networks.faces.pixels, occlusion))
        wanted = grad_cam(network, views(torch.from_numpy(faces), 0), labels)
        assert wanted.max() > 0
        centres = network.centres("conv3")
        shares = row_shares(scale(wanted, centres)["mass"], centres)
        np.testing.assert_allclose(rows, shares, rtol=1e-3)
