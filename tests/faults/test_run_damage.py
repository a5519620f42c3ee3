"""What runs left is damaged or mixed up: a run that is not as it was written is left out by name.

64 kinds in runs with a manifest, 35 in runs of an earlier version, which have none.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers import damage, warm
from helpers.command import only, read

from fer_lit.analysis.networks import load_networks
from fer_lit.analysis.selection import select_runs
from fer_lit.errors import ConfigError

FILES = ["config.yaml", "provenance.json", "metrics.json", "predictions.csv", "manifest.json"]
CHECKPOINT = "checkpoints/last.ckpt"


@pytest.fixture(scope="module")
def original(undisturbed):
    """A sweep of two conditions, and what is read of it, with its networks and without."""
    sweep = only(undisturbed, "outputs/sweeps/*")
    return sweep, {networks: analysed(sweep, networks) for networks in (False, True)}


@pytest.fixture
def sweep(original, tmp_path):
    """A copy of the sweep."""
    return Path(shutil.copytree(original[0], tmp_path / "sweep"))


def analysed(sweep: Path, networks: bool) -> dict[str, tuple]:
    """Return what is read of a sweep: by condition, predictions and network; and all notes."""
    selection = select_runs(str(sweep), "outputs")
    trained, problems = {}, []
    if networks:
        trained, problems = load_networks(selection, None, torch.device("cpu"))
    found = {"notes": [*selection.notes, *problems]}
    for label, condition in selection.conditions.items():
        network = trained.get((label, 0))
        head = network and torch.cat([p.flatten() for p in network.head.parameters()]).tolist()
        found[label] = (condition.runs[0].predictions.to_csv(), head)
    return found


def edited(old: str, new: str) -> Callable[[Path], None]:
    """Return a damage that leaves a file with other contents."""

    def edit(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return edit


def of_the_other(path: Path) -> None:
    """The file of the other condition stands in its place."""
    (run,) = (parent for parent in path.parents if parent.name == "1_mouth_seed0")
    damage.replaced(path, run.with_name("0_none_seed0") / path.relative_to(run))


def nan_head(path: Path) -> None:
    checkpoint = torch.load(path, weights_only=True)
    name = next(name for name in checkpoint["state_dict"] if name.startswith("head."))
    checkpoint["state_dict"][name][:] = float("nan")
    torch.save(checkpoint, path)


def another_prediction(path: Path) -> None:
    """Two probabilities of a face are swapped, so that the prediction is still the highest."""
    header, first, *rest = path.read_text(encoding="utf-8").splitlines()
    emotions = [name.removeprefix("probability_") for name in header.split(",")[3:]]
    image, label, prediction, *probabilities = first.split(",")
    place = emotions.index(prediction)
    other = (place + 1) % 3
    probabilities[place], probabilities[other] = probabilities[other], probabilities[place]
    row = ",".join([image, label, emotions[other], *probabilities])
    path.write_text("\n".join([header, row, *rest]), encoding="utf-8")


EDITED = {
    "another rate": ("config.yaml", edited("lr: 0.001", "lr: 0.1")),
    "another band": ("config.yaml", edited("top: 30", "top: 10")),
    "a rate in words": ("config.yaml", edited("lr: 0.001", "lr: [high]")),
    "no seed": ("config.yaml", edited("seed: 0", "sede: 0")),
    "an interpolation": ("config.yaml", edited("lr: 0.001", "lr: ${oops}")),
    "another status": ("provenance.json", edited('"finished"', "7")),
    "no fingerprint": ("provenance.json", edited("data_fingerprint", "fingerprint")),
    "another accuracy": ("metrics.json", edited('"validation": 27', '"validation": 270')),
    "no matrix": ("metrics.json", edited("confusion_matrix", "confusion")),
    "a list": ("metrics.json", lambda path: path.write_text("[1, 2]")),
    "one prediction": ("predictions.csv", another_prediction),
    "one face less": (
        "predictions.csv",
        lambda path: path.write_text("\n".join(path.read_text().splitlines()[:-1])),
    ),
    "mixed up: predictions": ("predictions.csv", of_the_other),
    "mixed up: metrics": ("metrics.json", of_the_other),
}
MIXED_UP = {
    "another checkpoint": (CHECKPOINT, of_the_other),
    "NaN head": (CHECKPOINT, nan_head),
    "another configuration": ("config.yaml", of_the_other),
    "no list": ("manifest.json", lambda path: path.write_text('{"sha256": {}}')),
    "wrong list": ("manifest.json", lambda path: path.write_text('{"sha256": {"a": 1}}')),
}
CASES = {f"{file} {kind}": (file, harm) for file in FILES for kind, harm in damage.KINDS.items()}
CASES |= EDITED


def check(sweep: Path, original, file: str) -> bool:
    """Return whether the damaged run is still read; the other is as ever, and a note says why."""
    networks = file == CHECKPOINT
    wanted, found = original[1][networks], analysed(sweep, networks)
    assert found["none"] == wanted["none"]
    if "mouth" in found:
        assert found["mouth"][0] == wanted["mouth"][0]
        assert found["mouth"][1] in (wanted["mouth"][1], None)
    if found.get("mouth") != wanted["mouth"]:
        assert any("1_mouth_seed0" in note and Path(file).name in note for note in found["notes"])
    return "mouth" in found


@pytest.mark.parametrize(("file", "harm"), (CASES | MIXED_UP).values(), ids=CASES | MIXED_UP)
def test_a_run_that_is_not_as_it_was_written_is_left_out(file, harm, original, sweep):
    harm(sweep / "1_mouth_seed0" / file)
    without_list = file == "manifest.json" and harm is damage.deleted
    assert check(sweep, original, file) == without_list


UNLISTED = {
    name: case
    for name, case in CASES.items()
    # A value that could have been, of which nothing tells that it was not.
    if name not in ("another rate", "another band", "predictions.csv flipped")
    and case[0] != "manifest.json"
    and case[1] not in (damage.zeroed, damage.appended, damage.a_folder)  # as others
}


@pytest.mark.parametrize(("file", "harm"), UNLISTED.values(), ids=UNLISTED)
def test_a_damaged_run_of_an_earlier_version_is_left_out(file, harm, original, sweep):
    for manifest in sweep.rglob("manifest.json"):
        manifest.unlink()
    harm(sweep / "1_mouth_seed0" / file)
    check(sweep, original, file)


@pytest.mark.parametrize("harm", damage.KINDS.values(), ids=damage.KINDS)
def test_of_a_run_with_a_broken_checkpoint_the_predictions_may_be_left(harm, original, sweep):
    harm(sweep / "1_mouth_seed0" / CHECKPOINT)
    check(sweep, original, CHECKPOINT)


def test_runs_of_an_earlier_version_are_read_with_one_line_for_all(original, sweep):
    for manifest in sweep.rglob("manifest.json"):
        manifest.unlink()
    (note,) = [note for note in analysed(sweep, False)["notes"] if "manifest" in note]
    assert note.startswith("2 of the 2 runs are of an earlier version and have no manifest.json")


def test_a_manifest_lists_all_that_matters(original):
    run = original[0] / "1_mouth_seed0"
    listed = read(run / "manifest.json")["sha256"]
    written = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert listed.keys() == written - {"manifest.json", "train.log"}
    assert {*FILES[:-1], CHECKPOINT, "figures/faces.png", "metrics.csv"} <= listed.keys()


def test_an_analysis_of_damaged_runs_alone_is_one_line(original, sweep, tmp_path):
    for run in sweep.glob("*_seed0"):
        damage.flipped(run / "predictions.csv")
    with pytest.raises(ConfigError, match=r"predictions.csv: not as the run wrote it; bring back"):
        select_runs(str(sweep), "outputs")
    done = warm.analyze(tmp_path, f"sweep={sweep}", "logger=csv")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "predictions.csv: not as the run wrote it" in line
    assert not (tmp_path / "outputs").exists()
