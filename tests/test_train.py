"""The real command line: runs, sweeps, failures, wrong options."""

from __future__ import annotations

import csv
import os

import numpy as np
import pytest
import torch
from helpers import warm
from helpers.command import DEMO, ROOT, only, read, train
from helpers.copies import photograph
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from fer_lit import training
from fer_lit.classifier import EmotionClassifier
from fer_lit.errors import ConfigError
from fer_lit.faces.datamodule import FaceDataModule
from fer_lit.fitting import check_trainer
from fer_lit.targets import build

CONDITIONS = ("none", "mouth")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A sweep of the demo, small, with W&B, as on a cluster, where `srun` is found.

    Returns the process and its folder.
    """
    folder = tmp_path_factory.mktemp("sweep")
    srun = tmp_path_factory.mktemp("slurm") / "srun"
    srun.write_text("#!/bin/sh\nexit 1\n")
    srun.chmod(0o755)
    path = os.pathsep.join([str(srun.parent), os.environ["PATH"]])
    options = [option for option in DEMO if not option.startswith("logger")]
    # wandb leaves a temporary folder to its own finaliser, which warns of that.
    warnings = "error,ignore::ResourceWarning"
    arguments = ("-m", f"occlusion={','.join(CONDITIONS)}", *options)
    process = train(folder, *arguments, PYTHONWARNINGS=warnings, PATH=path)
    return process, only(folder, "outputs/sweeps/*")


@pytest.fixture
def photographs(tmp_path):
    """Ten noisy pictures of each emotion in the layout of the Kaggle download."""
    random = np.random.default_rng(0)
    for emotion in ("angry", "happy", "neutral"):
        folder = tmp_path / "faces" / "train" / emotion
        folder.mkdir(parents=True)
        for number in range(10):
            pixels = random.integers(0, 256, (48, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "faces"


def table(path):
    """Return a CSV file's rows."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_sweep_leaves_a_complete_run_folder_for_each_condition(sweep):
    process, folder = sweep
    assert process.returncode == 0, process.stdout + process.stderr
    for number, condition in enumerate(CONDITIONS):
        run = folder / f"{number}_{condition}_seed0"
        metrics, provenance = read(run / "metrics.json"), read(run / "provenance.json")
        assert (metrics["occlusion"], metrics["data"]) == (condition, "synthetic")
        assert (provenance["status"], provenance["origin"]) == ("finished", "synthetic")
        assert metrics["faces"] == {"train": 63, "validation": 27}
        assert "test" not in metrics and not (run / "test_predictions.csv").exists()
        assert provenance["duplicates_across"].keys() == {"exact", "near"}
        assert [row["epoch"] for row in table(run / "metrics.csv")] == ["0", "1"]
        assert {row["data"] for row in table(run / "metrics.csv")} == {"synthetic"}
        predictions = table(run / "predictions.csv")
        right = sum(row["label"] == row["prediction"] for row in predictions)
        assert metrics["validation"]["accuracy"] == pytest.approx(right / 27)
        assert np.trace(metrics["validation"]["confusion_matrix"]) == right
        names = {path.name for path in run.rglob("*") if path.is_file()}
        assert {"config.yaml", "train.log", "best.ckpt", "last.ckpt", "faces.png"} <= names


def test_validation_faces_are_the_same_in_all_conditions(sweep):
    files = sorted(sweep[1].glob("*/predictions.csv"))
    assert len({tuple(row["image"] for row in table(file)) for file in files}) == 1


def test_a_sweep_ends_with_a_table_and_what_to_type_next(sweep):
    process, folder = sweep
    rows = table(folder / "summary.csv")
    assert [row["occlusion"] for row in rows] == list(CONDITIONS)
    assert all(float(row["low"]) <= float(row["accuracy"]) <= float(row["high"]) for row in rows)
    assert {row["paper"] for row in rows} == {""}
    assert (folder / "summary.md").read_text().count("| synthetic |") == 2
    assert "data: synthetic" in process.stdout
    assert process.stdout.splitlines()[-1] == "Next: python analyze.py"


