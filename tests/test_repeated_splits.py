"""Statistics over repeated splits, against numbers computed by hand."""

import math

import numpy as np
import pytest
from helpers.predictions import accuracies, outcome
from scipy.stats import norm as normal
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.differences import difference_table, drop_table
from fer_lit.comparison import (
    effective_count,
    linear_probability,
    unpaired_difference,
    verdict,
)
from fer_lit.runs.predictions import join_predictions
from fer_lit.stats import corrected_variance, resampled_t, resampled_t_power, wilson

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


def differences(predictions, pairs, ratios, margin=0.01):
    return records(difference_table(join_predictions(predictions), pairs, ratios, margin))


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


def test_the_interval_of_accuracy_is_the_wider_of_two():
    (row,) = accuracies({"none": runs(520, 620, 720, faces=1000)}, ratio=0.25)
    error = math.sqrt(1 / 3 + 1 / 4) * 0.1
    assert (row["accuracy"], row["low"], row["high"]) == pytest.approx(
        (0.62, 0.62 - T_2 * error, 0.62 + T_2 * error), abs=1e-5
    )
    assert row["interval"] == "splits"
    (row,) = accuracies({"none": runs(619, 620, 621, faces=1000)}, ratio=0.25)
    faces = tuple(map(float, wilson(1860, 3000)))  # ±1.7 points, and 0.3 over the splits
    assert (row["low"], row["high"]) == pytest.approx(faces)
    assert row["interval"] == "faces"
    (row,) = accuracies({"none": runs(10, 90, 20, faces=100)}, ratio=0.25)
    assert (row["low"], row["high"], row["interval"]) == (0, 1, "splits")  # cut off


@pytest.mark.parametrize(("count", "ratio"), [(2, 0.25), (5, None)])
def test_two_splits_or_one_split_have_the_interval_of_their_faces(count, ratio):
    (row,) = accuracies({"none": runs(*(30, 90, 10, 50, 99)[:count], faces=100)}, ratio=ratio)
    right, faces = {2: (120, 200), 5: (279, 500)}[count]
    assert (row["low"], row["high"]) == pytest.approx(tuple(map(float, wilson(right, faces))))
    assert row["interval"] == "faces"


def test_photographs_of_several_networks_count_for_less():
    assert effective_count([7, 7, 3, 3]) == 2  # each twice
    assert effective_count([1, 2, 2, 3]) == pytest.approx(16 / 6)  # Kish: (1 + 2 + 1)² ÷ 6
    same = outcome([1] * 60 + [0] * 40)
    (row,) = accuracies({"none": {0: same, 1: same}}, ratio=0.25)
    assert (row["low"], row["high"]) == pytest.approx(tuple(map(float, wilson(60, 100))))


def test_pairs_are_tested_by_their_differences_within_seeds():
    right = {"none": (800, 900, 500), "eyes": (700, 700, 200), "nose": (900, 800, 500)}
    predictions = {name: runs(*own, faces=1000) for name, own in right.items()}
    ratios = dict.fromkeys(predictions, 0.4)
    pairs = [("none", "eyes"), ("none", "nose")]
    eyes, nose = differences(predictions, pairs, ratios, margin=0.3)
    # Differences 0.1, 0.2, 0.3 and −0.1, 0.1, 0.
    error = math.sqrt(1 / 3 + 0.4) * 0.1
    assert eyes | {"a": "none", "b": "eyes", "seeds": 3, "faces": 3000} == eyes
    assert (eyes["difference"], eyes["interval"]) == (pytest.approx(0.2), "splits")
    assert (eyes["low"], eyes["high"]) == pytest.approx(
        (0.2 - T_2 * error, 0.2 + T_2 * error), abs=1e-5
    )
    assert eyes["statistic"] == pytest.approx(0.2 / error)
    assert nose["difference"] == pytest.approx(0)
    assert nose["p"] == pytest.approx(1)
    assert eyes["p_holm"] == pytest.approx(2 * eyes["p"])  # Holm's, of two tests
    t = (0.3 - 0.2) / error  # of 30 points or more, in its direction; of two degrees of freedom
    assert eyes["p_equivalence"] == pytest.approx((1 - t / math.sqrt(t**2 + 2)) / 2)
    assert eyes["p_equivalence_holm"] == pytest.approx(eyes["p_equivalence"])  # the larger of two
    assert nose["p_equivalence_holm"] == pytest.approx(2 * nose["p_equivalence"])
    assert eyes["verdict"] == nose["verdict"] == "inconclusive"


