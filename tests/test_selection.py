"""Which runs are analysed together, and which are not."""

from pathlib import Path

import pytest
from helpers.command import CONF
from helpers.run_folders import run
from hydra import initialize_config_dir

from fer_lit.analysis.selection import select_runs
from fer_lit.cli import analyze as analyze_command
from fer_lit.errors import ConfigError
from fer_lit.files import write_text
from fer_lit.runs.manifest import write_manifest


def sweep(tmp_path: Path, name: str = "A", finished: bool = True) -> Path:
    folder = tmp_path / "outputs" / "sweeps" / name
    folder.mkdir(parents=True, exist_ok=True)
    if finished:
        write_text(folder / "summary.csv", "run\n")
    return folder


def test_runs_that_differ_in_their_seed_are_one_condition(tmp_path):
    folder = sweep(tmp_path)
    for number, (occlusion, seed) in enumerate([("mouth", 1), ("none", 1), ("none", 0)]):
        run(folder / f"{number}_x", f"occlusion={occlusion}", f"seed={seed}", "logger=csv")
    selection = select_runs(str(folder), "outputs")
    assert list(selection.conditions) == ["none", "mouth"]  # in the paper's order
    assert list(selection.conditions["none"].runs) == [0, 1]
    assert selection.conditions["mouth"].reference == "none"
    assert selection.missing == ("eyes", "nose")
    assert selection.notes == ()


def test_runs_that_differ_otherwise_are_conditions_of_their_own(tmp_path):
    one, other = sweep(tmp_path, "A"), sweep(tmp_path, "B")
    for folder, lr in ((one, "1e-3"), (other, "3e-3")):
        for number, occlusion in enumerate(("none", "eyes", "nose", "mouth")):
            run(folder / f"{number}_x", f"occlusion={occlusion}", f"model.lr={lr}")
    selection = select_runs([str(one), str(other)], "outputs")
    assert list(selection.conditions)[:2] == ["none lr=0.001", "none lr=0.003"]
    assert selection.conditions["mouth lr=0.003"].reference == "none lr=0.003"
    assert selection.conditions["mouth lr=0.003"].covered == "mouth"
    assert not selection.notes and not selection.missing


def test_a_fill_does_not_divide_faces_without_a_band(tmp_path):
    folder = sweep(tmp_path)
    run(folder / "0_x", "occlusion=none")
    run(folder / "1_x", "occlusion=mouth")
    run(folder / "2_x", "occlusion=mouth", "occlusion.fill=blur")
    conditions = select_runs(str(folder), "outputs").conditions
    assert list(conditions) == ["none", "mouth fill=noise", "mouth fill=blur"]
    assert {one.reference for one in conditions.values()} == {"none"}
    assert [one.covered for one in conditions.values()] == list(conditions)


def test_the_latest_finished_sweep_is_taken(tmp_path):
    for name, finished in (("1", True), ("2", True), ("3", False)):
        run(sweep(tmp_path, name, finished) / "0_x", "occlusion=none")
    selection = select_runs(None, str(tmp_path / "outputs"))
    assert selection.folders[0].name == "2"
    assert "the later sweep 3 has not finished" in selection.notes[0]


def test_a_single_run_can_be_analysed(tmp_path):
    folder = run(tmp_path / "2026_none_seed0", "occlusion=none")
    assert list(select_runs(str(folder), "outputs").conditions) == ["none"]


def test_failed_runs_are_left_out_and_said(tmp_path):
    folder = sweep(tmp_path)
    run(folder / "0_none_seed0", "occlusion=none")
    run(folder / "1_eyes_seed0", "occlusion=eyes", status="failed", error="out of memory")
    run(folder / "2_nose_seed0", "occlusion=nose", status="running")
    selection = select_runs(str(folder), "outputs")
    assert list(selection.conditions) == ["none"]
    assert selection.notes[:2] == (
        "1_eyes_seed0 is left out: out of memory",
        "2_nose_seed0 is left out: it did not finish",
    )


