"""What an analysis says about attention, on maps made by hand."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
from helpers.maps import even

from fer_lit.analysis.averages import MappedPhotographs, average_maps
from fer_lit.analysis.chapters.changes import paper_findings
from fer_lit.analysis.chapters.trust import check_findings
from fer_lit.faces.occlusion import Occlusion

PAPERS = {
    name: Occlusion(name, top, height, 0, 48, "noise", 0)
    for name, top, height in (("none", 0, 0), ("eyes", 10, 10), ("nose", 20, 10), ("mouth", 30, 10))
}
ALONE = defaultdict(lambda: None)
"""A single network a condition, or none that were trained on other faces."""
ROWS = {"eyes": slice(10, 20), "nose": slice(20, 30), "mouth": slice(30, 40)}


def looking_at(**where: str) -> MappedPhotographs:
    """Ten photographs a condition, whose attention lies in one band (`even`: everywhere)."""
    shares = np.zeros((len(where), 10, 48))
    for condition, band in zip(shares, where.values(), strict=True):
        rows = ROWS.get(band, slice(0, 48))
        condition[:, rows] = 1 / (rows.stop - rows.start)
    maps = dict.fromkeys(where, np.ones((1, 10, 2, 2)))
    centres = dict.fromkeys(where, even(2))
    mapped = average_maps(maps, centres, np.arange(10), np.zeros(10, dtype=int), ["happy"])
    of_networks = tuple(condition[:1, None] for condition in shares)
    return replace(mapped, rows=shares, checkpoint_rows=of_networks)


def test_the_papers_findings_hold_where_they_do():
    mapped = looking_at(eyes="eyes", nose="eyes", mouth="mouth")
    statements = paper_findings(mapped, PAPERS, ALONE, seed=0)
    assert [one.holds for one in statements] == [True, True, True]
    assert statements[0].text.endswith(
        "Here 100.0 % of the attention lies in it (95 % interval over photographs 100.0 % to "
        "100.0 %), and it makes up 20.8 % of the face."
    )
    assert "a difference of 100.0 points (95 % interval over photographs 100" in statements[2].text


def test_conditions_that_differ_otherwise_too_are_named():
    mapped = looking_at(one="eyes", two="mouth")
    statements = paper_findings(mapped, {"one": PAPERS["eyes"], "two": PAPERS["eyes"]}, ALONE, 0)
    assert [one.holds for one in statements] == [True, False]
    assert statements[1].text.startswith("The paper (two): with the eyes covered, the network")


def test_the_papers_findings_do_not_hold_elsewhere():
    mapped = looking_at(eyes="mouth", nose="nose", mouth="eyes")
    statements = paper_findings(mapped, PAPERS, ALONE, seed=0)
    assert [one.holds for one in statements] == [False, False, False]
    assert "a difference of −100.0 points" in statements[2].text


def test_with_several_networks_the_interval_is_over_them():
    mapped = looking_at(eyes="eyes")
    elsewhere = looking_at(eyes="mouth").checkpoint_rows[0]
    three = np.concatenate([mapped.checkpoint_rows[0], elsewhere, elsewhere])
    (statement,) = paper_findings(replace(mapped, checkpoint_rows=(three,)), PAPERS, ALONE, seed=0)
    # Student's t of (1, 0, 0): a third, give or take 4.3 standard errors of a third.
    assert "33.3 % of the attention" in statement.text
    assert "95 % interval over networks 0.0 % to 100.0 %" in statement.text
    assert "One by one, 1 of 3 networks agree." in statement.text
    assert statement.text.endswith("On these runs it cannot be told.") and statement.holds is None


def test_networks_that_share_training_faces_have_a_wider_interval():
    shares = np.full((5, 1, 48), 0.01)
    for network, share in zip(shares, (0.28, 0.29, 0.30, 0.31, 0.32), strict=True):
        network[0, ROWS["eyes"]] = share / 10
    mapped = replace(looking_at(eyes="eyes"), checkpoint_rows=(shares,))
    # s² = 0.00025; Student's t with 4 degrees of freedom at 97.5 % is 2.776.
    for ratio, ends in ((None, "28.0 % to 32.0 %"), (0.43, "26.5 % to 33.5 %")):
        (statement,) = paper_findings(mapped, PAPERS, {"eyes": ratio}, seed=0)
        assert f"30.0 % of the attention lies in it (95 % interval over networks {ends})" in (
            statement.text
        )
        assert statement.holds


def test_other_bands_and_fills_are_not_the_papers():
    mapped = looking_at(eyes="eyes")
    for other in ({"top": 8}, {"fill": "blur"}):
        assert paper_findings(mapped, {"eyes": replace(PAPERS["eyes"], **other)}, ALONE, 0) == []


def test_there_are_no_findings_about_conditions_that_are_missing():
    assert paper_findings(looking_at(none="eyes"), PAPERS, ALONE, seed=0) == []
    assert check_findings(pd.DataFrame(columns=["check", "condition", "verdict"])) == []


def test_checks_say_where_they_fail():
    rows = [
        {"check": "deletion", "condition": "none", "verdict": "pass"},
        {"check": "deletion", "condition": "eyes", "verdict": "fail"},
        {"check": "drawn faces", "condition": None, "verdict": "not applicable: random weights"},
    ]
    deletion, drawn = check_findings(pd.DataFrame(rows))
    assert deletion.holds is False and "(not under eyes)" in deletion.text
    assert drawn.holds is None and "not applicable: random weights" in drawn.text