def test_splits_that_agree_by_chance_are_judged_by_their_faces():
    # 100, 101 and 102 of 1,000 photographs that only the first gets right
    none, eyes = runs(600, 600, 600, faces=1000), runs(500, 499, 498, faces=1000)
    ratios = {"none": 0.4, "eyes": 0.4}
    (row,) = differences({"none": none, "eyes": eyes}, [("none", "eyes")], ratios)
    error = math.sqrt(0.101 * 0.899 / 3000)
    assert row["interval"] == "faces"
    assert (row["high"] - row["low"]) / 2 == pytest.approx(1.96 * error, rel=0.01)
    # The larger p is that of the corrected t, whose two degrees of freedom have long tails.
    t = 0.101 / (math.sqrt(1 / 3 + 0.4) * 0.001)
    assert (row["statistic"], row["p"]) == pytest.approx((t, 1 - t / math.sqrt(t**2 + 2)))
    assert row["verdict"] == "different"


def test_below_three_splits_nothing_is_said_of_other_networks():
    none, eyes = runs(800, 900, faces=1000), runs(200, 300, faces=1000)
    (row,) = differences({"none": none, "eyes": eyes}, [("none", "eyes")], {"none": 1, "eyes": 1})
    assert row["difference"] == pytest.approx(0.6)
    assert 0.57 < row["low"] < 0.6 < row["high"] < 0.63
    tests = ("statistic", "p", "p_holm", "p_equivalence", "p_equivalence_holm")
    assert [row[name] for name in tests] == [None] * 5
    assert (row["interval"], row["verdict"]) == ("faces", "inconclusive")


def test_what_cannot_be_tested_over_seeds():
    none, eyes = runs(8, 9, 5), runs(7, 8, 4)
    pair, ratios = [("none", "eyes")], {"none": 0.4, "eyes": 0.4}
    (row,) = differences({"none": none, "eyes": eyes}, pair, ratios)
    assert row["difference"] == pytest.approx(0.1)  # in each seed
    assert [row[key] for key in ("p", "p_holm", "p_equivalence")] == [None] * 3
    assert (row["interval"], row["verdict"]) == ("faces", "inconclusive")
    one = {"none": {0: none[0]}, "eyes": eyes}
    (row,) = differences(one, pair, {"none": None, "eyes": 0.4})
    assert (row["seeds"], row["interval"], row["verdict"]) == (1, "faces", "inconclusive")
    elsewhere = {seed + 1: run for seed, run in none.items()}  # no seed has the same faces
    assert differences({"none": elsewhere, "eyes": eyes}, pair, ratios) == []


def test_drops_and_differences_are_one_number():
    predictions = {"none": runs(8, 9, 5), "eyes": runs(7, 7, 2)}
    ratios = {"none": 0.4, "eyes": 0.4}
    (row,) = differences(predictions, [("none", "eyes")], ratios)
    table = drop_table(join_predictions(predictions), dict.fromkeys(predictions, "none"), ratios)
    drop = records(table)[-1]
    assert (drop["drop"], drop["low"], drop["high"], drop["interval"]) == (
        *(row["difference"], row["low"], row["high"]),
        "splits",
    )
    assert drop["recall"] == pytest.approx(16 / 30)


def planted(true, spread, splits, count=300):
    """Differences over splits, normal and with a known variance of their mean, of many sweeps."""
    rng, ratio = np.random.default_rng(0), 3 / 7
    # Correlated as Nadeau and Bengio suppose: the variance of a mean is (1 / J + ratio) · spread².
    common = true + ratio**0.5 * spread * rng.normal(size=(count, 1))
    return common + spread * rng.normal(size=(count, splits))


