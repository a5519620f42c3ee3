"""Wrong options end in one line; every configuration on disk is right."""

import subprocess
import sys
from itertools import product

import pytest
import torch
from helpers.backbones import BLOCKS, NETWORKS
from helpers.command import CONF
from helpers.configs import GROUPS, changed, choices, composed
from omegaconf import OmegaConf

from fer_lit.errors import ConfigError
from fer_lit.limits import suggestion
from fer_lit.options import check


def test_all_groups_are_found():
    known = {"augmentation", "data", "experiment", "logger", "model", "occlusion", "trainer"}
    assert known <= set(GROUPS)
    assert choices("model") == ["googlenet", "googlenet_caffe"]
    assert "demo" in choices("experiment")


NEEDED = {"mirror": ["features.views=[0,1]"]}  # random views would all be the same


@pytest.mark.parametrize(
    ("group", "choice"), [(group, choice) for group in GROUPS for choice in choices(group)]
)
def test_every_configuration_on_disk_is_right(group, choice):
    cfg = composed(f"{group}={choice}", *NEEDED.get(choice, []))
    check(cfg)
    on_disk = OmegaConf.load(CONF / group / f"{choice}.yaml")
    for key in (key for key in on_disk if key not in ("defaults", "hydra")):
        place = cfg if group == "experiment" else cfg[group.split("/")[0]]
        assert key in place


@pytest.mark.parametrize(
    ("occlusion", "model"), list(product(choices("occlusion"), choices("model")))
)
def test_every_occlusion_goes_with_every_model(occlusion, model):
    cfg = composed(f"occlusion={occlusion}", f"model={model}", "data=synthetic")
    check(cfg)
    assert cfg.model.weights == "imagenet"
    # A band of one's own is named after its row, too.
    assert cfg.occlusion.name == {"band": "band0"}.get(occlusion, occlusion)
    assert cfg.model.network == model


@pytest.mark.parametrize("experiment", choices("experiment"))
@pytest.mark.parametrize("occlusion", choices("occlusion"))
def test_every_experiment_goes_with_every_occlusion(experiment, occlusion):
    check(composed(f"experiment={experiment}", f"occlusion={occlusion}"))


