"""Intervals and tests. All intervals are of 95 %, all tests two-sided."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import bootstrap, nct, permutation_test
from scipy.stats import t as student
from statsmodels.stats import contingency_tables
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

CONFIDENCE = 0.95
LEVEL = 0.05
"""Below which a p value rejects."""
EXACT_BELOW = 25
"""Discordant photographs below which McNemar's test is exact: there the usual rule of thumb finds
the χ² approximation too coarse."""
_RESAMPLES = 4999
_BATCH = 500  # resamples at a time, which bounds the memory
ROUNDING = 1e-12
"""Differences between accuracies, 0–1, that are errors of rounding."""


class Interval(NamedTuple):
    """The ends of an interval, numbers or arrays."""

    low: float | np.ndarray
    high: float | np.ndarray


class Cochran(NamedTuple):
    """Cochran's Q and its p value."""

    statistic: float
    p: float


class McNemar(NamedTuple):
    """How many photographs only a or b gets right, and McNemar's test.

    The statistic is the smaller count if the test is exact, else χ².
    """

    only_a_right: int
    only_b_right: int
    statistic: float
    p: float


class ResampledT(NamedTuple):
    """A mean with its interval, and t and p of the mean being 0."""

    mean: float
    low: float
    high: float
    statistic: float
    p: float


class Mean(NamedTuple):
    """A mean, the variance of that mean, and the degrees of freedom of the variance."""

    value: float
    variance: float
    freedom: float


