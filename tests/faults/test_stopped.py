"""Programs that are stopped or killed: what is finished stays, and the rest can be resumed."""

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from helpers import damage, warm
from helpers.command import DEMO, ROOT, only, read
from helpers.configs import changed

from fer_lit.analysis.selection import select_runs
from fer_lit.cli import train
from fer_lit.errors import ConfigError
from fer_lit.files import write_json
from fer_lit.runs.folder import RunFolder

ANY_LENGTH = tuple(option for option in DEMO if not option.startswith("trainer.max_epochs"))
SMALL = (*DEMO, "model.dropout=0.5")
SWEEP = ("-m", "occlusion=none,mouth", *SMALL)


def wait_for(folder: Path, pattern: str, running: warm.Running) -> None:
    deadline = time.monotonic() + 120
    while not any(folder.glob(pattern)) and running.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running.alive, running.finished()


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def results(sweep: Path) -> dict[str, bytes]:
    """Return what the runs of a sweep found, byte for byte."""
    names = ("metrics.json", "metrics.csv", "predictions.csv", "config.yaml")
    return {f"{path.parent.name}/{path.name}": path.read_bytes()
            for name in names for path in sweep.glob(f"*/{name}")}  # fmt: skip


def without_seconds(sweep: Path) -> list[dict[str, str]]:
    return [
        {k: v for k, v in row.items() if k != "seconds"} for row in table(sweep / "summary.csv")
    ]


@pytest.fixture(scope="module")
def whole(undisturbed):
    """A sweep that nothing happened to."""
    return only(undisturbed, "outputs/sweeps/*")


def test_a_stopped_sweep_says_what_there_is(tmp_path):
    jobs = ("-m", *ANY_LENGTH, "trainer.max_epochs=1,100000")
    running = warm.Running(ROOT / "train.py", tmp_path, *jobs)
    wait_for(tmp_path, "outputs/sweeps/*/1_*/metrics.csv", running)
    os.kill(running.pid, signal.SIGTERM)
    done = running.finished()
    assert done.returncode == 143, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    sweep = only(tmp_path, "outputs/sweeps/*")
    assert [row["status"] for row in table(sweep / "summary.csv")] == ["finished", "interrupted"]
    assert read(sweep / "1_none_seed0" / "provenance.json")["status"] == "interrupted"
    resume = f"python train.py resume=outputs/sweeps/{sweep.name}"
    assert done.stdout.splitlines()[-1].endswith(resume)


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGUSR1", 143)])
def test_a_stopped_run_says_how_to_go_on(name, status, tmp_path):
    running = warm.Running(ROOT / "train.py", tmp_path, *ANY_LENGTH, "trainer.max_epochs=100000")
    wait_for(tmp_path, "outputs/runs/*/metrics.csv", running)
    os.kill(running.pid, getattr(signal, name))
    done = running.finished()
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr and "Stopped. " in done.stderr
    run = only(tmp_path, "outputs/runs/*")
    assert read(run / "provenance.json")["status"] == "interrupted"
    assert done.stdout.splitlines()[-1].endswith(f"python train.py resume=outputs/runs/{run.name}")


def test_a_signal_that_a_library_swallows_stops_the_training_all_the_same(tmp_path):
    """As by fsspec, whose `exists`, which Lightning asks, catches every exception."""
    swallows = tmp_path / "swallows.py"
    swallows.write_text(SWALLOWS.format(root=str(ROOT)), encoding="utf-8")
    running = warm.Running(swallows, tmp_path, *ANY_LENGTH, "trainer.max_epochs=100000")
    wait_for(tmp_path, "swallowed", running)
    done = running.finished()
    assert done.returncode == 143, done.stdout + done.stderr
    assert read(only(tmp_path, "outputs/runs/*/provenance.json"))["status"] == "interrupted"


SWALLOWS = """
import os, runpy, signal, sys
from pathlib import Path
from lightning.pytorch.callbacks import ModelCheckpoint
sys.path.insert(0, {root!r})
save = ModelCheckpoint._save_checkpoint
def swallowing(self, *arguments):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except:
        Path("swallowed").touch()
    save(self, *arguments)
ModelCheckpoint._save_checkpoint = swallowing
sys.argv[0] = "train.py"
runpy.run_path({root!r} + "/train.py", run_name="__main__")
"""