@pytest.mark.parametrize("group", ["occlusion", "model", "augmentation"])
def test_the_configurations_of_a_group_have_the_same_keys(group):
    keys = {choice: tuple(composed(f"{group}={choice}")[group]) for choice in choices(group)}
    assert len(set(keys.values())) == 1, keys


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["seed=-1"], ["seed=-1", "at least 0"]),
        (["seed=1.5"], ["seed=1.5", "whole number"]),
        (["seed=true"], ["seed=true", "whole number"]),
        (["seed=4294967296"], ["seed=4294967296"]),
        (["seed=null"], ["seed=null"]),
        (["data.classes=[happy]"], ["data.classes=[happy]", "at least two different", "[angry,"]),
        (["data.classes=[happy,Happy]"], ["data.classes=[happy, Happy]", "different"]),
        (["data.classes=happy"], ["data.classes=happy", "a list"]),
        (["data.image_size=31"], ["data.image_size=31", "at least 32"]),
        (["data.image_size=64.0"], ["data.image_size=64.0", "whole number"]),
        (["data.batch_size=0"], ["data.batch_size=0", "at least 2"]),
        (["data.batch_size=1"], ["data.batch_size=1", "at least 2"]),
        (["data.download=perhaps"], ["data.download=perhaps", "true or false"]),
        (["data.split.protocol=mine"], ["data.split.protocol=mine", "one of paper, grouped,"]),
        (["data.split.validation=0"], ["data.split.validation=0", "between 0 and 1"]),
        (["data.split.validation=1"], ["data.split.validation=1", "between 0 and 1"]),
        (["data.split.validation=30"], ["data.split.validation=30", "between 0 and 1"]),
        (["data.split.test=1"], ["data.split.test=1", "from 0 up to"]),
        (["data.split.test=-0.1"], ["data.split.test=-0.1", "from 0 up to"]),
        (["data.split.test=0.7"], ["data.split.test=0.7", "validation=0.3", "below 1"]),
        (
            ["data.split.protocol=official", "data.split.test=0.1"],
            ["data.split.test=0.1", "paper and grouped", "leave data.split.test at 0"],
        ),
        (["data.on_bad_image=stop"], ["data.on_bad_image=stop", "error, skip"]),
        (["data=synthetic", "data.count=3"], ["data.count=3", "at least 20"]),
        (["data=synthetic", "data.seed=-1"], ["data.seed=-1", "at least 0"]),
        (["features.bank=1"], ["features.bank=1", "true or false"]),
        (["features.views=-1"], ["features.views=-1", "at least 0"]),
        (["features.views=null"], ["features.views=null", "at least 0"]),
        (["augmentation=mirror"], ["features.views=2", "same mirror image", "views=[0,1]"]),
        (["features.test_views=[0,1,2,3]"], ["features.test_views=[0, 1, 2, 3]", "one to three"]),
        (["occlusion.noise_seed=-1"], ["occlusion.noise_seed=-1", "at least 0"]),
        (["occlusion.fill=grey"], ["occlusion.fill=grey", "gray"]),
        (
            ["occlusion=band", "occlusion.top=45"],
            ["occlusion.top=45", "occlusion.height=10", "45 to 54", "0 to 47"],
        ),
        (["occlusion.left=-1"], ["occlusion.left=-1"]),
        (["recipe=my best"], ["recipe=my best", "letters, digits"]),
        (["recipe=2"], ["recipe=2", "letters, digits"]),
        (["occlusion.width=49"], ["occlusion.width=49", "columns 0 to 47"]),
        (["augmentation.flip=1.2"], ["augmentation.flip=1.2", "from 0 to 1"]),
        (["augmentation.flip=true"], ["augmentation.flip=true", "from 0 to 1"]),
        (["augmentation.translate=-3"], ["augmentation.translate=-3", "from 0 to 224"]),
        (["augmentation.translate=1e9"], ["augmentation.translate=1000000000.0", "from 0 to 224"]),
        (["augmentation.scale=1.1"], ["augmentation.scale=1.1", "[smallest, largest]"]),
        (["augmentation.scale=[1.1,0.9]"], ["augmentation.scale=[1.1, 0.9]", "smallest"]),
        (["augmentation.scale=[0,1]"], ["augmentation.scale=[0, 1]", "from 0.1"]),
        (["augmentation.scale=[1,1,1]"], ["augmentation.scale=[1, 1, 1]"]),
        (["augmentation.seed=x"], ["augmentation.seed=x", "whole number"]),
        (["model.dropout=1"], ["model.dropout=1", "from 0 up to"]),
        (["model.optimizer=adam"], ["model.optimizer=adam", "adamw, sgd"]),
        (["model.lr=0"], ["model.lr=0", "above 0"]),
        (["model.lr=fast"], ["model.lr=fast", "a number"]),
        (["model.lr=nan"], ["model.lr=nan", "above 0"]),
        (["model.lr=1e30"], ["model.lr=1e+30", "at most 100"]),
        (["model.weight_decay=-0.1"], ["model.weight_decay=-0.1", "from 0 to 1,000"]),
        (["model.scheduler=step"], ["model.scheduler=step", "cosine, one_cycle, none"]),
        (["model.label_smoothing=1"], ["model.label_smoothing=1", "from 0 up to"]),
        (["model.save_backbone=yes"], ["model.save_backbone=yes", "true or false"]),
        (["trainer.max_epochs=0"], ["trainer.max_epochs=0", "at least 1"]),
        (["trainer.accelerator=tpu"], ["trainer.accelerator=tpu", "auto, cpu, gpu"]),
        (["trainer.precision=64"], ["trainer.precision=64", "auto, 32, bf16-mixed, 16-mixed"]),
        (["model.weights=/no/such/file.pth"], ["model.weights=/no/such/file.pth", "imagenet"]),
        (["model.taps=[]"], ["model.taps=[]", "at least one", "[inception5b/1]"]),
        (["model.taps={}"], ["model.taps", "taps are a list now", "[inception5b/1]"]),
        (
            ["model.taps={inception3b: 4, inception5b: null, conv1: 1}"],
            ["taps are a list now; write model.taps=[inception3b/4,conv1/1]"],
        ),
        (["model.taps=[conv1/2,conv1]"], ["model.taps: conv1 is tapped twice"]),
        (
            ["model.taps=[inception5c]"],
            ["model.taps", "googlenet has no block 'inception5c'", "did you mean 'inception5"],
        ),
        (["model.taps=[layer4/1]"], ["model.taps", "no block 'layer4'", *BLOCKS]),
        (["model.taps=[inception5b/0]"], ["model.taps: inception5b/0", "from 1 to 7", "=224"]),
        (["model.taps=[inception5b/8]"], ["model.taps: inception5b/8", "from 1 to 7", "=224"]),
        (
            ["model.taps=[inception3a/13]", "data.image_size=96"],
            ["model.taps: inception3a/13", "from 1 to 12", "data.image_size=96"],
        ),
        (["model.taps=[inception5b/1.5]"], ["model.taps: inception5b/1.5", "whole number"]),
        (["model.taps=[inception5b/true]"], ["model.taps: inception5b/true", "whole number"]),
        (["model.freeze=some"], ["model.freeze=some", "all, stem, none"]),
        (["model.freeze=null"], ["model.freeze=null", "all, stem, none"]),
        (
            ["model.freeze=stem"],
            ["model.freeze=stem features.bank=true", "add features.bank=false"],
        ),
        (
            ["experiment=finetune", "features.bank=true", "model.freeze=none"],
            ["model.freeze=none features.bank=true", "add features.bank=false"],
        ),
        (
            ["experiment=finetune", "model.taps=[maxpool2,conv1/2]"],
            ["model.freeze=stem", "(maxpool2, conv1)", "inception3a", "model.freeze=none"],
        ),
        (["model.lr_decay=0"], ["model.lr_decay=0", "above 0"]),
        (["model.lr_decay=1.1"], ["model.lr_decay=1.1", "at most 1"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_option_is_named_with_what_was_found_and_the_fix(overrides, words):
    cfg = changed(*overrides)
    with pytest.raises(ConfigError) as error:
        check(cfg)
    message = str(error.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    "override",
    [
        "seed=0",
        "seed=4294967295",
        "data.batch_size=2",
        "data.image_size=32",
        "data.split.test=0.69",
        "data.split.protocol=grouped",
        "data.split.protocol=official",
        "features.views=0",
        "features.bank=false",
        "augmentation.flip=0",
        "augmentation.flip=1",
        "augmentation.scale=[1,1]",
        "augmentation.scale=[0.5,2]",
        "model.dropout=0",
        "model.weights=null",
        "model.weight_decay=0",
        "model.taps=[inception5b/7]",
        "model.taps=[maxpool1/8,inception3b/4]",
        "trainer.precision=32",
        "trainer.precision=bf16-mixed",
        "data.classes=[angry,disgust,fear,happy,neutral,sad,surprise]",
    ],
)
def test_the_ends_of_what_is_allowed_are_allowed(override):
    check(changed(override))


@pytest.mark.parametrize(
    "overrides", [["model.freeze=none"], ["model.taps=[inception3a/1]"], ["model.lr_decay=1"]]
)
def test_fine_tuning_may_be_changed(overrides):
    check(changed("experiment=finetune", *overrides))


def test_weights_may_be_a_file(tmp_path):
    file = tmp_path / "weights.safetensors"
    cfg = changed(f"model.weights={file}")
    with pytest.raises(ConfigError, match="no such file"):
        check(cfg)
    file.touch()
    check(cfg)


def test_a_close_word_is_suggested_and_a_strange_one_is_not():
    assert suggestion("inception5c", ["conv1", "inception5b"]) == "; did you mean 'inception5b'?"
    assert suggestion("xyz", ["conv1", "inception5b"]) == ""


@pytest.mark.parametrize("module", ["options", "cli.train", "cli.analyze", "runs.sweep_report"])
def test_options_are_checked_without_torch(module):
    code = f"import sys, fer_lit.{module}; print({{'torch', 'lightning'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture(scope="module", params=NETWORKS.values(), ids=NETWORKS)
def backbone(request):
    return request.param.build()


@pytest.mark.parametrize("size", [32, 33, 34, 48, 63, 64, 65, 97, 131, 149, 191, 223, 224, 240])
@torch.inference_mode()
def test_map_size_is_the_size_of_every_map(backbone, size):
    torch.set_num_threads(1)
    maps = backbone(torch.zeros(1, 1, size, size), BLOCKS)
    true = {block: activation.shape[2:] for block, activation in maps.items()}
    told = {block: backbone.side(block, size) for block in BLOCKS}
    assert true == {block: (side, side) for block, side in told.items()}


@pytest.mark.parametrize(
    "override",
    [
        "model.taps=inception5b",
        "model.taps=null",
        "occlusion.top=a",
        "occlusion.top=null",
        "occlusion.top=1.5",
        "occlusion.height=true",
        "model.lr=inf",
    ],
)
def test_a_wrong_type_names_the_option(override):
    with pytest.raises(ConfigError, match=override.split("=")[0]):
        check(changed(override))
