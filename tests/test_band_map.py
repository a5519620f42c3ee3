"""The band map: its sweep, what it is computed of, and what it says."""

import numpy as np
import pandas as pd
import pytest
from helpers.command import CONF
from helpers.figures import EMOTIONS, SEVEN, assert_readable
from helpers.run_folders import run
from helpers.warm import train
from hydra import initialize_config_dir

from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.band_map import band_findings, draw_band_map
from fer_lit.analysis.chapters.band_runs import (
    WITHOUT,
    Place,
    band_table,
    find_bands,
    own_predictions,
)
from fer_lit.analysis.selection import select_runs
from fer_lit.cli import analyze as analyze_command
from fer_lit.cli import train as train_command
from fer_lit.errors import ConfigError
from fer_lit.runs.predictions import prediction_frame

POSITIONS = [(f"band{top}", 10) for top in range(0, 39, 2)]


@pytest.fixture
def jobs(monkeypatch):
    """A function: arguments → name and height of each job's occlusion, and what Hydra gets."""
    composed = []
    monkeypatch.setattr(train_command, "_have_faces", lambda cfgs: not composed.extend(cfgs))

    def checked(*arguments):
        composed.clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            given = train_command.checked(["experiment=band_map", *arguments])
        assert {(cfg.data.image_size, cfg.features.views) for cfg in composed} == {(112, 0)}
        return [(cfg.occlusion.name, cfg.occlusion.height) for cfg in composed], given

    return checked


def test_the_experiment_sweeps_the_band_by_itself(jobs):
    assert jobs("-m") == (POSITIONS, ["-m", "experiment=band_map"])


def test_without_a_band_nothing_is_swept(jobs):
    assert jobs()[0] == jobs("occlusion=none")[0] == [("none", 0)]
    occlusions, given = jobs("-m", "occlusion=none", "seed=0,1")
    assert occlusions == [("none", 0)] * 2
    assert "hydra.sweeper.params=null" in given  # else Hydra would train each of them 20 times


def test_rows_that_are_typed_replace_those_of_the_experiment(jobs):
    occlusions, given = jobs("-m", "occlusion.top=4,30", "occlusion.height=8")
    assert occlusions == [("band4", 8), ("band30", 8)]
    assert {"hydra.sweeper.params=null", "occlusion=band", "occlusion.top=4,30"} <= set(given)


def test_the_demo_slides_the_band_over_drawn_faces(monkeypatch):
    monkeypatch.setattr(train_command, "_have_faces", lambda cfgs: False)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        given = train_command.checked(["-m", "experiment=band_map"])
    assert given == ["-m", "experiment=demo", "occlusion=band", "occlusion.top=range(0,39,2)"]


def rows_of(table):
    return {(row["kind"], row["fill"], row["top"], row["emotion"]): row for row in records(table)}


def guesses(right, names=None):
    """Predictions for faces, the first half of them angry, as right as is said."""
    labels = np.arange(len(right)) * 2 // len(right)
    said = np.where(right, labels, 1 - labels)
    names = names or [*map(str, range(len(right)))]
    return prediction_frame(list(names), labels, np.eye(2)[said], ("angry", "happy"))


def test_the_table_has_shares_intervals_and_drops():
    predicted = {
        WITHOUT: {0: guesses([1, 1, 1, 1])},
        Place("trained", "noise", 30): {0: guesses([1, 0, 1, 1]), 1: guesses([1], names="0")},
        Place("tested", "blur", 30): {0: guesses([0, 0, 1, 1])},
    }
    rows = rows_of(band_table(predicted, 10, dict.fromkeys(predicted)))
    assert len(rows) == 9
    row = rows["trained", "noise", 30, "all"]
    assert (row["seeds"], row["faces"], row["accuracy"], row["height"]) == (2, 4, 0.875, 10)
    assert row["low"] < 0.875 < row["high"]  # of the mean of 3 of 4 and 1 of 1
    assert row["drop"] == 0.25 and row["drop_low"] <= 0.25 <= row["drop_high"]  # of seed 0
    assert rows["trained", "noise", 30, "angry"]["accuracy"] == 0.75
    assert rows["tested", "blur", 30, "angry"]["drop"] == 1
    assert rows["tested", "blur", 30, "happy"]["drop"] == 0
    reference = rows["reference", None, None, "all"]
    assert reference["accuracy"] == 1 and reference["height"] is reference["drop"] is None


