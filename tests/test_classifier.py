"""The frozen backbone, the trained head, and checkpoints."""

import pytest
import torch
from helpers import fitting
from helpers.backbones import build_backbone
from helpers.fitting import CLASSES, described, drawn_faces
from safetensors.torch import save_file

from fer_lit.classifier import EmotionClassifier
from fer_lit.errors import ConfigError
from fer_lit.faces.datamodule import Batch
from fer_lit.networks.weights import calibrate_batch_norm


def options(**changes):
    changed = {
        "network": "googlenet",
        "weights": None,
        "taps": ["maxpool1/4"],
        "classes": CLASSES,
        "dropout": 0.5,
        "optimizer": "adamw",
        "lr": 1e-2,
        "weight_decay": 0.1,
        "scheduler": "cosine",
        "label_smoothing": 0.1,
        **changes,
    }
    return described(**changed)


@pytest.fixture
def data():
    return drawn_faces()


@pytest.fixture
def fit(data, tmp_path):
    """Train a model through its network for two epochs; return the trainer."""
    return lambda model, **options: fitting.fit(model, data, tmp_path, **options)


pytestmark = fitting.QUIET


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_changes_the_head_and_not_one_bit_of_the_backbone(fit, data, optimizer):
    model = EmotionClassifier(**options(optimizer=optimizer))
    calibrate_batch_norm(model.backbone, data.views(torch.arange(60), 0))
    before, head = model.backbone.digest(), model.head.linear.weight.clone()
    fit(model)
    model.train()
    model(data.views(torch.arange(16), 1))
    assert model.backbone.digest() == before
    assert not torch.equal(model.head.linear.weight, head)
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())


@pytest.mark.parametrize(
    ("scheduler", "last"), [("cosine", 0.0), ("one_cycle", 4e-8), ("none", 1e-2)]
)
def test_the_learning_rate_follows_the_scheduler(fit, scheduler, last):
    trainer = fit(EmotionClassifier(**options(scheduler=scheduler)))
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(last, abs=1e-12)


def test_gradients_can_be_clipped_in_mixed_precision(fit):
    trainer = fit(EmotionClassifier(**options()), precision="bf16-mixed", gradient_clip_val=1)
    assert not trainer.optimizers[0].defaults["fused"]


@pytest.mark.parametrize(("optimizer", "lr"), [("adamw", 1e300), ("sgd", 1e30)])
def test_a_run_that_diverges_ends_at_once(fit, optimizer, lr):
    model = EmotionClassifier(**options(optimizer=optimizer, lr=lr, scheduler="none"))
    with pytest.raises(ConfigError, match=r"^model\.lr=1e\+30+: training diverges, the loss is "):
        fit(model)
    assert model.global_step <= 2


def test_an_epoch_whose_last_step_diverges_is_no_success(data, tmp_path):
    model = EmotionClassifier(**options(lr=1e300, scheduler="none"))
    with pytest.raises(ConfigError, match=r"training diverges, the loss is nan in step 2, epoch 1"):
        fitting.fit(model, data, tmp_path, limit_train_batches=1)


def test_features_that_are_not_finite_are_named_as_the_cause():
    model = EmotionClassifier(**options())
    taps = {"maxpool1": torch.rand(4, 64, 4, 4)}
    taps["maxpool1"][2, 5] = float("nan")
    message = "^the loss is nan in step 1, epoch 1, because what the network is given is not finite"
    with pytest.raises(ConfigError, match=message):
        model.training_step(Batch(taps, torch.zeros(4, dtype=torch.int64)), 0)


def test_an_average_over_views_that_are_all_sure_has_a_finite_loss():
    model = EmotionClassifier(**options()).eval()
    with torch.no_grad():
        model.head.linear.weight.zero_()
        model.head.linear.bias.copy_(torch.tensor([0.0, 200.0, 0.0]))
    taps = {"maxpool1": torch.rand(6, 64, 4, 4)}
    returned = model.validation_step(Batch(taps, torch.zeros(3, dtype=torch.int64)), 0)
    ((_, _, loss),) = model._seen["val/"]
    assert torch.isfinite(loss) and returned is None