def test_where_a_file_of_weights_lies_makes_no_difference(tmp_path):
    folder = sweep(tmp_path)
    run(folder / "0_x", "model.weights=/a/w.pth", backbone_digest="1" * 64)
    run(folder / "1_x", "model.weights=/b/v.pth", "seed=1", backbone_digest="1" * 64)
    assert list(select_runs(str(folder), "outputs").conditions) == ["none"]
    run(folder / "2_x", "model.weights=/a/w.pth", "seed=2", backbone_digest="2" * 64)
    conditions = select_runs(str(folder), "outputs").conditions
    assert list(conditions) == ["none weights=11111111", "none weights=22222222"]


def test_single_runs_in_a_folder_are_analysed_together(tmp_path):
    run(tmp_path / "2026-01-31_12-00-00_none_seed0", "occlusion=none")
    run(tmp_path / "2026-01-31_12-00-01_eyes_seed0", "occlusion=eyes")
    assert list(select_runs(str(tmp_path), "outputs").conditions) == ["none", "eyes"]


def test_broken_predictions_are_left_out_and_said(tmp_path):
    folder = sweep(tmp_path)
    run(folder / "0_x", "occlusion=none")
    write_text(run(folder / "1_x", "occlusion=eyes") / "predictions.csv", "image\n")
    write_manifest(folder / "1_x")
    selection = select_runs(str(folder), "outputs")
    assert list(selection.conditions) == ["none"]
    assert "1_x is left out: " in selection.notes[0] and "lacks column" in selection.notes[0]


def test_of_two_equal_runs_the_later_counts(tmp_path):
    one, other = sweep(tmp_path, "A"), sweep(tmp_path, "B")
    run(one / "0_x", "occlusion=none")
    run(other / "0_x", "occlusion=none")
    selection = select_runs([str(one), str(other)], "outputs")
    assert selection.conditions["none"].runs[0].folder == other / "0_x"
    assert selection.notes[0] == "A/0_x is left out: B/0_x is the same, trained again"


@pytest.mark.parametrize(
    ("overrides", "provenance", "message"),
    [
        ((), {"data_fingerprint": "xyz"}, "A/0_x and A/1_x .* their data differ: .*abc and .*xyz"),
        (("data.classes=[happy,sad]",), {}, r"their classes differ: .*angry.* and \[happy,sad\]"),
    ],
)
def test_runs_on_other_data_are_not_compared(tmp_path, overrides, provenance, message):
    folder = sweep(tmp_path)
    run(folder / "0_x", "occlusion=none")
    run(folder / "1_x", "occlusion=eyes", *overrides, **provenance)
    with pytest.raises(ConfigError, match=message):
        select_runs(str(folder), "outputs")


def test_nothing_to_analyse(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no finished sweep in .*python train\.py -m"):
        select_runs(None, str(tmp_path))
    with pytest.raises(ConfigError, match="there is no run in this folder"):
        select_runs(str(tmp_path), "outputs")
    run(tmp_path / "A" / "0_x", status="failed")
    with pytest.raises(ConfigError, match="no run in it has finished"):
        select_runs(str(tmp_path / "A"), "outputs")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("-m", "-m: analyze.py runs once"),
        ("sweep=A,B", r"sweep=A,B: give one value; several sweeps are written sweep=\[A,B\]"),
        ("sampels=5", "there is no option 'sampels'; did you mean 'samples'?"),
        ("samples=1", "samples=1: must be a whole number of at least 2"),
        ("method=scorecam", "method=scorecam: must be one of auto, gradcam, gradcam[+][+]"),
        ("target=both", "target=both: must be one of label, predicted"),
        ("score=loss", "score=loss: must be one of logit, probability"),
        ("colormap=rainbows", "colormap=rainbows: must be a colour map of matplotlib"),
        ("sweep=[]", r"sweep=\[\]: must be a folder, or several"),
    ],
)
def test_wrong_options_end_in_one_line(argument, message):
    with (
        initialize_config_dir(str(CONF), version_base="1.3"),
        pytest.raises(ConfigError, match=message) as error,
    ):
        analyze_command.checked([argument])
    assert "\n" not in str(error.value)
