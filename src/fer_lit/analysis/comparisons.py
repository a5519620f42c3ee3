"""Which conditions are compared with which: those that differ in one respect."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from fer_lit.analysis.conditions import Condition

Pair = tuple[str, str]


def occlusion_pairs(conditions: Mapping[str, Condition]) -> list[Pair]:
    """Return the pairs that differ in the occlusion only."""
    pairs = combinations(conditions.values(), 2)
    return [(a.label, b.label) for a, b in pairs if a.reference == b.reference]


def option_pairs(conditions: Mapping[str, Condition]) -> list[Pair]:
    """Return the pairs under the same occlusion that differ otherwise.

    Two split protocols test other faces, which cannot be paired: see `protocol_pairs`.
    """
    return [
        (a.label, b.label)
        for a, b in combinations(conditions.values(), 2)
        if a.covered == b.covered and a.protocol == b.protocol
    ]


def occlusion_sets(conditions: Mapping[str, Condition]) -> dict[str, list[str]]:
    """Return the conditions that differ in the occlusion only, by their reference."""
    sets: dict[str, list[str]] = {}
    for label, one in conditions.items():
        sets.setdefault(one.reference, []).append(label)
    return sets


def protocol_pairs(conditions: Mapping[str, Condition]) -> list[Pair]:
    """Return the pairs that differ in the split only, and are judged on the same part."""
    return [
        (a.label, b.label)
        for a, b in combinations(conditions.values(), 2)
        if a.unsplit == b.unsplit and a.protocol != b.protocol and a.has_test == b.has_test
    ]