def test_each_job_is_its_own_offline_wandb_run_in_the_group_of_the_sweep(sweep):
    process, folder = sweep
    for number, condition in enumerate(CONDITIONS):
        run = only(folder, f"{number}_*/wandb/offline-run-*/run-*.wandb")
        content = run.read_bytes()  # protobuf: strings stand in it as they are
        for text in (folder.name, f"{condition}_seed0", "fer-lit", "maxpool1"):
            assert text.encode() in content
        others = set(CONDITIONS) - {condition, "none"}
        assert not any(f"{other}_seed0".encode() in content for other in others)
    assert process.stdout.count("wandb sync") == 1


def test_a_cluster_is_not_spoken_of(sweep):
    """Lightning takes an `srun` that is found but not used for a mistake."""
    process, folder = sweep
    assert process.returncode == 0, process.stdout + process.stderr
    logs = [path.read_text(encoding="utf-8") for path in folder.glob("*/train.log")]
    assert len(logs) == 2
    assert not any("srun" in text for text in (process.stdout, process.stderr, *logs))


def test_checkpoints_are_small(sweep):
    for path in sweep[1].glob("*/checkpoints/best.ckpt"):
        assert path.stat().st_size < 300_000  # 4,096 features and BatchNorm's statistics


def test_a_failing_job_is_named_and_the_others_run(tmp_path, photographs):
    (photographs / "train" / "happy" / "3.png").write_bytes(b"not a picture")
    options = (*DEMO[2:], "data.image_size=64", "model.weights=null", "model.taps=[maxpool1/2]")
    sweep = ("-m", f"data.root={photographs}", "data.on_bad_image=error,skip")
    process = warm.train(tmp_path, *sweep, *options)
    folder = only(tmp_path, "outputs/sweeps/*")
    failed, finished = table(folder / "summary.csv")
    assert process.returncode == 1
    assert (failed["status"], finished["status"]) == ("failed", "finished")
    assert "FAILED 0_none_seed0" in process.stdout
    assert "happy/3.png" in process.stdout and "data.on_bad_image=skip" in process.stdout
    assert "Traceback" in (folder / "0_none_seed0" / "error.txt").read_text()
    assert "Traceback (most" not in process.stdout + process.stderr
    assert float(finished["paper"]) == 74.20
    next_step = f"Next: mend what failed, if anything, and type: python train.py resume={folder}"
    assert process.stdout.splitlines()[-1] == next_step.replace(f"{tmp_path}/", "")


def test_two_commands_at_once_have_a_folder_each(tmp_path):
    rates = [0.1, 0.2]
    commands = [(*DEMO, f"model.lr={rate}", "output='o, ö'") for rate in rates]
    for process in warm.together(ROOT / "train.py", tmp_path, *commands):
        assert process.returncode == 0, process.stdout + process.stderr
    runs = list((tmp_path / "o, ö" / "runs").iterdir())
    assert sorted(OmegaConf.load(run / "config.yaml").model.lr for run in runs) == rates
    for run in runs:
        provenance = read(run / "provenance.json")
        assert provenance["status"] == "finished"
        assert not any("hydra" in argument for argument in provenance["command"])


def test_a_folder_that_holds_a_run_is_refused(tmp_path):
    folder = f"hydra.run.dir={tmp_path / 'mine'}"
    first = warm.train(tmp_path, *DEMO, folder)
    assert first.returncode == 0, first.stdout + first.stderr
    before = {path: path.read_bytes() for path in tmp_path.glob("mine/**/*") if path.is_file()}
    again = warm.train(tmp_path, *DEMO, folder, "model.lr=0.1")
    assert again.returncode != 0
    (line,) = again.stderr.splitlines()
    assert line.startswith(f"train.py: {folder}: there are runs in this folder")
    assert {path: path.read_bytes() for path in before} == before
    assert len(before) == len([path for path in tmp_path.glob("mine/**/*") if path.is_file()])