def test_a_killed_sweep_is_resumed_and_equals_an_undisturbed_one(whole, tmp_path):
    """At random moments: `benchmark.py faults`."""
    running = warm.Running(ROOT / "train.py", tmp_path, *SWEEP)
    wait_for(tmp_path, "outputs/sweeps/*/1_*/provenance.json", running)
    os.kill(running.pid, signal.SIGKILL)
    assert running.finished().returncode == -signal.SIGKILL
    sweep = only(tmp_path, "outputs/sweeps/*")
    finished = {path.parent: path.stat().st_mtime_ns for path in sweep.glob("*/manifest.json")}
    done = warm.train(tmp_path, "resume=latest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 2 jobs are finished and are taken as they are" in done.stderr
    assert results(sweep) == results(whole)
    assert without_seconds(sweep) == without_seconds(whole)
    again = {path.parent: path.stat().st_mtime_ns for path in sweep.glob("*/manifest.json")}
    assert {folder: again[folder] for folder in finished} == finished
    assert not list(sweep.rglob(".*"))


def test_a_killed_run_goes_on_from_its_last_epoch_and_equals_an_undisturbed_one(tmp_path):
    options = (*ANY_LENGTH, "trainer.max_epochs=8", "model.dropout=0.5", "data.split.test=0.2")
    whole = warm.train(tmp_path, *options, "output=whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    running = warm.Running(ROOT / "train.py", tmp_path, *options)
    wait_for(tmp_path, "outputs/runs/*/checkpoints/last.ckpt", running)
    os.kill(running.pid, signal.SIGKILL)
    running.finished()
    run = only(tmp_path, "outputs/runs/*")
    epochs = len(table(run / "metrics.csv"))
    assert 1 <= epochs < 8
    assert read(run / "provenance.json")["status"] == "running"
    done = warm.train(tmp_path, "resume=latest")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("metrics.json", "metrics.csv", "predictions.csv", "test_predictions.csv"):
        assert (run / name).read_bytes() == only(tmp_path, f"whole/runs/*/{name}").read_bytes()
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    # With a damaged checkpoint it begins anew.
    (run / "manifest.json").unlink()
    write_json(run / "provenance.json", read(run / "provenance.json") | {"status": "running"})
    damage.cut_off(run / "checkpoints" / "last.ckpt")
    anew = warm.train(tmp_path, f"resume={run}")
    assert anew.returncode == 0, anew.stdout + anew.stderr
    assert "last.ckpt is damaged, so the training starts anew" in anew.stdout
    assert (run / "metrics.json").read_bytes() == only(
        tmp_path, "whole/runs/*/metrics.json"
    ).read_bytes()
    # Finished, it stays as it is.
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.suffix != ".log"}
    assert warm.train(tmp_path, f"resume={run}").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_more_seeds_join_a_sweep(whole, tmp_path):
    """Jobs are known by their overrides, in whatever order, and new ones get free numbers."""
    sweep = tmp_path / "outputs" / "sweeps" / "mine"
    _copy(whole, sweep)
    (sweep / "1_mouth_seed0" / "metrics.json").unlink()  # damaged
    done = warm.train(tmp_path, "-m", "seed=1,0", "occlusion=mouth", *SMALL, f"resume={sweep}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1_mouth_seed0 is trained again: " in done.stderr
    assert "0 of 2 jobs are finished and are taken as they are" in done.stderr
    names = [row["run"] for row in table(sweep / "summary.csv")]
    assert names == ["0_none_seed0", "1_mouth_seed0", "2_mouth_seed1"]
    found, wanted = results(sweep), results(whole)
    assert {name: found[name] for name in wanted} == wanted
    assert "is not complete" not in done.stdout


def test_an_analysis_says_which_jobs_are_missing(whole, tmp_path):
    sweep = tmp_path / "sweep"
    _copy(whole, sweep)
    (sweep / "1_mouth_seed0").rename(tmp_path / "elsewhere")
    selection = select_runs(str(sweep), "outputs")
    assert list(selection.conditions) == ["none"]
    (note,) = [note for note in selection.notes if "complete" in note]
    assert note == (
        "sweep is not complete: 1 of its 2 jobs have not run (occlusion=mouth); "
        f"python train.py resume={sweep} runs them"
    )


def _copy(sweep: Path, to: Path) -> None:
    shutil.copytree(sweep, to)
    (to / "summary.csv").unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume=nowhere"], "resume=nowhere: there is no sweep and no run in this folder"),
        (["resume="], "resume=: must be the folder of a sweep or a run, or latest"),
        (["resume=latest"], "resume=latest: there is no sweep and no run in outputs"),
        (["-m", "resume=latest"], "resume=latest: there is no sweep in outputs"),
        (["resume=sweep", "seed=1"], "resume=sweep: is a sweep; add -m, or leave other options"),
        (["-m", "resume=run"], "resume=run: is a single run; leave out -m"),
        (["resume=run", "model.lr=1", *DEMO], "resume=run: the run has other options (model.lr"),
        (["resume=run"], "resume: run is still being trained; wait for it, or stop it"),
        (["resume=unreadable"], "unreadable/provenance.json: not readable as JSON"),
    ],
)
def test_what_cannot_be_resumed_is_one_line(arguments, message, tmp_path, monkeypatch):
    from helpers.command import CONF
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    monkeypatch.chdir(tmp_path)
    cfg = changed(*DEMO)
    OmegaConf.resolve(cfg)
    for folder in ("sweep/0", "run"):
        RunFolder(Path(folder)).start(cfg, DEMO)
    Path("unreadable").mkdir()
    Path("unreadable/provenance.json").write_text("{")
    with (
        RunFolder(Path("run")).alone(),
        initialize_config_dir(str(CONF), version_base="1.3"),
        pytest.raises(ConfigError) as caught,
    ):
        train.start(arguments)
    assert str(caught.value).startswith(message)
    assert json.loads(Path("run/provenance.json").read_text())["status"] == "running"
