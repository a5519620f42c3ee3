"""Intervals and tests against other sources, and tables as plain values."""

import math

import numpy as np
import pandas as pd
import pytest

from fer_lit.analysis.chapter import records
from fer_lit.stats import Mean, bootstrap_means, holm, permutation, welch, wilson


def test_holm_leaves_out_what_is_not_tested_and_its_input_as_it_is():
    p = pd.Series([0.01, np.nan, 0.04, 0.03])
    np.testing.assert_allclose(holm(p), [0.03, np.nan, 0.06, 0.06])
    assert p.tolist()[0] == 0.01
    assert np.isnan(holm([np.nan])).all() and len(holm([])) == 0


def test_wilson_of_several_shares_and_of_none():
    low, high = wilson([81, 0], [263, 0])
    assert (low[0], high[0]) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998, table I
    assert np.isnan(low[1]) and np.isnan(high[1])


def test_welch_by_hand():
    # Both variances 1 with 4 degrees of freedom are 8; Student's t of 8 at 97.5 % is 2.306.
    low, high = welch(Mean(3, 1, 4), Mean(1, 1, 4))
    assert (low, high) == pytest.approx((2 - 2.306 * math.sqrt(2), 2 + 2.306 * math.sqrt(2)), 1e-4)
    assert welch(Mean(0.5, 0, 4), Mean(0.4, 0, 4)) is None


def test_resampling_is_by_row_and_the_same_each_time():
    values = np.stack([np.full(40, 0.5), np.random.default_rng(0).normal(1, 1, 40)])
    low, high = bootstrap_means(values, 0)
    assert (low[0], high[0]) == (0.5, 0.5)
    assert low[1] < values[1].mean() < high[1]
    np.testing.assert_array_equal(bootstrap_means(values, 0).low, low)
    p = permutation(np.stack([np.tile([1.0, -1.0], 20), np.ones(40)]), 0, tests=2)
    assert p[0] == 1 and p[1] == pytest.approx(2 / 5000)


def test_rows_are_plain_values():
    table = pd.DataFrame(
        {
            "name": ["none", None],
            "faces": pd.array([12, None], "Int64"),
            "seeds": [1, 2],
            "share": [0.5, np.nan],
            "rejects": pd.array([True, None], "boolean"),
            "label": pd.Categorical(["happy", "sad"]),
        }
    )
    first, second = records(table)
    assert first == dict(zip(table, ["none", 12, 1, 0.5, True, "happy"], strict=True))
    assert second == dict(zip(table, [None, None, 2, None, None, "sad"], strict=True))
    types = [type(value) for value in first.values()]
    assert types == [str, int, int, float, bool, str]
    assert records(table[:0]) == []