def test_without_a_reference_there_are_no_drops():
    place = Place("trained", "noise", 0)
    table = band_table({place: {0: guesses([1, 0])}}, 10, {place: None})
    assert {row["drop"] for row in records(table)} == {None}
    (statement,) = band_findings(table)
    assert statement.text == (
        "Networks trained under the band (noise) do worst where it covers rows 0 to 9: accuracy "
        "50.0 % (95 % interval 9.5 % to 90.5 %)."
    )


def map_rows(costs, emotions=("angry", "happy"), tops=range(0, 39, 2)):
    """A table in which covering rows 30 to 39 costs what is said, and nothing else does."""
    rows = []
    for emotion in ("all", *emotions):
        key = {"emotion": emotion, "seeds": 1, "faces": 100}
        rows.append(
            {**dict(zip(Place._fields, WITHOUT, strict=True)), "height": None, **key}
            | {"accuracy": 0.8, "low": 0.78, "high": 0.82}
            | dict.fromkeys(("drop", "drop_low", "drop_high"))
        )
        for (kind, fill), cost in costs.items():
            for top in tops:
                drop = cost * (top == 30)
                rows.append(
                    {"kind": kind, "fill": fill, "top": top, "height": 10, **key}
                    | {"accuracy": 0.8 - drop, "low": 0.78 - drop, "high": 0.82 - drop}
                    | {"drop": drop, "drop_low": drop - 0.01, "drop_high": drop + 0.01}
                )
    return as_table(rows)


def as_table(rows):
    return pd.DataFrame(rows).astype({"top": "Int64", "height": "Int64"})


COSTS = {
    ("trained", "noise"): 0.1,
    ("tested", "noise"): 0.4,
    ("tested", "gray"): 0.2,
    ("tested", "blur"): 0.05,
}


def test_findings_say_where_it_costs_most_and_what_training_takes_off():
    texts = [one.text for one in band_findings(map_rows(COSTS))]
    assert texts[0] == (
        "Networks trained under the band (noise) do worst where it covers rows 30 to 39: accuracy "
        "70.0 % (95 % interval 68.0 % to 72.0 %), 10.0 points below networks without occlusion "
        "(95 % interval of the drop 9.0 to 11.0)."
    )
    assert "angry 10.0 points (9.0 to 11.0) at rows 30 to 39" in texts[1]
    assert [
        f"tested under the band ({fill})" in text
        for fill, text in zip(("noise", "gray", "blur"), texts[2:5], strict=True)
    ] == [True] * 3
    eyes, mouth = texts[5:]
    assert eyes.startswith("At the eyes (rows 10 to 19)") and "of what" not in eyes
    assert mouth.endswith(
        "noise 40.0 points (39.0 to 41.0), gray 20.0 points (19.0 to 21.0), blur 5.0 points "
        "(4.0 to 6.0); and networks trained under its noise: 10.0 points (9.0 to 11.0), 25.0 % of "
        "what the noise costs the others."
    )


def test_findings_of_one_kind_of_network_alone():
    trained = {key: cost for key, cost in COSTS.items() if key[0] == "trained"}
    assert len(band_findings(map_rows(trained))) == 2
    tested = {key: cost for key, cost in COSTS.items() if key[0] == "tested"}
    assert band_findings(map_rows(tested))[-1].text.endswith("blur 5.0 points (4.0 to 6.0).")


def test_curves_lie_at_the_middle_of_the_band_beside_the_face():
    face = np.arange(48 * 48, dtype=float).reshape(48, 48)
    figure = draw_band_map(map_rows(COSTS), face)
    beside, *panels = figure.axes
    assert len(beside.images) == 1
    assert [axis.get_title() for axis in panels] == ["all emotions", "angry", "happy"]
    assert beside.get_ylim() == panels[0].get_ylim() == (47.5, -0.5)
    for axis in panels:
        curves = [line for line in axis.lines if len(line.get_ydata()) == 20]
        assert [min(line.get_xdata()) for line in curves] == pytest.approx([70, 40, 60, 75])
        for line in curves:
            assert line.get_ydata()[line.get_xdata().argmin()] == 34.5  # of rows 30 to 39
        assert any(list(line.get_xdata()) == [80, 80] for line in axis.lines)
        low, high = axis.get_xlim()
        assert low < 38 and high > 82
    assert len({line.get_color() for line in panels[0].lines[-4:]}) == 4


