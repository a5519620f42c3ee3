"""Accuracy, its tests between conditions, and the predictions that both come from."""

import math
import os
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers.predictions import EMOTIONS, accuracies, guesses, outcome
from scipy.stats import bootstrap
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.accuracy import confusion_table
from fer_lit.analysis.chapters.calibration import calibration_table
from fer_lit.analysis.chapters.differences import drop_table
from fer_lit.analysis.chapters.paired_tests import paired_test_table
from fer_lit.analysis.scores import scores
from fer_lit.errors import ConfigError
from fer_lit.runs.predictions import (
    each_once,
    join_predictions,
    matched,
    prediction_frame,
    probability_columns,
    read_predictions,
    write_predictions,
)


def calibration(predictions, **options):
    return records(calibration_table(join_predictions(predictions), **options))


def drops(predictions, reference="none", ratio=None):
    references, ratios = dict.fromkeys(predictions, reference), dict.fromkeys(predictions, ratio)
    return records(drop_table(join_predictions(predictions), references, ratios))


def compare(**right):
    return compare_all({name: {0: outcome(one)} for name, one in right.items()})


def compare_all(predictions):
    """Test every pair, and all conditions together."""
    pairs = list(combinations(predictions, 2))
    sets = {"none": list(predictions)}
    table, notes = paired_test_table(join_predictions(predictions), pairs, sets)
    return records(table), notes


def of_counts(rows):
    """Leave out the linear probability model, which has tests of its own."""
    return [row for row in rows if row["test"] != "linear probability"]


def by_pair(rows):
    return {(row["a"], row["b"]): row for row in rows if row["test"] == "McNemar"}


def test_the_most_probable_emotion_is_the_prediction():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])
    found = prediction_frame(["a", "b", "c"], np.array([0, 1, 0]), probabilities, EMOTIONS)
    assert found["prediction"].tolist() == ["angry", "neutral", "angry"]
    assert found["right"].tolist() == [True, False, True]


def test_photographs_are_matched_in_every_seed_and_come_first_once():
    none = {
        2: guesses([0, 1], [1, 1], names="bc"),
        0: guesses([0, 0], [0, 1], names="ba"),
    }
    eyes = {
        0: guesses([0, 0], [0, 1], names="ab"),
        2: guesses([1, 0], [1, 0], names="cb"),
    }
    right = matched(join_predictions({"none": none, "eyes": eyes}), ("eyes", "none"), [0, 2])
    assert right.to_records().tolist() == [
        (0, "a", "angry", True, False),
        (0, "b", "angry", False, True),
        (2, "b", "angry", True, False),
        (2, "c", "happy", True, True),
    ]
    assert each_once(right).index.get_level_values("image").tolist() == ["a", "b", "c"]
    assert each_once(right)["eyes"].tolist() == [True, False, True]  # b as seed 0 has it


def test_accuracy_by_hand():
    labels = [0] * 4 + [1] * 4 + [2] * 2
    predicted = [0, 0, 0, 1, 1, 1, 2, 2, 2, 0]
    (row,) = accuracies({"none": {0: guesses(labels, predicted)}})
    # Angry: 3 right of 4 labels and 4 predictions; happy: 2 of 4 and 3; neutral: 1 of 2 and 3.
    assert row == {
        "condition": "none",
        "seeds": 1,
        "faces": 10,
        "accuracy": 0.6,
        "low": pytest.approx(0.3127, abs=5e-5),  # (0.6 + 0.19207 ∓ 0.35929) / 1.38415
        "high": pytest.approx(0.8318, abs=5e-5),
        "interval": "faces",
        "sd": None,
        "baseline": 0.4,
        "balanced_accuracy": pytest.approx((0.75 + 0.5 + 0.5) / 3),
        "macro_f1": pytest.approx((3 / 4 + 4 / 7 + 2 / 5) / 3),
        # Of two probabilities each curve has one corner: half of the recalls of both sides.
        "auc": pytest.approx(((3 / 4 + 5 / 6) + (2 / 4 + 5 / 6) + (1 / 2 + 6 / 8)) / 6),
        "log_loss": pytest.approx(-0.6 * math.log(0.8) - 0.4 * math.log(0.1)),
        "ece": pytest.approx(0.2),
        "recall_angry": 0.75,
        "recall_happy": 0.5,
        "recall_neutral": 0.5,
    }


