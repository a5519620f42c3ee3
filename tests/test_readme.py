"""The commands in the README do what they say, and the tests keep to their own rules."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from helpers.backbones import build_backbone, published_name
from helpers.command import ROOT, only
from helpers.warm import train
from hydra import initialize_config_dir
from PIL import Image
from safetensors.torch import save_file

from fer_lit.cli import analyze as analyze_command

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.S)
LINES = [line for block in BLOCKS for line in block.splitlines()]
COMMANDS = [shlex.split(line.split("&& ")[-1], comments=True) for line in LINES]
ANALYZE = [command[2:] for command in COMMANDS if command[:2] == ["python", "analyze.py"]]
STARTED = [command[2:] for command in COMMANDS if command[:2] == ["python", "train.py"]]
RESUMED = [arguments for arguments in STARTED if any("resume=" in one for one in arguments)]
TRAIN = [arguments for arguments in STARTED if arguments not in RESUMED]
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

# Small, and with nothing that is not here: photographs that mean nothing, random weights.
SMALL = ("trainer.max_epochs=1", "data.image_size=32", "data.batch_size=16", "logger=csv")
MORE = {  # besides
    "-m occlusion=none,eyes,nose,mouth experiment=multiscale": ["data.image_size=64"],
    "-m experiment=band_map": ["occlusion.top=0,20"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `fer2013`, six pictures of each emotion, and random Caffe weights."""
    folder = tmp_path_factory.mktemp("readme")
    random = np.random.default_rng(0)
    for emotion in EMOTIONS:
        (folder / "fer2013" / emotion).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, 256, (48, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "fer2013" / emotion / f"{number}.png")
    state = build_backbone("googlenet_caffe", None).state_dict()
    weights = {published_name(n.removeprefix("blocks.")): v for n, v in state.items()}
    save_file(weights, folder / "bvlc_googlenet.safetensors")
    return folder


def _here(argument, folder):
    """Return a README's argument for the files of this test, and with fewer and shorter runs."""
    replaced = {
        "/data/": f"{folder}/",
        ".caffemodel": ".safetensors",
        "none,eyes,nose,mouth": "none,mouth",
        "range(10)": "range(1)",
        "3e-4,1e-3,3e-3": "3e-4,3e-3",
        "max_epochs=60": "max_epochs=2",
    }
    for old, new in replaced.items():
        argument = argument.replace(old, new)
    return argument


def test_there_are_train_lines():
    assert len(TRAIN) >= 10
    assert ["-m", "occlusion=none,eyes,nose,mouth"] in TRAIN


@pytest.mark.parametrize("arguments", TRAIN, ids=" ".join)
def test_a_train_line_runs(arguments, folder):
    given = [_here(argument, folder) for argument in arguments]
    given += MORE.get(" ".join(arguments), [])
    chosen = {argument.split("=")[0] for argument in given}
    small = [option for option in SMALL if option.split("=")[0] not in chosen]
    if not any(argument.startswith("model.weights=") for argument in given):
        small.append("model.weights=null")
    process = train(folder, *given, *small, FER2013_ROOT=str(folder / "fer2013"))
    assert process.returncode == 0, process.stdout + process.stderr
    assert "Next: python " in process.stdout


def test_the_lines_that_resume_run(folder):
    options = ("occlusion=none", *SMALL, "model.weights=null", f"data.root={folder / 'fer2013'}")
    assert train(folder, "-m", "output=resumed", *options).returncode == 0
    sweep = only(folder, "resumed/sweeps/*").relative_to(folder)
    latest, more = ([_here(argument, folder) for argument in line] for line in RESUMED)
    assert more[:3] == ["-m", "occlusion=none,mouth", "seed=range(1)"]
    assert more[3].startswith("resume=outputs/sweeps/")
    more = ["-m", "seed=range(2)", f"resume={sweep}", "output=resumed", *options]
    for arguments in ([*latest, "output=resumed"], more):
        process = train(folder, *arguments)
        assert process.returncode == 0, process.stdout + process.stderr
        assert "1 of " in process.stderr and "are taken as they are" in process.stderr
    assert len(list((folder / sweep).glob("*/manifest.json"))) == 2


@pytest.mark.parametrize("arguments", ANALYZE, ids=" ".join)
def test_an_analyze_line_has_right_options(arguments, tmp_path, monkeypatch):
    """What an analysis does is in test_analyze.py."""
    monkeypatch.chdir(tmp_path)
    for folder in re.findall(r"outputs/[\w/-]+", " ".join(arguments)):
        Path(folder).mkdir(parents=True)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        assert analyze_command.checked(arguments) == arguments


def test_there_are_analyze_lines():
    assert [] in ANALYZE and ["images=me.jpg"] in ANALYZE


def test_no_test_module_imports_another():
    """What several need is in `helpers`."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    imported = re.compile(r"^\s*(?:from|import) (?:test_|conftest)", re.M)
    assert [file.name for file in files if imported.search(file.read_text("utf-8"))] == []
