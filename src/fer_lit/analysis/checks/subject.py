"""What is checked, and how an outcome is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fer_lit.analysis.cam import MapSettings
from fer_lit.analysis.networks import Networks, TrainedNetwork
from fer_lit.faces.occlusion import occlude
from fer_lit.stats import bootstrap_means

PHOTOGRAPHS = 60
"""Of each condition, on which maps are compared."""

Row = Mapping[str, Any]
"""A row of the table of checks, without `check` and `condition`."""


@dataclass(frozen=True)
class Subject:
    """A condition's first network, and photographs that it did not train on.

    Attributes:
        network: what is checked.
        pixels: uint8, (N, 48, 48), occluded.
        labels: int64, (N,).
        settings: how maps are made; they explain the label, so that those of all heads explain the
            same.
        seed: of what is random.
    """

    network: TrainedNetwork
    pixels: np.ndarray
    labels: np.ndarray
    settings: MapSettings
    seed: int

    def spread(self, count: int) -> np.ndarray:
        """Return places of a few of the photographs, evenly, as faces are sorted by emotion."""
        return evenly(np.arange(len(self.labels)), count)

    def only(self, places: np.ndarray) -> Subject:
        """Return the same with some of the photographs."""
        return replace(self, pixels=self.pixels[places], labels=self.labels[places])

    def seeds(self, count: int, stream: int) -> list[int]:
        """Return seeds of a check's own stream.

        A run's seed itself would give the head that it began with.
        """
        return np.random.SeedSequence([self.seed, stream]).generate_state(count).tolist()


def choose_subject(
    networks: Networks, label: str, indices: np.ndarray, settings: MapSettings, seed: int
) -> Subject | None:
    """Return a condition's subject with some of the photographs, or None if all were trained on."""
    key = networks.keys(label)[0]
    known = indices[networks.held_out[key][indices]]
    if not len(known):
        return None
    chosen = evenly(known, PHOTOGRAPHS)
    occlusion = networks.conditions[label].occlusion
    return Subject(
        networks.trained[key],
        occlude(networks.faces.pixels, occlusion)[chosen],
        networks.faces.labels[chosen],
        replace(settings, target="label"),
        seed,
    )


def evenly(values: np.ndarray, count: int) -> np.ndarray:
    """Return `count` of the values, evenly spread; all if there are fewer."""
    return values[np.linspace(0, len(values) - 1, min(count, len(values)), dtype=int)]


def judged(
    values: np.ndarray, wanted: str, holds: Callable[[float, float], bool], seed: int
) -> Row:
    """Judge the mean of photographs' values, (N,), by its bootstrap interval.

    Maps that are zero everywhere, whose values are NaN, are left out.
    """
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return not_applicable("too few maps that are not zero")
    low, high = map(float, bootstrap_means(values, seed))
    return {
        "faces": len(values),
        "value": float(values.mean()),
        "from": low,
        "to": high,
        "wanted": wanted,
        "verdict": "pass" if holds(low, high) else "fail",
    }


def not_applicable(reason: str) -> Row:
    """Return the outcome of a check that cannot be made, and why."""
    return {"verdict": f"not applicable: {reason}"}