def test_the_interval_is_wilsons():
    (row,) = accuracies({"none": {0: outcome([1] * 81 + [0] * 182)}})
    # Newcombe 1998, table I
    assert (row["low"], row["high"]) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_every_score_is_the_mean_of_the_networks():
    runs = {
        1: outcome([1, 1, 1, 0], names="abcd", confidence=0.9),
        0: outcome([1, 0], names="ab", confidence=0.6),
    }
    (row,) = accuracies({"eyes": runs})
    assert (row["seeds"], row["faces"]) == (2, 4)
    assert row["accuracy"] == row["recall_angry"] == pytest.approx(0.625)
    assert row["sd"] == pytest.approx(0.125 * math.sqrt(2))
    assert row["ece"] == pytest.approx((0.15 + 0.1) / 2)
    losses = (3 * math.log(0.9) + math.log(0.05)) / 4, (math.log(0.6) + math.log(0.2)) / 2
    assert row["log_loss"] == pytest.approx(-sum(losses) / 2)


def test_an_emotion_without_faces_has_no_recall():
    (row,) = accuracies({"none": {0: guesses([0, 0, 1], [0, 1, 1])}})
    assert (row["recall_angry"], row["recall_happy"], row["recall_neutral"]) == (0.5, 1, None)
    assert row["macro_f1"] == pytest.approx(2 / 3)  # of the two that there are
    assert (row["balanced_accuracy"], row["auc"]) == (0.75, 0.75)
    (one,) = accuracies({"none": {0: outcome([1, 0])}})
    assert (one["baseline"], one["auc"]) == (1, None)  # nothing to tell angry faces from


def test_the_areas_and_losses_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, table = rng.integers(0, 3, 200), rng.dirichlet(np.ones(3), 200)
    found = scores(prediction_frame([*map(str, range(200))], labels, table, EMOTIONS))
    area = roc_auc_score(labels, table, multi_class="ovr", average="macro")
    assert found["auc"] == pytest.approx(area)
    assert found["log_loss"] == pytest.approx(log_loss(labels, table))
    predicted = table.argmax(axis=1)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))


def test_a_network_that_is_sure_and_wrong_has_a_finite_loss():
    (row,) = accuracies({"none": {0: outcome([1, 0], confidence=1.0)}})
    assert row["log_loss"] == pytest.approx(-math.log(2**-52) / 2)


def test_calibration_by_hand():
    sure = outcome([1, 1, 1, 0], names="abcd", confidence=0.9)
    unsure = outcome([1] * 5 + [0], names="efghij", confidence=0.58)
    run = pd.concat([sure, unsure])
    sure_bin = {"confidence": pytest.approx(0.9), "accuracy": 0.75, "predictions": 4}
    assert calibration({"nose": {0: run}}) == [
        {
            "condition": "nose",
            "confidence": pytest.approx(0.58),
            "accuracy": pytest.approx(5 / 6),
            "predictions": 6,
        },
        {"condition": "nose", **sure_bin},
    ]
    twice = calibration({"nose": {0: run, 1: sure}})  # all networks' predictions
    assert twice[1]["predictions"] == 8
    assert [row["predictions"] for row in calibration({"nose": {0: run}}, bins=2)] == [10]
    (row,) = accuracies({"nose": {0: run}})
    assert row["ece"] == pytest.approx((6 * (5 / 6 - 0.58) + 4 * (0.9 - 0.75)) / 10)


