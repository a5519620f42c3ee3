"""How often intervals hold the truth, and tests err, in simulated sweeps whose truth is known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tables import environment, markdown_table

from fer_lit.comparison import (
    MIN_NETWORKS,
    linear_probability,
    mean_accuracy,
    paired_difference,
)
from fer_lit.stats import LEVEL, resampled_t, wilson

SPLITS = (1, 2, 3, 5, 10)
TESTED = 0.3
RATIO = TESTED / (1 - TESTED)
_FRESH = 12_000  # faces of the population on which a network's true accuracy is measured
_EMOTIONS = (0.25, 0.45, 0.30)
_EASY, _HARD = 0.5, 1.3
_IN_COMMON = 0.8
"""Correlation of a face's features under two occlusions."""


@dataclass(frozen=True)
class World:
    """A population of faces, and how much of it a sweep has.

    Attributes:
        faces: of each sweep; the fewer for their features, the more the training faces matter.
        means: of each emotion's features, (emotions, features), without anything covered.
    """

    faces: int
    means: np.ndarray

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return labels, (N,), and features under three occlusions, (3, N, features).

        Half of the faces are hard under all of them. The first two tell the emotions equally well,
        so that their accuracies do not differ; under the third half of the features tell less.
        """
        labels = rng.choice(len(_EMOTIONS), count, p=_EMOTIONS)
        shape = count, self.means.shape[1]
        own = _IN_COMMON * rng.normal(size=shape)
        own = own + (1 - _IN_COMMON**2) ** 0.5 * rng.normal(size=(3, *shape))
        covered = np.ones((3, 1, shape[1]))
        covered[2, :, ::2] = 0.55
        spread = rng.choice([_EASY, _HARD], count)[:, None]
        return labels, self.means[labels] * covered + spread * own


@dataclass(frozen=True)
class Sweep:
    """Networks of the most splits under the three occlusions.

    Attributes:
        tested: bool, (splits, faces).
        right: bool, (occlusions, splits, faces).
        true: accuracy in the population of the first two networks, (occlusions, 2).
    """

    tested: np.ndarray
    right: np.ndarray
    true: np.ndarray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    parser.add_argument("--sweeps", type=int, default=2000, help="of each world")
    parser.add_argument("--seed", type=int, default=0)


def run(arguments: argparse.Namespace) -> None:
    """Simulate, and print a table for each world."""
    rng = np.random.default_rng(arguments.seed)
    texts = []
    for faces, features in ((600, 20), (300, 40)):
        means = rng.normal(size=(len(_EMOTIONS), features)) * 1.6 / features**0.5
        world = World(faces, means)
        sweeps = [simulate(world, rng) for _ in range(arguments.sweeps)]
        truth = np.mean([sweep.true for sweep in sweeps], axis=(0, 2))
        texts.append(
            f"{markdown_table(list(rows(sweeps, truth)))}\n\n{faces} faces of {features} features; "
            f"true accuracy {100 * truth[0]:.1f} %, true difference "
            f"{100 * (truth[0] - truth[2]):.1f} points"
        )
    sys.stdout.write(
        "\n\n".join(texts) + f"\n\n{arguments.sweeps:,} sweeps each, in % of them; intervals of "
        f"95 %, tests at {LEVEL:.0%}\n{environment()}\n"
    )


def simulate(world: World, rng: np.random.Generator) -> Sweep:
    """Return a sweep: the same random splits for all occlusions, a linear classifier each."""
    labels, features = world.draw(world.faces, rng)
    order = rng.permuted(np.tile(np.arange(world.faces), (SPLITS[-1], 1)), axis=1)
    tested = order < round(TESTED * world.faces)
    fresh_labels, fresh = world.draw(_FRESH, rng)
    right, true = [], []
    for seen, new in zip(features, fresh, strict=True):
        weights, biases = discriminants(seen, labels, ~tested)
        right.append(_predicted(weights, biases, seen) == labels)
        first = slice(MIN_NETWORKS - 1)  # those that an interval may be about
        true.append((_predicted(weights[first], biases[first], new) == fresh_labels).mean(axis=1))
    return Sweep(tested, np.array(right), np.array(true))


def discriminants(
    features: np.ndarray, labels: np.ndarray, trained: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit linear discriminant analysis to many training sets at once.

    Args:
        features: (N, features).
        labels: (N,).
        trained: bool, (sets, N).

    Returns:
        Weights, (sets, features, emotions), and biases, (sets, emotions).
    """
    each = np.eye(len(_EMOTIONS))[labels]
    counts = trained @ each
    means = np.einsum("sn,nk,nd->skd", trained.astype(float), each, features, optimize=True)
    means /= counts[..., None]
    products = np.stack([features[one].T @ features[one] for one in trained])
    products -= np.einsum("sk,skd,ske->sde", counts, means, means)
    freedom = counts.sum(axis=1) - len(_EMOTIONS)
    weights = np.linalg.solve(products / freedom[:, None, None], means.transpose(0, 2, 1))
    biases = np.log(counts) - np.einsum("skd,sdk->sk", means, weights) / 2
    return weights, biases


