"""What an analysis says about accuracies, on tables made by hand."""

import pandas as pd

from fer_lit.analysis.chapters.accuracy import accuracy_findings
from fer_lit.analysis.chapters.costs import configuration_findings, cost_findings
from fer_lit.analysis.chapters.splits import protocol_findings
from fer_lit.analysis.chapters.transfer import transfer_findings

ONE = {"condition": "none", "accuracy": 0.631, "mean_low": None}
DROP = {"condition": "mouth", "reference": "none", "emotion": "all"}
DROP |= {"drop": 0.08, "low": 0.065, "high": 0.094}
MCNEMAR = {"test": "McNemar", "a": "none", "b": "mouth", "difference": 0.08, "p_holm": 0.0001}
SEEDS = {"a": "none", "b": "mouth", "seeds": 5, "difference": 0.0812, "low": 0.07, "high": 0.09}
SEEDS |= {"p": 0.001, "p_holm": 0.004}


def frames(*tables):
    """Tables of plain rows as data frames."""
    return [pd.DataFrame(rows, dtype=object) for rows in tables]


def test_costs_are_said_with_interval_and_test():
    (accuracy,) = accuracy_findings(*frames([ONE]))
    (cost,) = cost_findings(*frames([DROP], [MCNEMAR], []))
    assert accuracy.text == "Accuracy on faces not trained on: none 63.1 %."
    assert cost.text == (
        "Under mouth accuracy is 8.0 points lower than under none (95 % interval of the drop 6.5 "
        "to 9.4; McNemar's test p < 0.001 after Holm's correction)."
    )


def test_means_over_seeds_are_said_with_their_interval_apart_from_single_networks():
    several = {"condition": "eyes", "accuracy": 0.7, "mean": 0.65, "seeds": 5}
    several |= {"mean_low": 0.641, "mean_high": 0.66}
    texts = [one.text for one in accuracy_findings(*frames([ONE, several]))]
    assert texts == [
        "Accuracy on faces not trained on, mean over 5 seeds with its 95 % interval: "
        "eyes 65.0 % (64.1 to 66.0).",
        "Accuracy on faces not trained on: none 63.1 %.",
    ]


def test_costs_over_seeds_have_the_sign_of_the_drop():
    wanted = "; over 5 seeds 8.1, 95 % interval 7.0 to 9.0, corrected t-test p = 0.004)."
    turned = {**SEEDS, "a": "mouth", "b": "none", "difference": -0.0812}
    turned |= {"low": -0.09, "high": -0.07}
    for row in (SEEDS, turned):
        assert cost_findings(*frames([DROP], [MCNEMAR], [row]))[-1].text.endswith(wanted)
    untested = {**SEEDS, "p": None, "low": None, "high": None}
    assert "seeds" not in cost_findings(*frames([DROP], [MCNEMAR], [untested]))[-1].text


def test_two_configurations_are_compared_and_three_are_not():
    pair = ("none lr=1", "none lr=2")
    row = {**MCNEMAR, "a": pair[0], "b": pair[1], "difference": -0.05}
    (statement,) = configuration_findings([pair], *frames([row], []))
    assert statement.text == (
        "none lr=2 is right 5.0 points more often than none lr=1 (McNemar's test p < 0.001 after "
        "Holm's correction)."
    )
    third = ("none lr=1", "none lr=3")
    assert configuration_findings([pair, third], *frames([row], [])) == []
    assert configuration_findings([pair], *frames([], [])) == []  # no face in common


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
