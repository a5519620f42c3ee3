"""Faces with a duplicate among the training faces, beside those without one."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.copies import face_set, photograph
from helpers.run_folders import run

from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.leakage import leakage_findings, leakage_table
from fer_lit.analysis.selection import select_runs
from fer_lit.comparison import unpaired_difference
from fer_lit.files import write_text
from fer_lit.runs.manifest import write_manifest

COPIES = range(20, 30)
"""Faces 0 to 19 are of 20 photographs; these are the first ten of them once more."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_LIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        pixels = [photograph(number % 20) for number in range(30)]
        yield face_set(pixels, [0] * len(pixels))


def judged(folder, right, wrong, *overrides, **facts):
    """Write a run that is judged on these faces and trained on all others."""
    images = [f"face/{number}" for number in (*right, *wrong)]
    return run(folder, *overrides, images=images, right=len(right), **facts)


def leakage(folder, faces):
    return leakage_table(select_runs(str(folder), "outputs").conditions, faces, 0.01)


def test_faces_with_a_duplicate_in_training_are_told_from_others(tmp_path, faces):
    judged(tmp_path / "0_none", [*COPIES[:8], *range(10, 15)], [*COPIES[8:], *range(15, 20)])
    table = leakage(tmp_path, faces)
    (row,) = records(table)
    # Agresti and Caffo: 9 of 12 and 6 of 12; Student's t of 22 is 2.0739
    half = 2.0739 * math.sqrt((9 * 3 + 6 * 6) / 12**3)
    assert row == {
        "condition": "none",
        "seeds": 1,
        "faces_with": 10,
        "faces_without": 10,
        "accuracy_with": 0.8,
        "accuracy_without": 0.5,
        "difference": pytest.approx(0.3),
        "low": pytest.approx(0.3 - half, abs=1e-4),
        "high": pytest.approx(0.3 + half, abs=1e-4),
        "interval": "faces",
        "p": None,
        "p_equivalence": None,
        "verdict": "inconclusive",
    }
    (finding,) = leakage_findings(table, 0.01)
    assert finding.text == (
        "Under none networks are right about 80.0 % of the faces that have a duplicate among those "
        "they were trained on, and about 50.0 % of the others: a difference of 30.0 points (95 % "
        f"interval over faces {100 * (0.3 - half):.1f} to {100 * (0.3 + half):.1f}), inconclusive."
    ).replace("-", "−")


def test_three_splits_are_tested(tmp_path, faces):
    for seed, known in enumerate((10, 8, 9)):
        right, wrong = [*COPIES[:known], *range(10, 15)], [*COPIES[known:], *range(15, 20)]
        judged(tmp_path / f"{seed}_none", right, wrong, f"seed={seed}")
    table = leakage(tmp_path, faces)
    (row,) = records(table)
    assert (row["accuracy_with"], row["accuracy_without"]) == pytest.approx((0.9, 0.5))
    # The same faces in each run: no split is repeated, and nothing is known of others.
    assert (row["interval"], row["p"]) == ("faces", None)
    judged(tmp_path / "3_none", [20, 10, 11], [21, 12], "seed=3")
    (row,) = records(leakage(tmp_path, faces))
    with_, without = [1, 0.8, 0.9, 0.5], [0.5, 0.5, 0.5, 2 / 3]
    ratio = np.mean([20 / 6, 20 / 6, 20 / 6, 5 / 6])
    counts = (32**2 / (2 * 16 + 8 * 9), 33**2 / (3 * 16 + 7 * 9))  # Kish's
    found = unpaired_difference(with_, without, counts, ratio, 0.01)
    assert (row["low"], row["high"], row["p"]) == pytest.approx((found.low, found.high, found.p))
    assert "(no difference p = 0." in leakage_findings(leakage(tmp_path, faces), 0.01)[0].text


def test_a_duplicate_that_is_held_out_too_is_none(tmp_path, faces):
    five_pairs = [*COPIES[:5], *range(5)]
    judged(tmp_path / "0_none", five_pairs, range(10, 15))
    assert leakage(tmp_path, faces).empty


def test_faces_that_validate_are_not_trained_on(tmp_path, faces):
    parts = {"train": 10, "validation": 10, "test": 20}
    folder = judged(tmp_path / "0_none", COPIES, range(10, 20), faces=parts)
    assert len(leakage(tmp_path, faces)) == 1  # here the tested faces validate, too
    text = (folder / "predictions.csv").read_text(encoding="utf-8")
    for copy, original in zip(COPIES, range(10), strict=True):
        text = text.replace(f"face/{copy},", f"face/{original},")
    write_text(folder / "predictions.csv", text)
    write_manifest(folder)
    assert leakage(tmp_path, faces).empty
    (folder / "predictions.csv").unlink()
    (folder / "manifest.json").unlink()
    assert leakage(tmp_path, faces).empty  # who validated is not known


def test_drawn_faces_are_left_out(tmp_path, faces):
    judged(tmp_path / "0_none", COPIES, range(10, 20))
    assert len(leakage(tmp_path, faces)) == 1
    drawn = leakage(tmp_path, replace(faces, origin="synthetic"))
    assert drawn.empty and "verdict" in drawn
    assert leakage_findings(drawn, 0.01) == []
