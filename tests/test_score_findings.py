"""What an analysis says about accuracies, on tables made by hand."""

import pandas as pd
import pytest

from fer_lit.analysis.chapters.accuracy import accuracy_findings
from fer_lit.analysis.chapters.costs import configuration_findings, cost_findings
from fer_lit.analysis.chapters.splits import protocol_findings
from fer_lit.analysis.chapters.transfer import transfer_findings

ONE = {"condition": "none", "seeds": 1, "accuracy": 0.631, "low": 0.618, "high": 0.644}
ONE |= {"interval": "faces"}
DROP = {"condition": "mouth", "reference": "none", "emotion": "all"}
DROP |= {"drop": 0.08, "low": 0.065, "high": 0.094}
MCNEMAR = {"test": "McNemar", "a": "none", "b": "mouth", "p_holm": 0.0001}
PAIR = {"a": "none", "b": "mouth", "seeds": 5, "difference": 0.08, "low": 0.065, "high": 0.094}
PAIR |= {"interval": "splits", "p_holm": 0.004, "p_equivalence_holm": 1.0, "verdict": "different"}
UNTOLD = {"seeds": 1, "interval": "faces", "p_holm": None, "p_equivalence_holm": None}
UNTOLD |= {"verdict": "inconclusive"}
MARGIN = 0.01


def frames(*tables):
    """Tables of plain rows as data frames."""
    return [pd.DataFrame(rows, dtype=object) for rows in tables]


def test_a_single_network_tells_nothing_of_others():
    (accuracy,) = accuracy_findings(*frames([ONE]))
    (cost,) = cost_findings(*frames([DROP], [PAIR | UNTOLD], [MCNEMAR]), MARGIN)
    assert accuracy.text == (
        "Accuracy on faces not trained on, 95 % interval over faces: none 63.1 % (61.8 to 64.4)."
    )
    assert cost.text == (
        "Under mouth accuracy is 8.0 points lower than under none (95 % interval of the drop 6.5 "
        "to 9.4 over faces, 1 seed); McNemar's test of these networks p < 0.001; inconclusive "
        "about networks trained on other faces."
    )


def test_accuracies_are_said_by_seeds_and_by_what_their_intervals_are_over():
    several = {"condition": "eyes", "accuracy": 0.65, "seeds": 5, "interval": "splits"}
    several |= {"low": 0.641, "high": 0.66}
    other = {**several, "condition": "nose", "interval": "faces"}
    texts = [one.text for one in accuracy_findings(*frames([ONE, several, other]))]
    assert texts[1:] == [
        f"Accuracy on faces not trained on, mean over 5 seeds, 95 % interval over {over}: "
        f"{name} 65.0 % (64.1 to 66.0)."
        for name, over in (("eyes", "splits"), ("nose", "faces"))
    ]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "different (p = 0.004)."),
        (
            {"p_equivalence_holm": 0.02},
            "different (p = 0.004), and yet by less than 1 point (p = 0.020).",
        ),
        (
            {"p_holm": 0.3, "p_equivalence_holm": 0.01, "verdict": "equivalent within 1 point"},
            "equivalent within 1 point (no difference p = 0.300, 1 point or more p = 0.010).",
        ),
        (
            {"p_holm": 0.3, "p_equivalence_holm": 0.2, "verdict": "inconclusive"},
            "inconclusive (no difference p = 0.300, 1 point or more p = 0.200).",
        ),
    ],
)  # fmt: skip
def test_verdicts_are_said_with_their_numbers(facts, said):
    for turned in ({}, {"a": "mouth", "b": "none", "difference": -0.08}):
        (cost,) = cost_findings(*frames([DROP], [PAIR | turned | facts], [MCNEMAR]), MARGIN)
        assert cost.text == (
            "Under mouth accuracy is 8.0 points lower than under none (95 % interval of the drop "
            f"6.5 to 9.4 over splits, 5 seeds): {said}"
        )


def test_two_configurations_are_compared_and_three_are_not():
    pair = ("none lr=1", "none lr=2")
    row = {**PAIR, "a": pair[0], "b": pair[1], "difference": -0.05, "low": -0.06, "high": -0.03}
    (statement,) = configuration_findings([pair], *frames([row], [MCNEMAR]), MARGIN)
    assert statement.text == (
        "none lr=2 is right 5.0 points more often than none lr=1 (95 % interval 3.0 to 6.0 over "
        "splits, 5 seeds): different (p = 0.004)."
    )
    third = ("none lr=1", "none lr=3")
    assert configuration_findings([pair, third], *frames([row], [MCNEMAR]), MARGIN) == []
    assert configuration_findings([pair], *frames([], [MCNEMAR]), MARGIN) == []  # no common face


def test_protocols_are_compared_pair_by_pair():
    none = {"condition": "none", "protocol_a": "paper", "protocol_b": "grouped"}
    none |= {"difference": 0.03, "low": 0.02, "high": 0.041}
    none |= {"exact_a": 210, "near_a": 1400, "exact_b": 0, "near_b": 0}
    eyes = {**none, "condition": "eyes", "difference": -0.01, "low": None, "high": None}
    other = {**none, "protocol_b": "official", "exact_b": None, "near_b": None}
    first, second = protocol_findings(*frames([none, eyes, other]))
    assert first.text == (
        "Accuracy under protocol paper minus that under grouped, in points, with 95 % intervals: "
        "none 3.0 (2.0 to 4.1), eyes −1.0. Held-out faces with a near duplicate among the training "
        "faces: paper 1,400 (210 of them exact), grouped 0."
    )
    assert second.text.endswith("paper 1,400 (210 of them exact), official not counted.")


def test_transfer_is_said_of_each_configuration():
    references = {"none a": "none a", "mouth a": "none a", "none b": "none b"}
    transfer = [
        {"trained": trained, "tested": tested, "own": own, "mean": mean}
        for trained, tested, own, mean in (
            ("none a", "none", True, 0.9),
            ("none a", "mouth", False, 0.3),
            ("mouth a", "mouth", True, 0.7),
            ("none b", "mouth", False, 0.2),
        )
    ]
    (statement,) = transfer_findings(pd.DataFrame(transfer), references)
    assert statement.text == (
        "Networks trained without occlusion (none a), tested under a band they have never seen: "
        "mouth 30.0 % (trained under it: 70.0 %)."
    )
    nothing = pd.DataFrame(transfer).head(0)
    assert transfer_findings(nothing, {}) == []