@pytest.mark.parametrize("right", [[1, 1], [0, 0]])
def test_calibration_of_networks_that_are_always_right_or_never(right):
    run = outcome(right, confidence=1.0)
    (row,) = calibration({"none": {0: run}})
    assert row == {"condition": "none", "confidence": 1, "accuracy": right[0], "predictions": 2}
    assert accuracies({"none": {0: run}})[0]["ece"] == 1 - right[0]


def test_a_rounding_error_above_one_does_not_make_logits_of_probabilities():
    run = outcome([1, 1], confidence=1 + 1e-12)
    assert accuracies({"none": {0: run}})[0]["ece"] == pytest.approx(0)
    assert calibration({"none": {0: run}})[0]["confidence"] == 1


def test_confusion_by_hand():
    first = guesses([0, 0, 1, 1], [0, 2, 1, 0], names="abcd")
    later = guesses([0, 1], [1, 2], names="ae")  # a once more
    table = confusion_table(join_predictions({"none": {0: first, 1: later}, "eyes": {1: later}}))
    counts = {name: own["predictions"].to_numpy() for name, own in table.groupby("condition")}
    assert {name: own.reshape(3, 3).tolist() for name, own in counts.items()} == {
        "none": [[1, 1, 1], [1, 1, 1], [0, 0, 0]],
        "eyes": [[0, 1, 0], [0, 0, 1], [0, 0, 0]],
    }
    assert all(own.dtype == np.int64 for own in counts.values())
    assert len(table) == 18
    wanted = {"condition": "none", "label": EMOTIONS[1], "prediction": EMOTIONS[0]} | {
        "predictions": 1
    }
    assert wanted in records(table)


def test_the_drop_of_each_emotion_by_hand():
    labels = [0] * 4 + [1] * 2
    rows = drops(
        {
            "none": {0: guesses(labels, [0, 0, 0, 1, 1, 0])},
            "mouth": {0: guesses(labels, [0, 1, 1, 1, 1, 1])},
        }
    )
    names = ("condition", "emotion", "faces", "recall", "reference_recall", "drop")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("mouth", "angry", 4, 0.25, 0.75, 0.5),
        ("mouth", "happy", 2, 1.0, 0.5, -0.5),
        ("mouth", "neutral", 0, None, None, None),
        ("mouth", "all", 6, 0.5, pytest.approx(4 / 6), pytest.approx(1 / 6)),
    ]
    # Residuals of 0.5: (16 · 4 · 0.125² + 0.5² + 1.5²) ÷ (4 + 2)²; Student's t of 5 is 2.5706.
    half = 2.5706 * math.sqrt(3.5 / 36)
    assert (rows[0]["low"], rows[0]["high"]) == pytest.approx((0.5 - half, 1), abs=1e-4)
    assert [rows[2][name] for name in ("low", "high", "interval")] == [None] * 3


