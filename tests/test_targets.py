"""What configurations may name: built for the user's own, refused from files."""

import sys
from pathlib import Path

import pytest
import torch
from helpers.command import DEMO, only
from helpers.fitting import described
from helpers.warm import analyze, train
from omegaconf import OmegaConf

from fer_lit.classifier import EmotionClassifier
from fer_lit.errors import ConfigError
from fer_lit.faces.occlusion import Occlusion
from fer_lit.targets import build, refuse_foreign_targets

OWN = "fer_lit.networks.head.Perceptron"
EYES = {"name": "eyes", "top": 10, "height": 10, "left": 0, "width": 48, "noise_seed": 0}


def test_a_class_is_built_with_its_options_and_says_what_is_wrong_with_them():
    node = {"_target_": "fer_lit.faces.occlusion.Occlusion", "fill": "gray", **EYES}
    assert build(node) == Occlusion(fill="gray", **EYES)
    assert build(None) is None
    with pytest.raises(ConfigError, match=r"occlusion\.fill=grey: must be one of noise"):
        build(node | {"fill": "grey"})
    with pytest.raises(ConfigError, match=r"Occlusion: .*unexpected keyword argument 'colour'"):
        build(node | {"colour": 1})
    with pytest.raises(ConfigError, match=r"_target_=fer_lit\.faces\.occlusion\.Oclusion: "):
        build(node | {"_target_": "fer_lit.faces.occlusion.Oclusion"})


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "fer_lit.runs.folder.subprocess.run",  # another module, reached through ours
        "fer_lit.faces.decoding.shutil.rmtree",
        "fer_lit.files.write_text",  # ours, but not for a file to call
        "fer_litter.Occlusion",
        "fer_lit.no.such.Thing",
    ],
)
def test_foreign_targets_are_refused_wherever_they_stand(target):
    for config in (
        {"occlusion": {"_target_": target}},
        {
            "model": {
                "head": {
                    "_target_": "fer_lit.networks.head.Perceptron",
                    "of": [{"_target_": target}],
                }
            }
        },
    ):
        with pytest.raises(
            ConfigError, match=f"config.yaml: .*_target_={target} is not of fer_lit"
        ):
            refuse_foreign_targets(OmegaConf.create(config), "config.yaml")


def test_targets_of_our_own_configurations_are_not_foreign():
    conf = Path(__file__).parents[1] / "conf"
    found = [OmegaConf.load(path) for path in conf.glob("*/**/*.yaml") if "hydra" not in path.parts]
    assert sum("_target_" in str(OmegaConf.to_container(one)) for one in found) > 10
    for config in found:
        text = OmegaConf.to_yaml(config).replace("${model.scheduler}", "cosine")
        refuse_foreign_targets(OmegaConf.create(text), "conf")


def test_a_run_that_names_foreign_code_is_not_built_unless_it_is_trusted(tmp_path):
    done = train(tmp_path, *DEMO, "occlusion=eyes")
    assert done.returncode == 0, done.stderr
    folder = only(tmp_path, "outputs/runs/*")
    config = OmegaConf.load(folder / "config.yaml")
    proof = tmp_path / "it ran"
    code = f"{sys.executable} -c \"open('{proof}', 'w')\""
    config.occlusion = {"_target_": "os.system", "command": code, **config.occlusion}
    config.occlusion._target_ = "os.system"
    OmegaConf.save(config, folder / "config.yaml")
    done = analyze(tmp_path, f"sweep={folder}", "logger=csv")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("analyze.py: ")
    assert "occlusion._target_=os.system is not of fer_lit" in done.stderr
    assert "Traceback" not in done.stderr
    assert not proof.exists()
    assert not list(tmp_path.glob("outputs/analysis/*/report.html"))


class Head:
    """A head of somebody else's."""

    def build(self, features: int, classes: int) -> torch.nn.Module:
        return torch.nn.Linear(features, classes)


def test_a_checkpoint_does_not_build_foreign_code_unless_it_is_trusted():
    options = described("googlenet", 0.5, "none", weights=None, taps=["conv1"], classes=["a", "b"])
    options |= {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.0, "label_smoothing": 0.0}
    options["head"] = {"_target_": f"{__name__}.Head"}
    with pytest.raises(ConfigError, match=r"head._target_=test_targets.Head is not of fer_lit"):
        EmotionClassifier(**options)
    model = EmotionClassifier(**options, trust=True)
    assert model.head.in_features == 64
    assert "trust" not in model.hparams
