"""What networks of repeated splits say about networks trained on other faces.

Accuracies vary for two reasons: other faces train the networks, and other faces test them. Few
splits may agree by chance more closely than their faces allow, and a single split tells nothing of
the first reason. So there are two standard errors: over splits, from `MIN_NETWORKS` splits on
(`stats.corrected_variance`), and over photographs. The longer interval counts, and the larger p.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student
from statsmodels.regression.linear_model import WLS
from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups

from fer_lit.stats import CONFIDENCE, LEVEL, ROUNDING, corrected_variance, wilson

MIN_NETWORKS = 3
"""Networks of different splits that it takes to say something about other networks. The interval
of two, by Student's t of one degree of freedom, is 17 times as long as they are apart."""
SPLITS, FACES = "splits", "faces"
"""What an interval is over."""
DIFFERENT, INCONCLUSIVE = "different", "inconclusive"


class Estimate(NamedTuple):
    """A mean over networks, the ends of its interval, and what the interval is over."""

    value: float
    low: float
    high: float
    interval: str


class Difference(NamedTuple):
    """A mean difference over networks.

    Attributes:
        value: the mean, −1 to 1.
        low: the lower end of its interval.
        high: the upper end.
        interval: what the interval is over.
        statistic: t of no difference. It and the p values are NaN below `MIN_NETWORKS` networks
            of different splits, and where these differ by the same.
        p: of no difference.
        p_equivalence: of a difference as large as the margin, in either direction (TOST, two
            one-sided tests).
    """

    value: float
    low: float
    high: float
    interval: str
    statistic: float
    p: float
    p_equivalence: float


class _Error(NamedTuple):
    """A standard error, its degrees of freedom, and what it is over."""

    value: float
    freedom: int
    over: str

    @property
    def half(self) -> float:
        """Half the length of the interval."""
        return float(student.ppf((1 + CONFIDENCE) / 2, self.freedom)) * self.value

    def test(self, value: float) -> tuple[float, float]:
        """Return t and p of no difference."""
        statistic = value / self.value
        return statistic, 2 * float(student.sf(abs(statistic), self.freedom))

    def test_of_equivalence(self, value: float, margin: float) -> float:
        """Return the larger p of two one-sided tests: of ± the margin, or more."""
        return float(student.sf((margin - abs(value)) / self.value, self.freedom))


def mean_accuracy(
    accuracies: Sequence[float], photographs: np.ndarray, ratio: float | None
) -> Estimate:
    """Return the mean accuracy of networks with its interval: over faces it is Wilson's.

    Args:
        accuracies: of each network, 0–1.
        photographs: (N,), which photograph each prediction is of, of all networks.
        ratio: see `paired_difference`.
    """
    value, faces = float(np.mean(accuracies)), effective_count(photographs)
    low, high = map(float, wilson(value * faces, faces))
    error = _over_splits(accuracies, ratio)
    if error and 2 * error.half > high - low:
        return Estimate(value, max(value - error.half, 0.0), min(value + error.half, 1.0), SPLITS)
    return Estimate(value, low, high, FACES)


def effective_count(photographs: ArrayLike) -> float:
    """Return how many photographs, each counted once, would tell as much as these (N,).

    A mean over predictions weighs a photograph by how many networks predicted it; Kish's effective
    sample size, (Σ k)² / Σ k², allows for unequal weights. Two random splits of 30 % have 51 % of
    the photographs in them and are worth 46 %.
    """
    times = np.unique(photographs, return_counts=True)[1]
    return float(times.sum() ** 2 / (times @ times))


def paired_difference(
    differences: np.ndarray,
    photographs: np.ndarray,
    networks: np.ndarray,
    ratio: float | None,
    margin: float,
) -> Difference:
    """Return the mean over seeds of the mean difference between networks tested on the same faces.

    Args:
        differences: (N,), of one photograph and seed each: 1 if only a's network is right, −1 if
            only b's is, else 0.
        photographs: int, (N,), which photograph.
        networks: int, (N,), which seed.
        ratio: how many faces are tested for each face trained on; None if the seeds do not repeat
            the split.
        margin: the smallest difference that would matter, 0–1.
    """
    means = _means(differences, networks)
    error = _over_photographs(differences, photographs, networks)
    return _judged(float(means.mean()), _over_splits(means, ratio), error, margin)


def unpaired_difference(
    a: Sequence[float],
    b: Sequence[float],
    faces: tuple[float, float],
    ratio: float | None,
    margin: float,
) -> Difference:
    """Return the mean difference between two groups of faces, a minus b, within each network.

    Over faces the error is Agresti and Caffo's ("Simple and Effective Confidence Intervals for
    Proportions and Differences of Proportions", 2000), with one more face right and one more wrong
    in each group, as a small group may be right every time.

    Args:
        a: accuracy of each network on its faces of group a, 0–1.
        b: on those of group b.
        faces: how many faces a and b have over all networks (see `effective_count`).
        ratio: see `paired_difference`.
        margin: see there.
    """
    means, variance = np.subtract(a, b), 0.0
    for own, count in zip((a, b), faces, strict=True):
        share = (np.mean(own) * count + 1) / (count + 2)
        variance += share * (1 - share) / (count + 2)
    error = _Error(float(variance) ** 0.5, sum(faces) + 2, FACES)
    return _judged(float(means.mean()), _over_splits(means, ratio), error, margin)