def test_of_many_faces_the_interval_of_the_drop_is_the_paired_bootstraps():
    rng = np.random.default_rng(1)
    without, covered = rng.random(1000) < 0.8, rng.random(1000) < 0.6
    data = {"none": {0: outcome(without)}, "eyes": {0: outcome(covered)}}
    row = drops(data)[-1]
    known = bootstrap(
        (without, covered),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert (row["low"], row["high"]) == pytest.approx((known.low, known.high), abs=0.004)


def test_nothing_drops_if_the_predictions_are_the_same():
    run = outcome([1, 0, 1, 1])
    row = drops({"none": {0: run}, "eyes": {0: run}})[-1]
    assert row["drop"] == 0
    assert row["high"] == -row["low"] == pytest.approx(2.5706 * math.sqrt(2) / 6, abs=1e-4)


def test_the_drop_from_another_reference():
    data = {"none": {0: outcome([1, 1])}, "eyes": {0: outcome([0, 1])}}
    (row,) = (row for row in drops(data, "eyes") if row["emotion"] == "all")
    assert (row["condition"], row["drop"]) == ("none", -0.5)
    assert drops(data, "nose") == []


def test_the_drop_is_paired_by_seed_and_photograph():
    none = {0: outcome([1, 1, 0], names="abc"), 1: outcome([0, 0, 0], names="def")}
    eyes = {0: outcome([0, 0, 1], names="cab"), 2: outcome([1, 1, 1], names="def")}
    rows = drops({"none": none, "eyes": eyes, "nose": {3: eyes[2]}})
    assert {row["condition"] for row in rows} == {"eyes"}
    assert rows[-1]["faces"] == 3
    assert rows[-1]["drop"] == pytest.approx(1 / 3)
    assert compare_all({"none": none, "eyes": eyes})[0][0]["only_a_right"] == 1


def test_mcnemar_of_few_photographs_is_exact():
    rows, notes = compare(none=[1] * 10 + [0] * 2 + [1, 0], eyes=[0] * 10 + [1] * 2 + [1, 0])
    rows = of_counts(rows)
    p = 2 * (1 + 12 + 66) / 2**12  # at most 2 of 12 tosses
    assert rows == [
        {
            "test": "McNemar",
            "a": "none",
            "b": "eyes",
            "predictions": 14,
            "only_a_right": 10,
            "only_b_right": 2,
            "statistic": 2,
            "p": pytest.approx(p),
            "p_holm": pytest.approx(p),
            "rejects": True,
        }
    ]
    assert notes == []


@pytest.mark.parametrize(
    ("only_a", "only_b", "statistic", "p"),
    [
        (30, 10, 19**2 / 40, math.erfc(math.sqrt(19**2 / 40 / 2))),
        (10, 15, 4**2 / 25, math.erfc(math.sqrt(4**2 / 25 / 2))),
        (9, 15, 9, 2 * sum(math.comb(24, k) for k in range(10)) / 2**24),
        (12, 12, 12, 1),
    ],
)
def test_mcnemar_of_many_photographs_is_corrected_for_continuity(only_a, only_b, statistic, p):
    rows, _ = compare(none=[1] * only_a + [0] * only_b, eyes=[0] * only_a + [1] * only_b)
    assert (rows[0]["statistic"], rows[0]["p"]) == pytest.approx((statistic, p))


def test_cochrans_q_by_hand():
    table = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 0]])
    rows, _ = compare(none=table[:, 0], eyes=table[:, 1], mouth=table[:, 2])
    # 2 (3 (4² + 4² + 1²) - 9²) / (3 · 9 - (2² + 2² + 1 + 3² + 1)); χ² of two degrees is exponential
    assert rows[0] == {
        "test": "Cochran's Q",
        "a": "none",
        "b": None,
        "predictions": 6,
        "only_a_right": None,
        "only_b_right": None,
        "statistic": pytest.approx(4.5),
        "p": pytest.approx(math.exp(-2.25)),
        "p_holm": None,
        "rejects": False,
    }
    assert [row["test"] for row in rows[1:]] == ["McNemar"] * 3 + ["linear probability"] * 3


def test_cochrans_q_rejects_where_one_condition_stands_out():
    rows, _ = compare(none=[1] * 9, eyes=[1] * 9, mouth=[0] * 9)
    assert rows[0]["p"] == pytest.approx(math.exp(-9))
    assert rows[0]["rejects"] is True


def test_holm_by_hand():
    eight, six = [0] * 8 + [1] * 4, [0] * 6 + [1] * 6
    rows, _ = compare(none=[1] * 12, eyes=eight, nose=six)
    rows = by_pair(rows)
    assert rows["none", "eyes"]["p"] == pytest.approx(2 / 2**8)
    assert rows["none", "nose"]["p"] == pytest.approx(2 / 2**6)
    assert rows["eyes", "nose"]["p"] == pytest.approx(2 / 2**2)
    assert {pair: (row["p_holm"], row["rejects"]) for pair, row in rows.items()} == {
        ("none", "eyes"): (pytest.approx(3 * 2 / 2**8), True),
        ("none", "nose"): (pytest.approx(2 * 2 / 2**6), False),
        ("eyes", "nose"): (pytest.approx(2 / 2**2), False),
    }