def _predicted(weights: np.ndarray, biases: np.ndarray, features: np.ndarray) -> np.ndarray:
    return (features @ weights + biases[:, None]).argmax(axis=-1)


def rows(sweeps: list[Sweep], truth: np.ndarray) -> Iterator[dict[str, str]]:
    """Yield the table's rows: what is measured, by the number of splits."""
    found = {
        count: pd.DataFrame([measured(sweep, count, truth) for sweep in sweeps])
        .astype(float)
        .mean()
        for count in SPLITS
    }
    for name in dict.fromkeys([*found[SPLITS[-1]].index, *found[1].index]):
        shares = {_splits(count): own.get(name, np.nan) for count, own in found.items()}
        texts = {n: "–" if np.isnan(one) else f"{100 * one:.1f}" for n, one in shares.items()}
        yield {"of the sweeps, %": name, **texts}


def _splits(count: int) -> str:
    return f"{count} split{'s' * (count > 1)}"


def measured(sweep: Sweep, count: int, truth: np.ndarray) -> dict[str, float]:
    """Return which intervals of the first splits hold the truth, and which tests reject."""
    tested, right = sweep.tested[:count], sweep.right[:, :count]
    networks, faces = np.nonzero(tested)
    accuracies = (right & tested).sum(axis=2) / tested.sum(axis=1)
    found = {}
    printed = mean_accuracy(accuracies[0], faces, RATIO)
    distinct = len(np.unique(faces))
    found["accuracy: interval as printed"] = _holds(printed, truth[0])
    once = wilson(printed.value * distinct, distinct)
    found["accuracy: Wilson's, each face once"] = _holds(once, truth[0])
    found |= _by_t("accuracy", accuracies[0], truth[0])
    for name, other in (("difference", 2), ("no difference", 1)):
        true = truth[0] - truth[other] if other == 2 else 0.0
        values = right[0, networks, faces].astype(float) - right[other, networks, faces]
        given = values, faces, networks
        printed = paired_difference(*given, RATIO, abs(true))
        found[f"{name}: interval as printed"] = _holds(printed, true)
        over_faces = paired_difference(*given, None, abs(true))
        found[f"{name}: over faces alone"] = _holds(over_faces, true)
        found |= _by_t(name, accuracies[0] - accuracies[other], true)
        p = linear_probability(values - true, faces, networks)[1]
        found[f"{name}: linear probability model"] = p >= LEVEL
        if count < MIN_NETWORKS:
            these = (sweep.true[0, :count] - sweep.true[other, :count]).mean()
            found[f"{name}: as printed, of these networks"] = _holds(printed, these)
            continue
        found[f"{name}: test of none rejects"] = printed.p < LEVEL
        p = linear_probability(values, faces, networks)[1]
        found[f"{name}: linear probability model rejects"] = p < LEVEL
        if other == 2:
            found[f"{name}: called equivalent within itself"] = printed.p_equivalence < LEVEL
    return found


def _holds(interval, true: float) -> bool:
    return bool(interval.low <= true <= interval.high)


def _by_t(name: str, values: np.ndarray, true: float) -> dict[str, float]:
    """Return whether Student's t holds the truth, corrected for common training faces or not."""
    intervals = {"corrected": resampled_t(values, RATIO), "plain": resampled_t(values, 0)}
    return {
        f"{name}: {kind} t alone": _holds(found, true)
        for kind, found in intervals.items()
        if found and len(values) >= MIN_NETWORKS
    }