def test_probabilities_are_averaged_over_the_views_of_a_face():
    model = EmotionClassifier(**options()).eval()
    taps = {"maxpool1": torch.rand(6, 64, 4, 4, generator=torch.Generator().manual_seed(0))}
    alone = model.predict_step(Batch(taps, torch.zeros(6, dtype=torch.int64)), 0)
    both = model.predict_step(Batch(taps, torch.zeros(3, dtype=torch.int64)), 0)
    assert torch.allclose(both, (alone[:3] + alone[3:]) / 2)


@pytest.mark.parametrize("hidden", [None, 8])
def test_a_checkpoint_reloads_to_the_same_predictions_without_the_backbone(
    fit, data, tmp_path, hidden
):
    model = EmotionClassifier(**options(hidden=hidden))
    calibrate_batch_norm(model.backbone, data.views(torch.arange(60), 0))
    fit(model).save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert not any("conv" in name and name.endswith("conv.weight") for name in saved)
    again = EmotionClassifier.load_from_checkpoint(tmp_path / "last.ckpt").eval()
    pixels = data.views(torch.arange(16), 0)
    assert torch.equal(again(pixels), model.eval()(pixels))


@pytest.fixture
def weights(tmp_path):
    """Two files of random weights under their published names."""
    paths = []
    for seed in (1, 2):
        state = build_backbone("googlenet", None, seed=seed).state_dict()
        published = {
            name.removeprefix("blocks."): value.contiguous() for name, value in state.items()
        }
        paths.append(tmp_path / f"{seed}.safetensors")
        save_file(published, paths[-1])
    return paths


def test_a_checkpoint_refuses_other_weights(fit, weights, tmp_path):
    model = EmotionClassifier(**options(weights=str(weights[0])))
    fit(model).save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert (tmp_path / "last.ckpt").stat().st_size < 100_000
    moved = weights[0].rename(tmp_path / "moved.safetensors")
    EmotionClassifier.load_from_checkpoint(tmp_path / "last.ckpt", weights=str(moved))
    with pytest.raises(ConfigError, match=r"model.weights=.*2\.safetensors: not the backbone"):
        EmotionClassifier.load_from_checkpoint(tmp_path / "last.ckpt", weights=str(weights[1]))


def test_a_self_contained_checkpoint_needs_no_file(fit, data, weights, tmp_path):
    model = EmotionClassifier(**options(weights=str(weights[0]), save_backbone=True))
    fit(model).save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    weights[0].unlink()
    again = EmotionClassifier.load_from_checkpoint(tmp_path / "last.ckpt").eval()
    pixels = data.views(torch.arange(16), 0)
    assert torch.equal(again(pixels), model.eval()(pixels))


def test_metrics_of_an_epoch_have_known_values(data):
    model = EmotionClassifier(**options())
    model.log_dict = lambda values: None
    labels = torch.tensor([0, 0, 1, 2])
    predicted = torch.tensor([0, 1, 1, 1])
    logits = 10 * torch.eye(3)[predicted]
    model.forward = lambda rows: logits[rows]
    for part in ("train/", "val/"):
        for rows in torch.tensor([0, 1, 2]), torch.tensor([3]):
            model._step(Batch(rows, labels[rows]), part)
    model.on_validation_epoch_end()
    epoch = model.history[0]
    assert epoch["val/accuracy"] == 0.5
    assert epoch["val/loss"] == pytest.approx(model.loss(logits, labels).item())
    assert [epoch[f"val/recall_{emotion}"] for emotion in CLASSES] == [0.5, 1.0, 0.0]
    assert epoch["val/macro_f1"] == pytest.approx((2 / 3 + 0.5 + 0) / 3)
    assert epoch["val/confusion_matrix"] == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