def judged(differences):
    """Verdicts of sweeps in which so many faces are tested that the splits decide."""
    found = [
        unpaired_difference(0.5 + own, np.full(len(own), 0.5), (1e9, 1e9), 3 / 7, 0.01)
        for own in differences
    ]
    return [verdict(one.p, one.p_equivalence, 0.01) for one in found]


def test_equivalence_is_found_where_it_is_and_rarely_where_it_is_not():
    same, edge, apart = (judged(planted(true, 0.003, 10)) for true in (0, 0.01, 0.03))
    assert same.count("equivalent within 1 point") > 270
    assert 5 <= edge.count("equivalent within 1 point") <= 26  # 5 %, give or take 2.5 errors
    assert apart.count("different") == 300
    unsure = judged(planted(0.0, 0.02, 10))
    assert unsure.count("inconclusive") > 270
    assert 5 <= unsure.count("different") <= 26
    assert judged(planted(0.0, 1e-5, 2)) == ["inconclusive"] * 300  # two networks


def test_a_difference_can_be_there_and_not_matter():
    found = unpaired_difference([0.504, 0.505, 0.506], [0.5] * 3, (1e9, 1e9), 0.4, 0.01)
    assert found.p < 0.05 and found.p_equivalence < 0.05
    assert verdict(found.p, found.p_equivalence, 0.01) == "different"
    assert verdict(float("nan"), float("nan"), 0.01) == "inconclusive"
    assert verdict(0.5, 0.01, 0.005) == "equivalent within 0.5 points"


def test_power_is_how_often_a_planted_difference_is_found():
    for splits in (3, 10):
        found = np.mean([one == "different" for one in judged(planted(0.02, 0.01, splits, 1000))])
        assert resampled_t_power(0.02, 0.01, 3 / 7, splits) == pytest.approx(found, abs=0.04)


def test_power_has_a_ceiling():
    # With infinitely many splits the mean is 0.02, give or take √(3/7) of 0.01.
    beyond = normal.sf(1.95996 - 2 / math.sqrt(3 / 7))
    assert resampled_t_power(0.02, 0.01, 3 / 7, math.inf) == pytest.approx(beyond, abs=1e-4)
    below = resampled_t_power(0.02, 0.01, 3 / 7, [3, 10, 100])
    assert (np.diff(below) > 0).all() and below[-1] < beyond
    assert resampled_t_power(0, 0.01, 3 / 7, 5) == pytest.approx(0.05)  # nothing to be found


def clustered(residuals, groups):
    """The variance of a mean by hand: squares of the clusters' sums, G / (G − 1)."""
    sums = np.array([residuals[groups == one].sum() for one in np.unique(groups)])
    return (sums @ sums) * len(sums) / (len(sums) - 1) / len(residuals) ** 2


def test_the_linear_probability_model_by_hand():
    photographs = np.array([0, 1, 2, 3, 0, 1, 4, 5, 0, 4, 2, 6])
    seeds = np.repeat([0, 1, 2], 4)
    values = np.array([1, 1, 1, 0, 0, 0, -1, 0, 1, 1, 0, 1.0])
    residuals = values - values.mean()
    alone = clustered(residuals, photographs)
    both = alone + clustered(residuals, seeds) - clustered(residuals, np.arange(12))
    assert both > alone
    t = values.mean() / math.sqrt(both)
    found = linear_probability(values, photographs, seeds)
    assert found == pytest.approx((t, 2 * student.sf(t, 2)))
    # Of three seeds that agree, the errors are clustered by photograph alone, and so of one.
    for own in (np.array([0, 1, 2, 0, 1, 2, 2, 1, 0, 0, 1, 2]), np.zeros(12, int)):
        t = values.mean() / math.sqrt(alone)
        found = linear_probability(values, photographs, own)
        assert found == pytest.approx((t, 2 * student.sf(t, 6)))
    assert np.isnan(linear_probability(np.ones(12), photographs, seeds)).all()
