"""What an analysis says about attention, on maps made by hand."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers.maps import even

from fer_lit.analysis.averages import MappedPhotographs, average_maps
from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.trust import check_findings
from fer_lit.analysis.chapters.verdicts import findings, verdict_table
from fer_lit.analysis.checks.outcomes import Outcomes
from fer_lit.faces.occlusion import Occlusion

PAPERS = {
    name: Occlusion(name, top, height, 0, 48, "noise", 0)
    for name, top, height in (("none", 0, 0), ("eyes", 10, 10), ("nose", 20, 10), ("mouth", 30, 10))
}
ROWS = {"eyes": slice(10, 20), "nose": slice(20, 30), "mouth": slice(30, 40)}


def profile(band: str, share: float = 1.0) -> np.ndarray:
    """Attention by row of the face, of which a band has a share, and all else the rest."""
    rows = np.full(48, (1 - share) / 38)
    rows[ROWS[band]] = share / 10
    return rows


def networks(**conditions) -> MappedPhotographs:
    """Maps of networks, whose attention by row is given for each condition."""
    maps = {label: np.ones((len(own), 10, 2, 2)) for label, own in conditions.items()}
    centres = dict.fromkeys(maps, even(2))
    mapped = average_maps(maps, centres, np.arange(10), np.zeros(10, dtype=int), ["happy"])
    rows = tuple(np.array(own)[:, None] for own in conditions.values())
    return replace(mapped, checkpoint_rows=rows)


def outcomes(*failed: tuple[str, str | None]) -> Outcomes:
    """Checks that fail, each by its name and condition."""
    table = pd.DataFrame(failed, columns=["check", "condition"], dtype=object)
    return Outcomes(table.assign(verdict="fail"), pd.DataFrame())


def judged(
    mapped: MappedPhotographs, ratio: float | None = None, failed: Sequence[tuple] = ()
) -> dict[str, dict[str, dict]]:
    """Return the rows of the verdicts by condition and measure."""
    labels = mapped.attention.conditions
    conditions = {
        label: SimpleNamespace(occlusion=PAPERS[label], reference="none", ratio=ratio)
        for label in labels
    }
    seeds = {
        label: range(len(own)) for label, own in zip(labels, mapped.checkpoint_rows, strict=True)
    }
    table = verdict_table(mapped, conditions, seeds, 0.01, outcomes(*failed))
    found = defaultdict(dict)
    for row in records(table):
        found[row["condition"]][row["measure"]] = row
    return found


def finding(rows: dict[str, dict]) -> str:
    (verdict,) = {row["finding"] for row in rows.values()}
    return verdict


def test_the_papers_findings_are_supported_where_all_measures_are():
    uncovered = [profile("nose")] * 3
    found = judged(
        networks(
            none=uncovered,
            eyes=[profile("eyes")] * 3,
            nose=[profile("eyes", 0.7)] * 3,
            mouth=[profile("mouth")] * 3,
        )
    )
    assert [finding(found[label]) for label in ("eyes", "nose", "mouth")] == ["supported"] * 3
    assert "none" not in found
    assert found["eyes"]["share in the band"]["found"] == "100.0 % (100.0 to 100.0)"
    assert found["eyes"]["share in the band"]["wanted"] == "above 20.8 %"
    assert found["mouth"]["peak"]["value"] == 34.5  # the middle of ten equal rows
    shift = found["nose"]["peak minus none's"]
    assert (shift["value"], shift["found"]) == (-10, "−10.0 rows (−10.0 to −10.0)")


@pytest.mark.parametrize("condition", ["eyes", "none", None])
def test_no_finding_is_drawn_from_maps_that_fail_a_check(condition):
    """Neither from those of the condition, nor of what it is compared with."""
    mapped = networks(none=[profile("nose")] * 3, eyes=[profile("eyes")] * 3)
    rows = judged(mapped, failed=[("deletion", condition)])["eyes"]
    assert {row["verdict"] for row in rows.values()} == {"supported"}
    (said,) = findings(pd.DataFrame(rows.values()))
    where = f" (under {condition})" if condition else ""
    assert said.verdict == finding(rows) == "inconclusive"
    assert said.text.endswith(f"no finding is drawn from them: deletion{where}.")
    assert finding(judged(mapped, failed=[("deletion", "mouth")])["eyes"]) == "supported"


def test_two_networks_say_nothing_about_networks():
    found = judged(networks(none=[profile("nose")] * 2, eyes=[profile("eyes")] * 2))
    assert finding(found["eyes"]) == "inconclusive"
    assert {row["from"] for row in found["eyes"].values()} == {None}
    (said,) = findings(pd.DataFrame(found["eyes"].values()))
    assert said.verdict == "inconclusive" and "(2 networks, and 3 are needed)" in said.text


def test_one_measure_that_lies_wholly_elsewhere_refutes_a_finding():
    """The share is above the band's, and lower than without occlusion."""
    found = judged(networks(none=[profile("eyes", 0.9)] * 3, eyes=[profile("eyes", 0.5)] * 3))
    verdicts = [row["verdict"] for row in found["eyes"].values()]
    assert verdicts == ["supported", "not supported", "supported"]
    assert finding(found["eyes"]) == "not supported"
    found = judged(networks(none=[profile("eyes")] * 3, nose=[profile("nose")] * 3))
    assert finding(found["nose"]) == "not supported"


