"""How the faces were split, and what accuracy owes to the way of splitting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from scipy.stats import t as student
from statsmodels.stats.proportion import confint_proportions_2indep

from fer_lit.analysis.conditions import Condition
from fer_lit.analysis.repeated_splits import corrected_variance

Row = dict[str, Any]

_ROUNDING = 1e-24
"""Variances of accuracies that are errors of rounding."""


def splits_table(conditions: Mapping[str, Condition]) -> list[Row]:
    """Return how the faces of each condition's runs were split.

    Returns:
        A row a condition: `condition`, `protocol`, `seeds` (their number), the faces that `train`,
        are `validation` and `test` (None without such a part), and `exact_duplicates` and
        `near_duplicates`: validation and test faces that have one among the training faces, near
        ones including exact ones (None in runs that did not count them). Numbers of faces are means
        over the runs, rounded.
    """
    return [
        {
            "condition": label,
            "protocol": one.protocol,
            "seeds": len(one.runs),
            **{part: _mean_faces(one, part) for part in ("train", "validation", "test")},
            **_duplicates(one),
        }
        for label, one in conditions.items()
    ]


def protocol_table(
    conditions: Mapping[str, Condition], pairs: Sequence[tuple[str, str]]
) -> list[Row]:
    """Return how accuracy differs between protocols, which test other faces.

    With several splits on both sides the interval is Welch's, with the variances of
    `repeated_splits`. With one on both sides it is Newcombe's for two proportions, over the faces.
    With several on one side it is Welch's, with the variance of a proportion for the single split.
    A single split knows nothing of other training faces, and photographs that both protocols test
    are taken for different ones.

    Args:
        conditions: by label.
        pairs: which ones to compare (see `comparisons.protocol_pairs`).

    Returns:
        A row a pair: `condition` (what both share), and of each, here a: `protocol_a`, `mean_a`
        (accuracy over the seeds, 0–1), `exact_a` and `near_a` (duplicates, as in `splits_table`);
        `difference` (of the means, a minus b), `low`, `high` (95 % interval; None where nothing
        varies), `over` (what the interval is over: `splits`, `faces` or `both`).
    """
    return [_protocol_row(conditions[a], conditions[b]) for a, b in pairs]


def _mean_faces(condition: Condition, part: str) -> int | None:
    counts = [run.faces.get(part) for run in condition.runs.values()]
    return round(mean(counts)) if all(counts) else None


def _duplicates(condition: Condition) -> Row:
    counted = [run.provenance.get("duplicates_across") for run in condition.runs.values()]
    return {
        f"{kind}_duplicates": round(mean(one[kind] for one in counted)) if all(counted) else None
        for kind in ("exact", "near")
    }


def _protocol_row(a: Condition, b: Condition) -> Row:
    single = [one.ratio is None for one in (a, b)]
    low, high = _faces_interval(a, b) if all(single) else _welch_interval(a, b)
    over = "faces" if all(single) else "both" if any(single) else "splits"
    return {
        "condition": a.unsplit,
        **_of_side("a", a),
        **_of_side("b", b),
        "difference": _mean_accuracy(a) - _mean_accuracy(b),
        "low": low,
        "high": high,
        "over": over,
    }


def _of_side(side: str, condition: Condition) -> Row:
    duplicates = _duplicates(condition)
    figures = {
        "protocol": condition.protocol,
        "mean": _mean_accuracy(condition),
        "exact": duplicates["exact_duplicates"],
        "near": duplicates["near_duplicates"],
    }
    return {f"{name}_{side}": value for name, value in figures.items()}


def _accuracies(condition: Condition) -> list[float]:
    return [run.accuracy for run in condition.runs.values()]


def _mean_accuracy(condition: Condition) -> float:
    return mean(_accuracies(condition))


def _tested(condition: Condition) -> int:
    return len(next(iter(condition.runs.values())).predictions.names)


def _faces_interval(a: Condition, b: Condition) -> tuple[float, float]:
    # The mean of several heads on one split counts as one head.
    counts = [
        value for one in (a, b) for value in (_mean_accuracy(one) * _tested(one), _tested(one))
    ]
    low, high = confint_proportions_2indep(*counts, method="newcomb", compare="diff")
    return float(low), float(high)


def _welch_interval(a: Condition, b: Condition) -> tuple[float | None, float | None]:
    (variance_a, freedom_a), (variance_b, freedom_b) = _variance(a), _variance(b)
    variance = variance_a + variance_b
    if variance < _ROUNDING:
        return None, None
    # Welch and Satterthwaite's
    freedom = variance**2 / (variance_a**2 / freedom_a + variance_b**2 / freedom_b)
    difference = _mean_accuracy(a) - _mean_accuracy(b)
    low, high = student.interval(0.95, freedom, difference, variance**0.5)
    return float(low), float(high)


def _variance(condition: Condition) -> tuple[float, int]:
    """Return the variance of the mean accuracy, and its degrees of freedom."""
    if condition.ratio is not None:
        return corrected_variance(_accuracies(condition), condition.ratio), len(condition.runs) - 1
    accuracy, faces = _mean_accuracy(condition), _tested(condition)
    return accuracy * (1 - accuracy) / faces, faces - 1