def test_without_photographs_the_demo_runs_and_says_so(tmp_path):
    options = ("data.download=false", "trainer.max_epochs=1", "logger=none", "model.dropout=0.2")
    process = warm.train(tmp_path, *options)
    run = only(tmp_path, "outputs/runs/*")
    assert process.returncode == 0, process.stdout + process.stderr
    assert "DEMO" in process.stdout and "data: synthetic" in process.stdout
    assert read(run / "metrics.json")["data"] == "synthetic"
    assert "dropout: 0.2" in (run / "config.yaml").read_text()
    assert not (run / "wandb").exists()


@pytest.fixture
def tested(tmp_path, monkeypatch):
    """A run with test faces whose best epoch is not the last; which faces were seen when."""
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path / "cache"))
    seen = []
    prepare = FaceDataModule.on_after_batch_transfer

    def spy(self, batch, dataloader_idx):
        seen.append((self.trainer.state.fn.value, batch.tolist()))
        return prepare(self, batch, dataloader_idx)

    monkeypatch.setattr(FaceDataModule, "on_after_batch_transfer", spy)
    # Validation accuracy rises and falls: 14 of 27 are right after epoch 2, 12 after the last.
    options = ("model.optimizer=sgd", "model.lr=0.001", "model.scheduler=none")
    length = ("trainer.max_epochs=7", "data.split.test=0.2", "trainer.precision=32", "logger=none")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", [*DEMO, *options, *length])
    accuracy = training.train(cfg, tmp_path / "run")
    data = training.build_data(cfg, build(cfg.data.source).load())
    return tmp_path / "run", data, seen, accuracy


def test_test_faces_are_seen_once_by_the_epoch_that_validation_chose(tested):
    run, data, seen, accuracy = tested
    metrics = read(run / "metrics.json")
    test = data.split.test.tolist()
    assert seen[-1] == ("test", test)
    assert not any(set(batch) & set(test) for _, batch in seen[:-1])

    accuracies = [epoch["validation"]["accuracy"] for epoch in metrics["epochs"]]
    best = accuracies.index(max(accuracies))
    assert metrics["best"]["epoch"] == best < 6, "the best epoch must not be the last one here"
    model = EmotionClassifier.load_from_checkpoint(run / "checkpoints" / "best.ckpt").eval()
    with torch.no_grad():
        wanted = model(data.views(data.split.test, 0)).softmax(1)
    rows = table(run / "test_predictions.csv")
    assert [row["image"] for row in rows] == [data.faces.names[index] for index in test]
    found = [[float(value) for key, value in row.items() if "probab" in key] for row in rows]
    np.testing.assert_allclose(found, wanted, atol=2e-4)

    right = sum(row["label"] == row["prediction"] for row in rows)
    assert metrics["faces"] == {"train": 45, "validation": 27, "test": 18}
    assert metrics["test"]["accuracy"] == pytest.approx(right / 18)
    assert np.trace(metrics["test"]["confusion_matrix"]) == right
    assert np.sum(metrics["test"]["confusion_matrix"]) == 18
    assert metrics["test"].keys() == metrics["validation"].keys()
    assert accuracy == metrics["validation"]["accuracy"] == accuracies[-1]
    validated = [row["image"] for row in table(run / "predictions.csv")]
    assert validated == [data.faces.names[index] for index in data.split.validation]


def test_the_official_parts_of_a_csv_file(tmp_path):
    usages = {"Training": 6, "PublicTest": 2, "PrivateTest": 3}
    rows = [
        f"{code},{' '.join(map(str, photograph(number).ravel()))},{usage}"
        for usage, count in usages.items()
        for code in (0, 3, 6)  # angry, happy, neutral
        for number in range(count)
    ]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    options = ("model.weights=null", "model.taps=[maxpool1/2]", "data.image_size=64", *DEMO[2:])
    where = (f"data.root={tmp_path / 'fer2013.csv'}", "data.split.protocol=official")
    process = warm.train(tmp_path, *where, *options)
    assert process.returncode == 0, process.stdout + process.stderr
    run = only(tmp_path, "outputs/runs/*")
    assert read(run / "metrics.json")["faces"] == {"train": 18, "validation": 6, "test": 9}
    for name, lines in (("predictions", range(20, 26)), ("test_predictions", range(26, 35))):
        images = [row["image"] for row in table(run / f"{name}.csv")]
        assert images == [f"fer2013.csv:{line}" for line in lines]
    # Every number is in all parts.
    assert read(run / "provenance.json")["duplicates_across"] == {"exact": 15, "near": 15}
    line = "Split official: 18 train, 6 validate, 9 test; 15 of the 15 have an exact duplicate in "
    assert line + "training, 15 a near one\n" in process.stdout


