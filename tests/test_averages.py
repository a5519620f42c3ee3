"""Averages of attention maps, and how much of them lies where."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fer_lit.analysis.averages import ConditionAverage, collect, enlarge, scale
from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.changes import change_table
from fer_lit.analysis.chapters.shares import profile_table, share_table
from fer_lit.analysis.maps import MappedPhotographs, row_shares

FLAT = np.ones((2, 2))
LEFT = np.array([[4.0, 0], [4, 0]])


def test_enlarging_is_torchs_bilinear_interpolation():
    maps = np.random.default_rng(0).random((3, 7, 7))
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[None], (48, 48), mode="bilinear", align_corners=False
    )[0]
    np.testing.assert_allclose(enlarge(maps), wanted, rtol=1e-12)


def test_scalings():
    scaled = scale(np.stack([LEFT + 1, FLAT, np.zeros((2, 2))]))
    np.testing.assert_array_equal(scaled["scaled"][0], LEFT / 4)
    assert not scaled["scaled"][1:].any()
    np.testing.assert_array_equal(scaled["raw"][0], LEFT + 1)
    np.testing.assert_allclose(enlarge(scaled["mass"][:2]).sum(axis=(1, 2)), 1)
    assert np.isnan(scaled["mass"][2]).all()


def test_photographs_count_once_whatever_the_number_of_checkpoints():
    average = ConditionAverage(emotions=2, checkpoints=2, side=2)
    nothing = np.full((2, 2), np.nan)
    raw = np.array([[FLAT, 3 * FLAT, 2 * FLAT], [3 * FLAT, nothing, nothing]])
    average.add(raw, np.array([0, 0, 1]))
    np.testing.assert_allclose(average.mean("raw")[0], (2 + 3) / 2 * FLAT)
    np.testing.assert_allclose(average.mean("raw")[1], 2 * FLAT)
    np.testing.assert_allclose(average.sd_photographs("raw")[0], np.sqrt(0.5) * FLAT)
    assert np.isnan(average.sd_photographs("raw")[1]).all()
    # The first checkpoint's average is (1 + 3) / 2, the second's 3.
    np.testing.assert_allclose(average.sd_checkpoints("raw")[0], np.std([2, 3], ddof=1) * FLAT)
    assert average.photographs.tolist() == [2, 1]
    assert average.pairs.tolist() == [3, 1]


def test_maps_of_zeros_have_no_mass_but_count():
    average = ConditionAverage(emotions=1, checkpoints=1, side=2)
    mass = average.add(np.stack([LEFT, 0 * LEFT])[None], np.array([0, 0]))
    assert np.isnan(mass[1]).all()
    np.testing.assert_allclose(average.mean("scaled")[0], LEFT / 8)
    np.testing.assert_allclose(enlarge(average.mean("mass")[0]).sum(), 1)
    assert average.photographs.tolist() == [2]
    assert average.zero_share.tolist() == [0.5]


def test_saved_averages_are_whole(tmp_path):
    average = ConditionAverage(emotions=1, checkpoints=1, side=2)
    average.add(LEFT[None, None], np.array([0]))
    attention = collect(["happy"], ["none"], [average])
    attention.save(tmp_path / "attention.npz")
    with np.load(tmp_path / "attention.npz") as stored:
        np.testing.assert_array_equal(stored["mean_raw"], LEFT[None, None])
        assert stored["photographs"].tolist() == [[1]]
        assert {"mean_scaled", "mean_mass", "sd_photographs_raw", "sd_checkpoints_raw"} <= set(
            stored
        )
        assert stored["conditions"].tolist() == ["none"]


def mapped(*conditions, labels=(0, 0)):
    """Photographs whose maps, (P, 48, 48), are given for conditions `none`, `eyes`, …"""
    rows, averages = [], []
    for maps in conditions:
        averages.append(ConditionAverage(emotions=1, checkpoints=1, side=48))
        averages[-1].add(maps[None], np.array(labels))
        rows.append(row_shares(scale(maps)["mass"]))
    names = ["none", "eyes", "nose", "mouth"][: len(conditions)]
    attention = collect(["happy"], names, averages)
    of_networks = tuple(row_shares(average.checkpoint_means("mass")) for average in averages)
    return MappedPhotographs(
        np.arange(len(labels)), np.array(labels), np.stack(rows), of_networks, attention
    )


def band(first, last):
    """Maps of two photographs with all their mass in some rows."""
    maps = np.zeros((2, 48, 48))
    maps[:, first:last] = 1
    return maps


def test_mass_shares_of_hand_made_maps():
    everywhere = np.ones((2, 48, 48))
    table = records(share_table(mapped(everywhere, band(30, 40), band(25, 35)), seed=0))
    shares = {
        (row["condition"], row["band"]): row["share"] for row in table if row["emotion"] == "all"
    }
    for name in ("eyes", "nose", "mouth"):
        assert shares["none", name] == pytest.approx(10 / 48)
    assert shares["eyes", "mouth"] == pytest.approx(1)
    assert shares["eyes", "nose"] == pytest.approx(0)
    assert shares["nose", "nose"] == shares["nose", "mouth"] == pytest.approx(0.5)
    assert table[0]["low"] == table[0]["high"] == pytest.approx(10 / 48)
    assert table[0]["photographs"] == 2


def test_the_spread_over_networks_is_that_of_their_own_averages():
    one = mapped(band(30, 40))
    other = mapped(np.ones((2, 48, 48)))
    both = replace(
        one,
        checkpoint_rows=(np.concatenate([one.checkpoint_rows[0], other.checkpoint_rows[0]]),),
    )
    assert {row["sd"] for row in records(share_table(one, seed=0))} == {None}
    (mouth,) = [
        row
        for row in records(share_table(both, seed=0))
        if row["emotion"] == "all" and row["band"] == "mouth"
    ]
    assert mouth["sd"] == pytest.approx(np.std([1, 10 / 48], ddof=1))


def test_row_profiles_sum_to_one():
    rows = records(profile_table(mapped(band(30, 40))))
    assert len(rows) == 48
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert {row["row"] for row in rows if row["share"] > 1e-9} == set(range(30, 40))


def test_changes_are_paired_and_tested():
    random = np.random.default_rng(0)
    labels = np.zeros(40, dtype=int)
    before = random.random((40, 48, 48))
    more = before.copy()
    more[:, 10:20] *= 1.2
    changed = mapped(before, more, before, labels=labels)
    table = change_table(changed, {"none": "none", "eyes": "none", "nose": "none"}, seed=0)
    rows = {(r["condition"], r["band"]): r for r in records(table) if r["emotion"] == "all"}
    assert ("none", "eyes") not in rows
    share = 10 / 48
    wanted = 1.2 * share / (1 + 0.2 * share) - share
    assert rows["eyes", "eyes"]["change"] == pytest.approx(wanted, rel=0.01)
    assert rows["eyes", "eyes"]["rejects"] and rows["eyes", "eyes"]["low"] > 0
    assert rows["eyes", "mouth"]["change"] < 0
    # The same maps: nothing changes, and no test says so.
    same = rows["nose", "eyes"]
    assert (same["change"], same["p"], same["p_holm"], same["rejects"]) == (0, 1, 1, False)
    assert same["low"] == same["high"] == 0
