"""Statistics over runs of one condition that differ in how the faces are split.

Any two random splits share training faces, so that the accuracies of their networks are not
independent, and s² / J is far too small a variance for the mean of J of them. Nadeau and Bengio,
"Inference for the Generalization Error", Machine Learning 52, 2003, put 1 / J + n₂ / n₁ in the
place of 1 / J (n₁ faces train, n₂ are tested), and take Student's t with J − 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

_ROUNDING = 1e-12
"""Differences between accuracies, 0–1, that are errors of rounding."""


class ResampledT(NamedTuple):
    """The corrected resampled t-test of a mean.

    Attributes:
        mean: of the numbers.
        low, high: ends of its 95 % interval.
        statistic: t of the mean being 0.
        p: two-sided.
    """

    mean: float
    low: float
    high: float
    statistic: float
    p: float


def corrected_variance(values: Sequence[float], ratio: float) -> float:
    """Return the variance of the mean of J ≥ 2 numbers, one a split: (1/J + ratio) · s².

    Args:
        values: the numbers.
        ratio: tested faces for each face trained on.
    """
    return (1 / len(values) + ratio) * float(np.var(values, ddof=1))


def resampled_t(values: Sequence[float], ratio: float) -> ResampledT | None:
    """Return mean, interval and test of numbers, one a split; of differences it is a paired test.

    Args:
        values: J numbers.
        ratio: tested faces for each face trained on.

    Returns:
        None if there are fewer than two numbers or all are equal: then there is no spread to judge
        by.
    """
    if len(values) < 2 or np.ptp(values) < _ROUNDING:
        return None
    mean, freedom = float(np.mean(values)), len(values) - 1
    error = corrected_variance(values, ratio) ** 0.5
    low, high = student.interval(0.95, freedom, mean, error)
    statistic = mean / error
    p = 2 * student.sf(abs(statistic), freedom)
    return ResampledT(mean, float(low), float(high), statistic, float(p))
