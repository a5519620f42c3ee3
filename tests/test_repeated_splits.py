"""Statistics over repeated splits, against numbers computed by hand."""

import math

import numpy as np
import pytest
from helpers.predictions import accuracies, outcome
from scipy.stats import ttest_1samp

from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.costs import seed_test_table
from fer_lit.runs.predictions import join_predictions
from fer_lit.stats import corrected_variance, resampled_t

T_2 = 4.3027
"""Student's t of two degrees of freedom at 97.5 %, from a table."""


def runs(*right, faces=10):
    """Runs on other faces each, of which so many are right."""
    return {
        seed: outcome(
            [1] * count + [0] * (faces - count), names=[f"{seed} {i}" for i in range(faces)]
        )
        for seed, count in enumerate(right)
    }


def seed_tests(predictions, pairs, ratios):
    return records(seed_test_table(join_predictions(predictions), pairs, ratios))


def test_the_variance_by_hand():
    # s² of 1, 2, 3, 6 is 14/3
    assert corrected_variance([1, 2, 3, 6], 3 / 7) == pytest.approx((1 / 4 + 3 / 7) * 14 / 3)


def test_interval_and_test_by_hand():
    found = resampled_t([0.1, 0.2, 0.3], 0.25)
    error = math.sqrt(1 / 3 + 1 / 4) * 0.1
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx(
        (0.2 - T_2 * error, 0.2 + T_2 * error), abs=1e-5
    )
    t = 0.2 / error
    assert found.statistic == pytest.approx(t)
    assert found.p == pytest.approx(1 - t / math.sqrt(t**2 + 2))  # of two degrees of freedom


def test_without_overlap_it_is_students_t():
    values = np.random.default_rng(0).normal(0.5, 1, 9)
    plain, found = ttest_1samp(values, 0), resampled_t(values, 0)
    assert (found.statistic, found.p) == pytest.approx((plain.statistic, plain.pvalue))
    assert (found.low, found.high) == pytest.approx(plain.confidence_interval(0.95))


def test_the_interval_is_wider_by_the_known_factor():
    values = [0.7, 0.72, 0.69, 0.74, 0.71]
    plain, found = resampled_t(values, 0), resampled_t(values, 0.3 / 0.7)
    factor = math.sqrt(1 + 5 * 0.3 / 0.7)  # (1/J + n₂/n₁) ÷ 1/J
    assert (found.high - found.low) / (plain.high - plain.low) == pytest.approx(factor)


def test_without_a_spread_there_is_nothing_to_judge_by():
    assert resampled_t([0.5], 0.4) is None
    assert resampled_t([0.9 - 0.8, 0.8 - 0.7, 0.7 - 0.6], 0.4) is None  # but for rounding


def test_the_interval_of_the_mean_accuracy():
    (row,) = accuracies({"none": runs(60, 62, 64, faces=100)}, ratio=0.25)
    error = math.sqrt(1 / 3 + 1 / 4) * 0.02
    assert (row["mean"], row["mean_low"], row["mean_high"]) == pytest.approx(
        (0.62, 0.62 - T_2 * error, 0.62 + T_2 * error), abs=1e-5
    )
    (row,) = accuracies({"none": runs(3, 9)}, ratio=0.25)
    assert (row["mean_low"], row["mean_high"]) == (0, 1)  # t of one degree of freedom is 12.7
    (row,) = accuracies({"none": runs(6, 8)}, ratio=None)  # the same split each time
    assert (row["mean_low"], row["mean_high"]) == (None, None)


def test_pairs_are_tested_by_their_differences_within_seeds():
    predictions = {"none": runs(8, 9, 5), "eyes": runs(7, 7, 2), "nose": runs(9, 8, 5)}
    ratios = dict.fromkeys(predictions, 0.4)
    pairs = [("none", "eyes"), ("none", "nose")]
    eyes, nose = seed_tests(predictions, pairs, ratios)
    # Differences 0.1, 0.2, 0.3 and −0.1, 0.1, 0.
    error = math.sqrt(1 / 3 + 0.4) * 0.1
    assert {key: eyes[key] for key in ("a", "b", "seeds")} == {"a": "none", "b": "eyes", "seeds": 3}
    assert eyes["difference"] == pytest.approx(0.2)
    assert (eyes["low"], eyes["high"]) == pytest.approx(
        (0.2 - T_2 * error, 0.2 + T_2 * error), abs=1e-5
    )
    assert eyes["statistic"] == pytest.approx(0.2 / error)
    assert nose["difference"] == pytest.approx(0)
    assert nose["p"] == pytest.approx(1)
    assert eyes["p_holm"] == pytest.approx(2 * eyes["p"])  # Holm's, of two tests
    assert (eyes["rejects"], nose["rejects"]) == (False, False)


def test_what_cannot_be_tested_over_seeds():
    none, eyes = runs(8, 9, 5), runs(7, 8, 4)
    pair, ratios = [("none", "eyes")], {"none": 0.4, "eyes": 0.4}
    (row,) = seed_tests({"none": none, "eyes": eyes}, pair, ratios)
    assert row["difference"] == pytest.approx(0.1)  # in each seed
    assert [row[key] for key in ("low", "p", "p_holm", "rejects")] == [None] * 4
    one = {"none": {0: none[0]}, "eyes": eyes}
    assert seed_tests(one, pair, {"none": None, "eyes": 0.4}) == []
    elsewhere = {seed + 1: run for seed, run in none.items()}  # no seed has the same faces
    assert seed_tests({"none": elsewhere, "eyes": eyes}, pair, ratios) == []