def linear_probability(
    differences: np.ndarray, photographs: np.ndarray, networks: np.ndarray
) -> tuple[float, float]:
    """Return t and p of no difference by a linear probability model of all predictions.

    Being right is regressed on the occlusion, its one factor. As a photograph is predicted under
    both by networks of the same seed, the model may be fitted to the differences: coefficient,
    which is that of `paired_difference`, and errors are the same. These are clustered by photograph
    and by seed (Cameron, Gelbach and Miller, "Robust Inference With Multiway Clustering", 2011)
    with Student's t of one degree less than there are seeds; by photograph alone below
    `MIN_NETWORKS` seeds, and where the variance for both, a sum less a third one, is smaller.
    Unlike the corrected t this does not allow for the faces that two training sets share.

    Args: see `paired_difference`. Where nothing varies both results are NaN.
    """
    model = WLS(differences, np.ones(len(differences)), weights=_weights(networks)).fit()
    seeds, freedom = len(np.unique(networks)), len(np.unique(photographs)) - 1
    if not freedom:
        return np.nan, np.nan
    variance = cov_cluster(model, photographs)[0, 0]
    if seeds >= MIN_NETWORKS:
        both = cov_cluster_2groups(model, photographs, networks)[0][0, 0]
        if both > variance:
            variance, freedom = both, seeds - 1
    if variance < ROUNDING**2:
        return np.nan, np.nan
    statistic = float(model.params[0] / variance**0.5)
    return statistic, float(2 * student.sf(abs(statistic), freedom))


def verdict(p: float, p_equivalence: float, margin: float) -> str:
    """Return what the tests of no difference and of equivalence say; p values may be NaN.

    A difference may be there and yet be smaller than the margin, 0–1: then it is `DIFFERENT`.
    """
    if p < LEVEL:
        return DIFFERENT
    return f"equivalent within {in_points(margin)}" if p_equivalence < LEVEL else INCONCLUSIVE


def in_points(margin: float) -> str:
    """Return `1 point` for a margin of 0.01."""
    points = f"{100 * margin:g}"
    return f"{points} point{'s' * (points != '1')}"


def _weights(networks: np.ndarray) -> np.ndarray:
    """Return a weight for each prediction, by which all networks count the same; their sum is 1."""
    _, numbers, counts = np.unique(networks, return_inverse=True, return_counts=True)
    return 1 / (len(counts) * counts[numbers])


def _means(differences: np.ndarray, networks: np.ndarray) -> np.ndarray:
    """Return the mean of each network."""
    _, numbers, counts = np.unique(networks, return_inverse=True, return_counts=True)
    return np.bincount(numbers, differences) / counts


def _over_splits(values: Sequence[float], ratio: float | None) -> _Error | None:
    if ratio is None or len(values) < MIN_NETWORKS or np.ptp(values) < ROUNDING:
        return None
    return _Error(corrected_variance(values, ratio) ** 0.5, len(values) - 1, SPLITS)


def _over_photographs(
    differences: np.ndarray, photographs: np.ndarray, networks: np.ndarray
) -> _Error:
    """Return the error of the mean difference, clustered by photograph.

    That of the linear probability model, except that two photographs are added, one that only a
    gets right and one that only b does, as Bonett and Price do ("Adjusted Wald Confidence Interval
    for a Difference of Binomial Proportions Based on Paired Data", 2012): if few networks are right
    about the same few faces, that is no proof that they always are. It is exact where the bootstrap
    over photographs, which cannot see such a chance either, draws.
    """
    weights = _weights(networks)
    value = weights @ differences
    _, numbers = np.unique(photographs, return_inverse=True)
    residuals = np.bincount(numbers, weights * (differences - value))
    count = len(residuals)
    squares = count**2 * (residuals @ residuals) + (1 - value) ** 2 + (1 + value) ** 2
    return _Error(float(squares**0.5) / (count + 2), count + 1, FACES)


def _judged(
    value: float, over_splits: _Error | None, over_faces: _Error, margin: float
) -> Difference:
    """Return the longer interval, and of each test the larger p value, by the two errors."""
    both = [over_faces, over_splits] if over_splits else [over_faces]
    error = max(both, key=lambda one: one.half)
    low, high = max(value - error.half, -1.0), min(value + error.half, 1.0)
    if over_splits is None:
        return Difference(value, low, high, error.over, *[np.nan] * 3)
    statistic, p = max((one.test(value) for one in both), key=lambda one: one[1])
    p_equivalence = max(one.test_of_equivalence(value, margin) for one in both)
    return Difference(value, low, high, error.over, statistic, p, p_equivalence)
