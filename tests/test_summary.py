"""The table of a sweep, from run folders made by hand."""

from pathlib import Path

import pytest
from helpers.command import CONF
from omegaconf import OmegaConf

from fer_lit.files import write_json
from fer_lit.paper import ACCURACY
from fer_lit.runs.reading import read_run
from fer_lit.runs.summary import markdown, summary_rows

CLASSES = ["angry", "happy", "neutral"]


@pytest.fixture
def run(tmp_path):
    """Make a run folder and read it."""

    def make(
        name: str,
        *,
        occlusion: str = "none",
        data: str = "fer2013",
        classes: list[str] = CLASSES,
        matrix: list[list[int]] | None = None,
        recall: dict[str, float] | None = None,
        status: str = "finished",
        options: dict | None = None,
    ):
        folder = tmp_path / name
        folder.mkdir()
        cfg = {
            "seed": 0,
            "data": {"name": data, "classes": classes},
            "occlusion": OmegaConf.load(CONF / "occlusion" / f"{occlusion}.yaml"),
            "model": {"lr": 0.001, "taps": ["inception5b/1"]},
        }
        cfg = OmegaConf.merge(cfg, OmegaConf.create(options or {}))
        OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
        facts = {"status": status}
        if status == "finished":
            facts["seconds"] = {"training": 1.0, "total": 12.345}
            write_json(folder / "metrics.json", metrics(matrix, recall or {}))
        write_json(folder / "provenance.json", facts)
        return read_run(Path(folder))

    return make


def metrics(matrix, recall):
    matrix = matrix or [[30, 20, 0], [10, 20, 20], [0, 0, 0]]  # 50 of 100 right
    return {
        "faces": {"train": 7, "validation": sum(map(sum, matrix))},
        "validation": {
            "accuracy": 0.123,  # rounded in the file; the counts are exact
            "macro_f1": 0.45,
            "recall": recall or {"angry": 0.6, "happy": 0.4, "neutral": 0.0},
            "confusion_matrix": matrix,
        },
    }


@pytest.mark.parametrize(
    ("right", "wrong", "accuracy", "low", "high"),
    [
        (50, 50, 50.0, 40.38, 59.62),
        (10, 0, 100.0, 72.25, 100.0),
        (0, 10, 0.0, 0.0, 27.75),
        (81, 182, 30.80, 25.53, 36.62),  # Newcombe 1998, table I
        (15, 133, 10.14, 6.24, 16.05),  # Newcombe 1998, table I
        (1, 29, 3.33, 0.59, 16.67),  # Newcombe 1998, table I
    ],
)
def test_accuracy_has_its_wilson_interval(run, right, wrong, accuracy, low, high):
    (row,) = summary_rows([run("0_none_seed0", matrix=[[right, wrong, 0], [0] * 3, [0] * 3])])
    assert (row["accuracy"], row["low"], row["high"]) == pytest.approx(
        (accuracy, low, high), abs=0.006
    )


def test_a_run_that_was_validated_on_some_faces_only_is_marked(run, tmp_path):
    whole = run("0_none_seed0")
    whole["metrics"]["faces"]["validation"] = 140
    (row,) = summary_rows([whole])
    assert row["accuracy"] == 50  # of the 100 that were seen
    assert row["status"] == "partial: validated on 100 of 140 faces"


def test_a_row_has_all_figures_in_percent(run):
    (row,) = summary_rows([run("0_mouth_seed0", occlusion="mouth")])
    assert row == {
        "run": "0_mouth_seed0",
        "data": "fer2013",
        "occlusion": "mouth",
        "status": "finished",
        "accuracy": 50,
        "low": pytest.approx(40.38, abs=0.005),
        "high": pytest.approx(59.62, abs=0.005),
        "macro_f1": 45,
        "recall_angry": 60,
        "recall_happy": 40,
        "recall_neutral": 0,
        "seconds": 12.345,
        "paper": 52.10,
    }


@pytest.mark.parametrize(
    ("options", "paper"),
    [
        ({}, [74.20, 72.01, 70.21, 52.10, None]),
        ({"data": "synthetic"}, [None] * 5),
        ({"classes": ["angry", "happy"]}, [None] * 5),
        ({"classes": ["angry", "happy", "sad"]}, [None] * 5),
    ],
)
def test_the_papers_figures_stand_beside_photographs_of_its_emotions_only(run, options, paper):
    names = [*ACCURACY, "mask"]
    recall = dict.fromkeys(options.get("classes", CLASSES), 0.5)
    rows = summary_rows(
        [
            run(f"{i}_{name}", occlusion=name, recall=recall, **options)
            for i, name in enumerate(names)
        ]
    )
    assert names == ["none", "eyes", "nose", "mouth", "mask"]
    assert [row["paper"] for row in rows] == paper