@pytest.mark.parametrize("right", [[1, 0, 1, 1], [1] * 4, [0] * 4])
def test_identical_predictions_give_p_of_one(right):
    rows, notes = compare(none=right, eyes=right, mouth=right)
    rows, models = of_counts(rows), rows[4:]
    assert [(row["statistic"], row["p"], row["rejects"]) for row in models] == [
        (None, None, False)
    ] * 3  # nothing varies
    assert [row["test"] for row in rows] == ["Cochran's Q", *["McNemar"] * 3]
    assert [(row["statistic"], row["p"], row["rejects"]) for row in rows] == [(0, 1, False)] * 4
    assert [row["p_holm"] for row in rows] == [None, 1, 1, 1]
    assert notes == []


def test_runs_are_paired_by_seed_and_each_photograph_counts_once():
    none = {0: outcome([1, 1], names="ab"), 1: outcome([0, 0, 1], names="abc")}
    eyes = {1: outcome([1, 1, 0], names="abc"), 0: outcome([0, 1], names="ab")}
    rows, notes = compare_all({"none": none, "eyes": eyes})
    assert (rows[0]["predictions"], rows[0]["only_a_right"], rows[0]["only_b_right"]) == (3, 2, 0)
    assert rows[1]["test"] == "linear probability" and rows[1]["predictions"] == 5
    assert notes == []


def test_what_is_not_paired_is_noted():
    faces = outcome([1, 0], names="ab")
    other = outcome([1, 0], names="ac")
    rows, notes = compare_all(
        {
            "none": {0: faces, 1: faces, 2: faces},
            "eyes": {0: faces, 1: other},
            "nose": {0: other},
            "mouth": {7: faces},
        }
    )
    assert list(by_pair(rows)) == [("none", "eyes")]
    assert len(rows) == 2
    assert notes == [
        "Cochran's Q none, McNemar none – mouth, McNemar eyes – mouth, McNemar nose – mouth: "
        "not tested, as no seed is in common",
        "McNemar none – eyes: without seed 2, as there is no such run of eyes",
        "McNemar none – eyes: without seed 1, whose held-out faces differ",
        "McNemar none – nose, McNemar eyes – nose: "
        "not tested, as the held-out faces differ in seed 0",
    ]


def test_a_seed_that_several_conditions_lack_is_noted_once():
    run = outcome([1, 0])
    _, notes = compare_all({"none": {0: run, 4: run}, "eyes": {0: run}, "mask": {0: run}})
    assert notes == [
        "Cochran's Q none: without seed 4, as there is no such run of eyes, mask",
        "McNemar none – eyes: without seed 4, as there is no such run of eyes",
        "McNemar none – mask: without seed 4, as there is no such run of mask",
    ]


def test_one_condition_has_nothing_to_be_compared_with():
    assert compare(none=[1, 0]) == ([], [])
    assert drops({"none": {0: outcome([1, 0])}}) == []


def test_the_predictions_of_a_run_are_read_back(tmp_path):
    faces = SimpleNamespace(
        names=("x", "y", "z"), labels=np.array([0, 2, 1]), classes=tuple(EMOTIONS)
    )
    probabilities = np.array([[0.25, 0.5, 0.25], [0.3333333, 0.3333333, 0.3333334]])
    write_predictions(tmp_path / "predictions.csv", faces, np.array([2, 1]), probabilities)
    found = read_predictions(tmp_path / "predictions.csv", EMOTIONS)
    assert found["image"].tolist() == ["z", "y"]
    assert found["label"].tolist() == ["happy", "neutral"]
    assert found["prediction"].tolist() == ["happy", "neutral"]
    assert found["right"].tolist() == [True, True]
    np.testing.assert_array_equal(found[probability_columns(EMOTIONS)], probabilities)