def test_a_share_that_is_lower_by_less_than_the_margin_is_not_lower():
    for share, verdict in ((0.895, "supported"), (0.88, "not supported")):
        found = judged(networks(none=[profile("eyes", 0.9)] * 3, eyes=[profile("eyes", share)] * 3))
        assert found["eyes"]["share minus none's"]["verdict"] == verdict


def test_a_shift_upwards_is_a_change_and_not_a_place():
    """With the nose covered as without: the eyes get most, and nothing has moved."""
    found = judged(networks(none=[profile("eyes")] * 3, nose=[profile("eyes")] * 3))
    assert finding(found["nose"]) == "inconclusive"


def test_without_networks_of_no_occlusion_nothing_can_be_supported():
    assert finding(judged(networks(eyes=[profile("eyes")] * 3))["eyes"]) == "inconclusive"
    assert finding(judged(networks(eyes=[profile("nose")] * 3))["eyes"]) == "not supported"
    assert "nose" not in judged(networks(nose=[profile("eyes")] * 3))


def test_intervals_hold_for_all_measures_of_a_finding_and_know_of_shared_training_faces():
    shares = (0.28, 0.29, 0.30, 0.31, 0.32)
    own = [profile("eyes", share) for share in shares]
    mapped = networks(none=[profile("eyes", 0.3)] * 5, eyes=own)
    # s² = 0.00025; Student's t with 4 degrees of freedom at 1 − 0.025 / 3 is 3.961.
    for ratio, half in ((None, 3.961 * (0.00025 / 5) ** 0.5), (0.43, 0.0497)):
        row = judged(mapped, ratio)["eyes"]["share in the band"]
        assert row["value"] == pytest.approx(0.3)
        assert row["from"] == pytest.approx(0.3 - half, abs=1e-4)
        assert row["to"] == pytest.approx(0.3 + half, abs=1e-4)
        assert row["verdict"] == "supported"
    change = judged(mapped)["eyes"]["share minus none's"]
    assert change["verdict"] == "inconclusive"  # −2.8 to 2.8, and −1 is the margin


def test_networks_are_compared_with_those_of_the_same_seed():
    mapped = networks(none=[profile("eyes", 0.2)] * 3, nose=[profile("eyes", 0.3)] * 3)
    conditions = {
        label: SimpleNamespace(occlusion=PAPERS[label], reference="none", ratio=None)
        for label in ("none", "nose")
    }
    table = verdict_table(
        mapped, conditions, {"none": [0, 1, 2], "nose": [2, 3, 4]}, 0.01, outcomes()
    )
    assert set(table["networks"]) == {1} and set(table["finding"]) == {"inconclusive"}


def test_conditions_that_differ_otherwise_too_are_named():
    rows = pd.DataFrame(judged(networks(eyes=[profile("nose")] * 3))["eyes"].values())
    (said,) = findings(rows.assign(condition="eyes lr=1"))
    assert said.text.startswith("The paper (eyes lr=1): with the eyes covered, the network still")


def test_other_bands_and_fills_are_not_the_papers():
    mapped = networks(eyes=[profile("eyes")] * 3)
    for other in ({"top": 8}, {"fill": "blur"}):
        occlusion = replace(PAPERS["eyes"], **other)
        condition = SimpleNamespace(occlusion=occlusion, reference="none", ratio=None)
        assert verdict_table(
            mapped, {"eyes": condition}, {"eyes": [0, 1, 2]}, 0.01, outcomes()
        ).empty


def test_there_are_no_findings_about_conditions_that_are_missing():
    assert not judged(networks(none=[profile("eyes")] * 3))
    assert findings(pd.DataFrame(columns=["condition"])) == []
    assert check_findings(pd.DataFrame(columns=["check", "condition", "verdict"])) == []


def test_checks_say_where_they_fail():
    rows = [
        {"check": "deletion", "condition": "none", "verdict": "pass"},
        {"check": "deletion", "condition": "eyes", "verdict": "fail"},
        {"check": "drawn faces", "condition": None, "verdict": "not applicable: random weights"},
    ]
    deletion, drawn = check_findings(pd.DataFrame(rows))
    assert deletion.verdict == "failed" and "(not under eyes)" in deletion.text
    assert drawn.verdict is None and "not applicable: random weights" in drawn.text