def test_the_same_command_twice_gives_the_same_metrics(tmp_path):
    contents = []
    for cache in ("one", "two"):  # neither finds the other's features
        process = warm.train(tmp_path, *DEMO, FER_LIT_CACHE=str(tmp_path / cache))
        assert process.returncode == 0, process.stdout + process.stderr
        run = max(tmp_path.glob("outputs/runs/*"), key=lambda path: path.stat().st_mtime)
        contents.append((run / "metrics.json").read_bytes())
        run.rename(tmp_path / f"run{len(contents)}")
    assert contents[0] == contents[1]


def test_training_from_the_bank_equals_training_through_the_network(tmp_path):
    options = (*DEMO, "augmentation=matlab", "features.views=2", "trainer.precision=32")
    probabilities = []
    for number, bank in enumerate(("true", "false")):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = warm.train(folder, *options, f"features.bank={bank}")
        assert process.returncode == 0, process.stdout + process.stderr
        rows = table(only(folder, "outputs/runs/*/predictions.csv"))
        columns = [key for key in rows[0] if key.startswith("probability_")]
        probabilities.append([[float(row[column]) for column in columns] for row in rows])
    # Batches differ in size, so that float32 rounds differently.
    np.testing.assert_allclose(*probabilities, atol=2e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["modle.lr=1"], ["modle.lr", "did you mean 'model.lr'"]),
        (["occlusion=moth"], ["occlusion=moth", "did you mean 'mouth'"]),
        (["occlusion=none,eyes"], ["occlusion=none,eyes", "-m"]),
        (["data.batch_size=0"], ["data.batch_size=0", "at least 2"]),
        (["model.taps=[inceptoin3b/4]"], ["inceptoin3b", "did you mean 'inception3b'"]),
        (["seed"], ["seed", "name=value"]),
        (["data.classes=[happy,hungry]"], ["data.classes", "'hungry'", "neutral"]),
    ],
)
def test_a_wrong_option_ends_in_one_line_that_names_it_and_the_fix(tmp_path, arguments, words):
    process = train(tmp_path, "experiment=demo", *arguments)
    assert process.returncode != 0
    assert process.stdout == ""
    (line,) = process.stderr.splitlines()
    assert all(word in line for word in ["train.py:", *words])
    assert not (tmp_path / "outputs").exists()


def test_a_class_without_photographs_is_an_error_before_anything_starts(tmp_path, photographs):
    process = train(tmp_path, f"data.root={photographs}", "data.classes=[angry,sad]")
    assert process.returncode != 0
    (line,) = process.stderr.splitlines()
    assert "data.classes" in line and "'sad'" in line and "happy 10" in line


def test_missing_imagenet_weights_say_what_to_do(tmp_path, photographs):
    options = ("model=googlenet_caffe", "data.download=false", "logger=csv")
    process = warm.train(tmp_path, f"data.root={photographs}", *options)
    assert process.returncode == 1
    assert all(text in process.stdout for text in ("model.weights=FILE", "experiment=demo", "BVLC"))


@pytest.mark.parametrize("option", ["max_epoch", "logger"])  # not there; given by the run
def test_an_argument_that_lightning_does_not_take_is_refused_at_once(option):
    with pytest.raises(ConfigError, match=f"^trainer.{option}=1: lightning.Trainer does not take"):
        check_trainer(OmegaConf.create({option: 1}))


def test_help_is_written_for_this_program(tmp_path):
    process = train(tmp_path, "--help")
    assert process.returncode == 0
    assert process.stdout.count("python train.py ") >= 5
    assert "occlusion: band, eyes" in process.stdout
