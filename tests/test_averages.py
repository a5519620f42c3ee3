"""Averages of attention maps, and how much of them lies where."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.maps import even

from fer_lit.analysis.averages import MappedPhotographs, average_maps
from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.changes import change_table
from fer_lit.analysis.chapters.shares import profile_table, share_table
from fer_lit.analysis.enlargement import enlarge, scale
from fer_lit.paper import CONDITIONS

FLAT = np.ones((2, 2))
LEFT = np.array([[4.0, 0], [4, 0]])


def test_scalings():
    scaled = scale(np.stack([LEFT + 1, FLAT, np.zeros((2, 2))]), even(2))
    np.testing.assert_array_equal(scaled["scaled"][0], LEFT / 4)
    assert not scaled["scaled"][1:].any()
    np.testing.assert_array_equal(scaled["raw"][0], LEFT + 1)
    np.testing.assert_allclose(enlarge(scaled["mass"][:2], even(2)).sum(axis=(1, 2)), 1)
    assert np.isnan(scaled["mass"][2]).all()


def test_photographs_count_once_whatever_the_number_of_checkpoints():
    nothing = np.full((2, 2), np.nan)
    raw = np.array([[FLAT, 3 * FLAT, 2 * FLAT], [3 * FLAT, nothing, nothing]])
    labels = np.array([0, 0, 1])
    found = averaged({"none": raw}, labels, ["happy", "sad"]).attention
    np.testing.assert_allclose(found.mean["raw"][0, 0], (2 + 3) / 2 * FLAT)
    np.testing.assert_allclose(found.mean["raw"][1, 0], 2 * FLAT)
    np.testing.assert_allclose(found.sd_photographs["raw"][0, 0], np.sqrt(0.5) * FLAT)
    assert np.isnan(found.sd_photographs["raw"][1, 0]).all()
    # The first checkpoint's average is (1 + 3) / 2, the second's 3.
    wanted = np.std([2, 3], ddof=1) * FLAT
    np.testing.assert_allclose(found.sd_checkpoints["raw"][0, 0], wanted)
    assert np.isnan(found.sd_checkpoints["raw"][1, 0]).all()  # only one has a photograph of it
    assert found.photographs[:, 0].tolist() == [2, 1]
    assert found.pairs[:, 0].tolist() == [3, 1]


def test_emotions_without_photographs_are_unknown():
    found = averaged({"none": LEFT[None, None]}, [1], ["sad", "happy"])
    assert np.isnan(found.attention.mean["raw"][0]).all()
    assert np.isnan(found.attention.zero_share[0, 0])
    assert found.attention.photographs[:, 0].tolist() == [0, 1]


def test_maps_of_zeros_have_no_mass_but_count():
    found = mapped(np.stack([LEFT, 0 * LEFT]))
    assert np.isnan(found.rows[0, 1]).all()
    np.testing.assert_allclose(found.attention.mean["scaled"][0, 0], LEFT / 8)
    np.testing.assert_allclose(found.attention.enlarged("mass")[0, 0].sum(), 1)
    assert found.attention.photographs.tolist() == [[2]]
    assert found.attention.zero_share.tolist() == [[0.5]]


def test_saved_averages_are_whole(tmp_path):
    mapped(LEFT[None], labels=[0]).attention.save(tmp_path / "attention.npz")
    with np.load(tmp_path / "attention.npz") as stored:
        np.testing.assert_array_equal(stored["mean_raw"], LEFT[None, None])
        assert stored["photographs"].tolist() == [[1]]
        assert {"mean_scaled", "mean_mass", "sd_photographs_raw", "sd_checkpoints_raw"} <= set(
            stored
        )
        assert stored["conditions"].tolist() == ["none"]


def mapped(*conditions, labels=(0, 0)) -> MappedPhotographs:
    """Photographs of happy people, whose maps, (P, h, h), are given for `none`, `eyes`, …"""
    maps = {name: own[None] for name, own in zip(CONDITIONS, conditions, strict=False)}
    return averaged(maps, labels, ["happy"])


def averaged(maps, labels, emotions) -> MappedPhotographs:
    """Photographs whose maps, of cells that tile the face, are given by condition."""
    centres = {name: even(own.shape[-1]) for name, own in maps.items()}
    return average_maps(maps, centres, np.arange(len(labels)), np.array(labels), emotions)


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