@pytest.mark.parametrize("status", ["failed", "running", "interrupted"])
def test_a_run_that_did_not_finish_has_a_status_and_no_figures(run, status):
    good = run("0_none_seed0")
    bad = run("1_eyes_seed0", occlusion="eyes", status=status)
    write_json(bad["folder"] / "metrics.json", {"left": "over"})
    rows = summary_rows([good, read_run(bad["folder"])])
    assert [list(row) for row in rows] == [list(rows[0])] * 2
    figures = ("accuracy", "low", "high", "macro_f1", "recall_angry", "seconds")
    assert {key: value for key, value in rows[1].items() if key not in figures} == {
        "run": "1_eyes_seed0",
        "data": "fer2013",
        "occlusion": "eyes",
        "status": status,
        "recall_happy": None,
        "recall_neutral": None,
        "paper": 72.01,
    }
    assert [rows[1][key] for key in figures] == [None] * len(figures)


def test_the_accuracy_on_test_faces_is_a_column_if_a_run_has_any(run):
    tested, untested = run("0_none"), run("1_none")
    tested["metrics"]["test"] = {"accuracy": 0.625}
    rows = summary_rows([tested, untested])
    assert [row["test"] for row in rows] == [62.5, None]
    assert list(rows[0])[-3:] == ["test", "seconds", "paper"]
    assert "test" not in summary_rows([untested])[0]


def test_options_that_differ_are_columns_and_those_of_the_occlusion_are_not(run):
    rows = summary_rows(
        [
            run("0_none", options={"seed": 0}),
            run("1_mouth", occlusion="mouth", options={"seed": 1}),
            run("2_none", options={"seed": 1, "model": {"lr": 0.01, "taps": ["maxpool1/4"]}}),
        ]
    )
    assert list(rows[0]) == [
        "run",
        "data",
        "occlusion",
        "seed",
        "model.lr",
        "model.taps",
        "status",
        *("accuracy", "low", "high", "macro_f1"),
        *("recall_angry", "recall_happy", "recall_neutral"),
        "seconds",
        "paper",
    ]
    assert [row["seed"] for row in rows] == ["0", "1", "1"]
    assert [row["model.lr"] for row in rows] == ["0.001", "0.001", "0.01"]
    assert [row["model.taps"] for row in rows] == [
        "[inception5b/1]",
        "[inception5b/1]",
        "[maxpool1/4]",
    ]


def test_an_option_that_equals_another_of_its_name_by_chance_does_not_vary(run):
    """The seed of the augmentation is that of the first run, and not of the second."""
    options = [{"seed": seed, "augmentation": {"seed": 0}} for seed in (0, 1)]
    names = list(summary_rows([run(f"{one['seed']}", options=one) for one in options])[0])
    assert "seed" in names and "augmentation.seed" not in names


def test_an_option_that_is_held_twice_is_one_column(run):
    options = [{"model": {"hidden": n, "head": {"hidden": n}}} for n in (8, 16)]
    names = list(summary_rows([run(f"{n}", options=one) for n, one in enumerate(options)])[0])
    assert "model.hidden" in names and "model.head.hidden" not in names


def test_runs_of_different_emotions_share_a_table(run):
    rows = summary_rows(
        [
            run("0_none", classes=["happy", "sad"], recall={"happy": 0.5, "sad": 0.25}),
            run("1_none", classes=["sad", "fear"], recall={"sad": 1.0, "fear": 0.0}),
        ]
    )
    found = [[row[f"recall_{name}"] for name in ("happy", "sad", "fear")] for row in rows]
    assert found == [[50, 25, None], [None, 100, 0]]


def test_the_table_in_markdown():
    rows = [
        {"run": "0_none_seed0", "accuracy": 50.0, "seconds": 1.005, "paper": 74.2},
        {"run": "1_mask_seed0", "accuracy": None, "seconds": 3, "paper": None},
    ]
    assert markdown(rows) == (
        "| run | accuracy | seconds | paper |\n"
        "| --- | --- | --- | --- |\n"
        "| 0_none_seed0 | 50.00 | 1.00 | 74.20 |\n"
        "| 1_mask_seed0 |  | 3 |  |\n"
    )


def test_bands_of_one_name_can_be_told_apart(run):
    tops = [{"occlusion": {"name": "band", "top": top}} for top in (0, 10)]
    bands = [run(f"{i}_band", occlusion="band", options=top) for i, top in enumerate(tops)]
    assert [row["occlusion.top"] for row in summary_rows(bands)] == ["0", "10"]


def test_a_changed_band_is_not_the_papers(run):
    (row,) = summary_rows([run("0", occlusion="mouth", options={"occlusion": {"fill": "black"}})])
    assert row["paper"] is None