def wilson(right: ArrayLike, count: ArrayLike) -> Interval:
    """Return Wilson's interval of a share, elementwise; NaN where `count` is 0."""
    right, count = np.asarray(right, float), np.asarray(count, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Interval(*proportion_confint(right, count, 1 - CONFIDENCE, method="wilson"))


def newcombe(right_a: float, count_a: float, right_b: float, count_b: float) -> Interval:
    """Return Newcombe's interval of the difference of two independent shares, a minus b."""
    counts = (right_a, count_a, right_b, count_b)
    ends = confint_proportions_2indep(*counts, method="newcomb", compare="diff")
    return Interval(*map(float, ends))


def bootstrap_means(values: np.ndarray, seed: int) -> Interval:
    """Return percentile bootstrap intervals of the means, (...), of values (..., N).

    Where all values are equal both ends are the mean.
    """
    options = {"confidence_level": CONFIDENCE, "method": "percentile", "axis": -1, "batch": _BATCH}
    rng = np.random.default_rng(seed)
    found = bootstrap((values,), np.mean, n_resamples=_RESAMPLES, rng=rng, **options)
    return Interval(*found.confidence_interval)


def permutation(differences: np.ndarray, seed: int, tests: int) -> np.ndarray:
    """Return p values, (...), of differences (..., N): are they as likely with the other sign?

    The more `tests` are corrected together, the more permutations it takes for one to survive
    Holm's correction: the smallest p is two of them.
    """
    options = {"permutation_type": "samples", "vectorized": True, "axis": -1, "batch": _BATCH}
    count, rng = max(_RESAMPLES, 200 * tests), np.random.default_rng(seed)
    return permutation_test((differences,), np.mean, n_resamples=count, rng=rng, **options).pvalue


def holm(p: ArrayLike) -> np.ndarray:
    """Return p values, (N,), corrected by Holm over all of them; NaN stays and does not count."""
    p = np.asarray(p, float).copy()  # np.array does not copy a Series of pandas 2.2
    known = ~np.isnan(p)
    if known.any():
        p[known] = multipletests(p[known], LEVEL, method="holm")[1]
    return p


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> McNemar:
    """Return McNemar's test of bool (N,), who is right about the same photographs.

    It is exact (binomial) with fewer than `EXACT_BELOW` photographs that only one gets right, else
    χ² with continuity correction.
    """
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    # The diagonal, where both are right or both wrong, has no part in the test.
    table, exact = [[0, only_a], [only_b, 0]], only_a + only_b < EXACT_BELOW
    found = contingency_tables.mcnemar(table, exact=exact)
    return McNemar(only_a, only_b, float(found.statistic), float(found.pvalue))


def cochran(right: np.ndarray) -> Cochran:
    """Return Cochran's Q of bool (N, conditions)."""
    if (right == right[:, :1]).all():
        return Cochran(0.0, 1.0)  # by the formula 0 / 0
    found = contingency_tables.cochrans_q(right)
    return Cochran(float(found.statistic), float(found.pvalue))


def corrected_variance(values: Sequence[float], ratio: float) -> float:
    """Return the variance of the mean of J ≥ 2 numbers, one per split: (1/J + ratio) · s².

    `ratio` is how many faces are tested for each face trained on. Any two random splits share
    training faces, so that the accuracies of their networks are not independent, and s² / J is far
    too small. Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52,
    2003, put 1 / J + n₂ / n₁ in the place of 1 / J (n₁ faces train, n₂ are tested), and take
    Student's t with J − 1 degrees of freedom.
    """
    return (1 / len(values) + ratio) * float(np.var(values, ddof=1))


def resampled_t(values: Sequence[float], ratio: float) -> ResampledT | None:
    """Return mean, interval and test of numbers, one per split (see `corrected_variance`).

    Of differences it is a paired test. Without a spread to judge by, of one number or of equal
    ones, it is None.
    """
    if len(values) < 2 or np.ptp(values) < ROUNDING:
        return None
    mean, freedom = float(np.mean(values)), len(values) - 1
    error = corrected_variance(values, ratio) ** 0.5
    low, high = student.interval(CONFIDENCE, freedom, mean, error)
    statistic = mean / error
    p = 2 * student.sf(abs(statistic), freedom)
    return ResampledT(mean, float(low), float(high), statistic, float(p))


def resampled_t_power(
    difference: float, spread: float, ratio: float, splits: ArrayLike
) -> np.ndarray:
    """Return how likely the test of `resampled_t` is to find a true difference.

    More splits of the same faces help up to a limit: the variance of the mean tends to `ratio`
    times that of a single split's difference.

    Args:
        difference: the true one.
        spread: standard deviation between splits.
        ratio: tested faces for each face trained on.
        splits: numbers of splits, from 2; infinity is the limit.
    """
    splits = np.asarray(splits, float)
    freedom = np.minimum(splits - 1, 1e6)  # the noncentral t of infinity is not computed
    distance = difference / (spread * np.sqrt(1 / splits + ratio))
    critical = student.ppf(1 - LEVEL / 2, freedom)
    return nct.sf(critical, freedom, distance) + nct.cdf(-critical, freedom, distance)


def welch(a: Mean, b: Mean) -> Interval | None:
    """Return Welch's interval of the difference of two means, a minus b; None without variance."""
    variance = a.variance + b.variance
    if variance < ROUNDING**2:
        return None
    # Welch and Satterthwaite's
    freedom = variance**2 / (a.variance**2 / a.freedom + b.variance**2 / b.freedom)
    ends = student.interval(CONFIDENCE, freedom, a.value - b.value, variance**0.5)
    return Interval(*map(float, ends))


def mean_interval(values: np.ndarray, ratio: float, tests: int = 1) -> Interval:
    """Return the interval of the mean of J ≥ 2 numbers, one per split: see `corrected_variance`.

    Of `tests` such intervals 95 % hold all their means together (Bonferroni). Of equal numbers
    both ends are the mean.
    """
    if np.ptp(values) < ROUNDING:
        return Interval(float(values.mean()), float(values.mean()))
    error, confidence = corrected_variance(values, ratio) ** 0.5, 1 - LEVEL / tests
    ends = student.interval(confidence, len(values) - 1, values.mean(), error)
    return Interval(*map(float, ends))
