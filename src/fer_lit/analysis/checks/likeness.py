"""How alike maps are, and a check on it: heads that learnt nothing must have other maps."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import spearmanr

from fer_lit.analysis.averages import mean_known
from fer_lit.analysis.checks.subject import Row, Subject, judged
from fer_lit.analysis.networks import TrainedNetwork

SIMILAR = 0.5
"""Rank correlation from which maps count as alike: they share a quarter of the ranks' variance.

Maps of few cells are smooth, so that any two of them correlate in size by some 0.2 to 0.3.
"""
_HEADS, _STREAM = 5, 1


def rank_correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Spearman's ρ of each pair of maps, both (N, h, h), float64, (N,).

    A map that is the same everywhere has no ranks: NaN.
    """
    return np.array([_rank_correlation(*pair) for pair in zip(one, other, strict=True)])


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return np.nan
    return float(spearmanr(one.ravel(), other.ravel()).statistic)


def random_heads(subject: Subject) -> list[TrainedNetwork]:
    """Return the network under several heads whose weights are random."""
    return [with_random_head(subject.network, seed) for seed in subject.seeds(_HEADS, _STREAM)]


def with_random_head(network: TrainedNetwork, seed: int) -> TrainedNetwork:
    """Return the network with a head that has learnt nothing but how to standardise features."""
    head = copy.deepcopy(network.head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in head.modules():
            if next(module.parameters(recurse=False), None) is not None:
                module.reset_parameters()
    return network.with_head(head)


def check_random_heads(maps: np.ndarray, random: Sequence[np.ndarray], seed: int) -> Row:
    """Compare with the maps of heads whose weights are random: they must differ.

    The first stage of the test of Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.
    It passes if the upper end of the interval of the mean |ρ| is below `SIMILAR`. The sign must
    not count: of a random head and its negative one is as likely as the other, so that signed
    correlations average to zero whatever the maps are.
    """
    alike = np.abs([rank_correlations(maps, one) for one in random])
    return judged(mean_known(alike, axis=0), f"below {SIMILAR}", is_unlike, seed)


def is_unlike(low: float, high: float) -> bool:
    """Return whether an interval of |ρ| says that maps differ."""
    return high < SIMILAR