def test_names_that_begin_as_formulas_are_written_as_text_and_read_back(tmp_path):
    names, classes = ("=cmd.png", "'=cmd.png", "'a.png", "-1.png"), ("@a", "b")
    faces = SimpleNamespace(names=names, labels=np.array([0, 1, 0, 1]), classes=classes)
    probabilities = np.array([[1, 0], [1, 0], [0, 1], [0, 1.0]])
    path = tmp_path / "predictions.csv"
    write_predictions(path, faces, np.arange(4), probabilities)
    assert path.read_bytes().splitlines() == [
        b"image,label,prediction,probability_@a,probability_b",
        b"'=cmd.png,'@a,'@a,1.0,0.0",
        b"''=cmd.png,b,'@a,1.0,0.0",
        b"'a.png,'@a,b,0.0,1.0",
        b"'-1.png,b,b,0.0,1.0",
    ]
    found = read_predictions(path, classes)
    assert tuple(found["image"]) == names
    assert found["label"].tolist() == ["@a", "b", "@a", "b"]
    assert found["prediction"].tolist() == ["@a", "@a", "b", "b"]


def test_float32_is_written_in_its_shortest_form_and_read_back_to_it(tmp_path):
    faces = SimpleNamespace(names=("x",), labels=np.array([0]), classes=("a", "b", "c"))
    values = np.array([[0.9999999, 1e-7, 3.3333333e-20]], np.float32)
    path = tmp_path / "predictions.csv"
    write_predictions(path, faces, np.array([0]), values)
    assert path.read_bytes().splitlines()[1] == b"x,a,a,0.9999999,1e-07,3.3333333e-20"
    found = read_predictions(path, ["a", "b", "c"])
    columns = probability_columns(["a", "b", "c"])
    np.testing.assert_array_equal(found[columns].astype(np.float32), values)


def test_in_a_file_of_six_digits_the_stated_prediction_counts(tmp_path):
    """Files of older runs are rounded, so that two emotions can be equal."""
    path = tmp_path / "predictions.csv"
    header = "image,label,prediction,probability_a,probability_b"
    path.write_text(f"{header}\nx,b,b,0.500000,0.500000\n", encoding="utf-8")
    found = read_predictions(path, ["a", "b"])
    assert found["prediction"].tolist() == ["b"] and found["right"].tolist() == [True]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "not readable"),
        ("", "lacks column image, label, prediction, probability_a, probability_b (has )"),
        ("image,label,prediction,probability_a\nx,a,a,1", "lacks column probability_b (has image,"),
        ("image,label,prediction,probability_a,probability_b\n", "has no faces"),
        ("image,label,prediction,probability_a,probability_b\nx,c,a,1,0", "no such emotion: 'c'"),
        ("image,label,prediction,probability_a,probability_b\nx,a,a,1,", "to float: '' (emotions"),
        ("image,label,prediction,probability_a,probability_b\nx,a,a,1", ":2: has 4 cells instead"),
        ("image,label,prediction,probability_a,probability_b\nx,a,a,1,0,0", "has 6 cells instead"),
        ("x" * 70_000, ":1: not readable as CSV (a row of more than 65,536 characters); train"),
        (
            "image,label,prediction,probability_a,probability_b\nx,a,a,1,0\ny,a,a,nan,0",
            "a probability is not a number from 0 to 1 in face 2",
        ),
        (
            "image,label,prediction,probability_a,probability_b\nx,a,a,0.4,0.6",
            "the prediction is not the most probable emotion in face 1",
        ),
    ],
)
def test_a_file_that_cannot_be_predictions_is_refused_in_one_line(tmp_path, lines, message):
    path = tmp_path / "predictions.csv"
    if lines is not None:
        path.write_text(lines, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_predictions(path, ["a", "b"])
    assert message in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_predictions_of_too_many_faces_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "predictions.csv"
    path.touch()
    os.truncate(path, 2**29 + 1)  # sparse: nothing is written
    with pytest.raises(ConfigError) as refused:
        read_predictions(path, ["a", "b"])
    assert str(refused.value) == (
        f"{path}: not read: 536,870,913 bytes, and at most 536,870,912 are; train the run again"
    )