@pytest.mark.parametrize("emotions", [EMOTIONS, SEVEN], ids=len)
@pytest.mark.parametrize("face", [None, np.zeros((48, 48))], ids=["alone", "face"])
def test_a_band_map_of_any_size_can_be_read(emotions, face):
    assert_readable(draw_band_map(map_rows(COSTS, emotions), face))


def test_a_map_of_one_position_or_without_faces_can_be_drawn():
    rows = records(map_rows({("trained", "noise"): 0.1}, tops=[30]))
    rows += [row | {"emotion": "sad", "accuracy": None, "low": None, "high": None} for row in rows]
    figure = draw_band_map(as_table(rows), None)
    figure.draw_without_rendering()
    assert figure.axes[0].lines[-1].get_marker() == "o"


@pytest.fixture
def bands_of(tmp_path):
    """A function: overrides of runs → the bands among them, and the notes."""

    def find(*runs):
        for number, overrides in enumerate(runs):
            run(tmp_path / f"{number}_x", *overrides)
        return find_bands(select_runs(str(tmp_path), "outputs"))

    return find


def band(top, *others):
    return "occlusion=band", f"occlusion.top={top}", *others


def test_the_bands_are_those_trained_under(bands_of):
    bands, notes = bands_of(band(30), band(4), ["occlusion=none"], ["occlusion=eyes"], band(10))
    assert bands.tops == [4, 10, 30] and bands.height == 10
    assert bands.reference.label == "none"
    (note,) = notes
    assert note in (
        "eyes is left out: it covers the same rows as band10",
        "band10 is left out: it covers the same rows as eyes",
    )
    predicted = own_predictions(bands)
    assert next(iter(predicted)) == WITHOUT and len(predicted) == 4


def test_without_trained_bands_the_positions_are_those_of_the_experiment(bands_of):
    bands, notes = bands_of(["occlusion=none"], ["occlusion=mask"])
    assert bands.tops == list(range(0, 39, 2)) and bands.height == 10
    assert notes[0] == "mask is left out: its band does not cover the whole width"
    assert "train them with: python train.py -m experiment=band_map" in notes[1]


def test_without_a_network_without_occlusion_it_says_how_to_train_it(bands_of):
    bands, (note,) = bands_of(band(30))
    assert bands.reference is None
    assert "python train.py experiment=band_map occlusion=none" in note


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([["occlusion=mask"]], "there is no run without occlusion and none under a band"),
        ([band(3), band(5, "occlusion.height=8")], "the heights in rows of the bands are 8 and 10"),
        (
            [band(3), band(5, "occlusion.noise_seed=1")],
            "the noise seeds of the bands are 0 and 1",
        ),
        (
            [["occlusion=none", "features.test_views=[0,1]"]],
            r"none averages its predictions over views \[0, 1\]",
        ),
        (
            [["occlusion=none", "model.lr=0.1"], band(3)],
            "none lr=0.1 and band3 lr=0.001 differ in more than where the band lies",
        ),
    ],
)
def test_runs_that_make_no_band_map_are_refused(bands_of, runs, message):
    with pytest.raises(ConfigError, match=message):
        bands_of(*runs)


def test_own_pictures_and_a_band_map_are_two_analyses():
    with (
        initialize_config_dir(str(CONF), version_base="1.3"),
        pytest.raises(ConfigError, match="band_map=true: leave out images"),
    ):
        analyze_command.checked(["band_map=true", "images=me.jpg"])


def test_the_real_sweep_names_its_runs_after_their_rows(tmp_path):
    process = train(
        tmp_path,
        *("-m", "experiment=band_map", "occlusion.top=0,38", "data=synthetic", "data.count=30"),
        *("data.image_size=32", "model.weights=null", "model.taps=[conv1/1]", "logger=csv"),
        "trainer.max_epochs=1",
    )
    assert process.returncode == 0, process.stdout + process.stderr
    runs = {path.parent.name for path in tmp_path.glob("outputs/sweeps/*/*/predictions.csv")}
    assert runs == {"0_band0_seed0", "1_band38_seed0"}
    following = "Next: python train.py occlusion=none experiment=band_map data=synthetic"
    assert process.stdout.splitlines()[-1].startswith(following)
