"""Run folders, and files that are whole or not there."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from fer_lit.errors import ConfigError
from fer_lit.files import replacing, text_of, write_csv, write_json, write_text
from fer_lit.runs.folder import (
    RunFolder,
    claim,
    one_line,
    refuse_runs,
)
from fer_lit.runs.reading import read_run, read_sweep

CFG = OmegaConf.create({"seed": 0, "occlusion": {"name": "none"}})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_the_block_ends(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with replacing(file) as aside:
        aside.write_text("new")
        assert aside.parent == tmp_path  # the same file system, so that the renaming is atomic
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", ["old", None])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error, old):
    file = tmp_path / "a.txt"
    if old:
        file.write_text(old)
    with pytest.raises(error), replacing(file) as aside:
        aside.write_text("half")
        raise error
    assert names(tmp_path) == (["a.txt"] if old else [])
    assert not old or file.read_text() == old


def test_two_writers_of_a_file_do_not_meet(tmp_path, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 1)  # as in two containers
    with replacing(tmp_path / "a") as one, replacing(tmp_path / "a") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one"
    assert names(tmp_path) == ["a"]


def test_what_json_has_not_is_not_written(tmp_path):
    write_json(tmp_path / "a.json", {"loss": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": 1.0}


def test_nothing_written_is_an_error_and_keeps_the_old_file(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(file):
        pass
    assert file.read_text() == "old"


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path):
    file = tmp_path / "a.csv"
    write_csv(file, [{"a": 1}])
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write_csv(file, [{"a": 2}, {"b": 3}])
    assert file.read_text().split() == ["a", "1"]
    assert names(tmp_path) == ["a.csv"]


def test_text_json_and_csv_read_back(tmp_path):
    write_text(tmp_path / "a.txt", "é\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode()
    write_json(tmp_path / "a.json", {"emotion": "é", "list": [1, None]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"emotion": "é", "list": [1, None]}
    assert '  "emotion": "é"' in text
    assert text.endswith("}\n")
    rows = [{"image": 'a, "b".png', "label": "é"}, {"image": "c\nd", "label": ""}]
    write_csv(tmp_path / "a.csv", rows)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == rows


FORMULAS = ["=1+1", "+1", "-a.png", "@a", "\t=1", "\r=1", "'=1", "''-", "-"]
PLAIN = ["", "a", "a=b", "'", "'a'", "''a", " =1", "1-2", "\n", "–1", "a\t"]


@pytest.mark.parametrize("text", FORMULAS + PLAIN)
def test_a_cell_does_not_begin_as_a_formula_and_is_read_back(tmp_path, text):
    path = tmp_path / "a.csv"
    write_csv(path, [{"x": text, text: "y"}])
    with path.open(newline="", encoding="utf-8") as file:
        (_, name), (cell, _) = csv.reader(file)
    assert name == cell == (f"'{text}" if text in FORMULAS else text)
    assert text_of(cell) == text


def test_a_formula_in_a_file_of_an_earlier_version_is_read_as_it_is():
    assert text_of("=1") == "=1"


def test_numbers_are_written_as_they_are(tmp_path):
    values = {"a": -1, "b": -0.5, "c": np.float32(-0.1), "d": np.int64(-3), "e": None, "f": -np.inf}
    write_csv(tmp_path / "a.csv", [values])
    assert (tmp_path / "a.csv").read_bytes() == b"a,b,c,d,e,f\r\n-1,-0.5,-0.1,-3,,-inf\r\n"


def test_what_is_no_text_but_written_as_a_formula_is_no_exception(tmp_path):
    write_csv(tmp_path / "a.csv", [{"a": Path("=1")}])
    assert (tmp_path / "a.csv").read_bytes() == b"a\r\n'=1\r\n"


def test_a_folder_is_claimed_by_one_alone(tmp_path):
    folders = [claim(tmp_path / "new" / "12-00-00_none") for _ in range(3)]
    assert [folder.name for folder in folders] == [
        "12-00-00_none", "12-00-00_none_2", "12-00-00_none_3",
    ]  # fmt: skip
    assert names(tmp_path / "new") == [folder.name for folder in folders]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        claim(tmp_path / "file" / "runs" / "12-00-00_none")


def test_a_folder_with_a_run_is_not_written_into(tmp_path):
    RunFolder(tmp_path / "sweep" / "0_none_seed0").start(CFG)
    before = (tmp_path / "sweep" / "0_none_seed0" / "provenance.json").read_bytes()
    with pytest.raises(ConfigError, match=r"hydra.run.dir=.*there are runs in this folder"):
        refuse_runs(tmp_path / "sweep" / "0_none_seed0", "hydra.run.dir")
    with pytest.raises(ConfigError, match=r"hydra.sweep.dir=.*there are runs in this folder"):
        refuse_runs(tmp_path / "sweep", "hydra.sweep.dir")
    assert (tmp_path / "sweep" / "0_none_seed0" / "provenance.json").read_bytes() == before


def test_a_run_folder_says_how_it_was_started_and_how_it_ended(tmp_path):
    run = RunFolder(tmp_path / "0_none_seed0")
    run.start(CFG)
    found = read_run(run.path)
    assert found["config"] == CFG
    assert found["folder"] == run.path
    assert found["metrics"] is None
    assert found["provenance"]["status"] == "running"
    wanted = {"started", "command", "git_commit", "python", "packages", "processors"}
    assert wanted <= set(found["provenance"])
    assert {"torch", "numpy", "fer-lit"} <= set(found["provenance"]["packages"])

    write_json(run.path / "metrics.json", {"data": "synthetic"})
    run.record(device="cpu")
    run.record(status="finished", seconds={"total": 1.5})
    found = read_run(run.path)
    assert found["metrics"] == {"data": "synthetic"}
    assert (found["provenance"]["device"], found["provenance"]["status"]) == ("cpu", "finished")
    assert wanted <= set(found["provenance"])
    assert run.figures.is_dir()


def test_a_failed_run_keeps_its_error_and_traceback(tmp_path):
    run = RunFolder(tmp_path / "0_none_seed0")
    run.start(CFG)
    try:
        raise ConfigError("data.root: nothing  there")
    except ConfigError as error:
        run.fail(error, one_line(error))
    found = read_run(run.path)["provenance"]
    assert (found["status"], found["error"]) == ("failed", "data.root: nothing there")
    trace = (run.path / "error.txt").read_text(encoding="utf-8")
    assert trace.startswith("Traceback")
    assert "test_a_failed_run_keeps_its_error_and_traceback" in trace


def test_the_runs_of_a_sweep_are_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2, 0, 11, 1):
        RunFolder(tmp_path / f"{number}_none_seed{number}").start(CFG)
    (tmp_path / "summary.csv").touch()
    (tmp_path / "3_never_started").mkdir()
    found = [run["folder"].name.split("_")[0] for run in read_sweep(tmp_path)[0]]
    assert found == ["0", "1", "2", "9", "10", "11"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("seed=-1: must be  a whole number"), "seed=-1: must be a whole number"),
        (ValueError("bad\n\tthing"), "ValueError: bad thing"),
        (KeyError("view"), "KeyError: 'view'"),
        (RuntimeError("a  b"), "RuntimeError: a b"),
    ],
)
def test_an_error_is_one_line_that_names_its_kind(error, line):
    assert one_line(error) == line
