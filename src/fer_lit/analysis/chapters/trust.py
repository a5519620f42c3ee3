"""Whether the maps can be trusted: three checks on a few photographs."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_grad_cam.metrics.road import ROADMostRelevantFirst
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from scipy.stats import spearmanr
from torch import Tensor, nn

from fer_lit.analysis.averages import mean_known
from fer_lit.analysis.cam import MapSettings, map_faces
from fer_lit.analysis.chapter import FAILED, PASSED, Analysis, Chapter, Finding, Table
from fer_lit.analysis.chapters.drawn_faces import check_drawn_faces
from fer_lit.analysis.enlargement import enlarge
from fer_lit.analysis.networks import Networks, TrainedNetwork
from fer_lit.faces.occlusion import occlude
from fer_lit.stats import bootstrap_means

PHOTOGRAPHS = 60
"""Of each condition, on which the first two checks are made."""
SIMILAR = 0.5
"""Rank correlation from which the maps of a random head count as those of the trained one."""
REMOVED = 0.2
"""Share of the face that is removed."""
_HEADS = 5  # random ones
_SHUFFLES = 2
_CAPTION = (
    "Checks of the maps. Random head: rank correlation with the maps of heads whose weights are "
    "random. Deletion: how much more probability the label loses when the most attended fifth of a "
    "face is filled in from its surroundings than when other cells are. Drawn faces: the row at "
    "which the maps of a new head peak, which learnt drawn faces, whose emotion is in the mouth."
)
_SAID = {
    "random head": "Maps of heads with random weights differ from those of the trained heads",
    "deletion": "Removing the most attended fifth of a face hurts more than removing another",
    "drawn faces": "On drawn faces the attention of a new head peaks at the mouth, where the "
    "emotion was drawn",
}

Row = Mapping[str, Any]


def chapter(analysis: Analysis) -> Chapter | None:
    """Check the maps of each condition's first network."""
    if not analysis.mapped:
        return None
    indices, seed = analysis.mapped.indices, analysis.cfg.seed
    table = check_maps(analysis.networks, indices, analysis.settings, seed)
    return Chapter(
        "Can the maps be trusted?",
        tables=[Table("checks", table, {_CAPTION: None})],
        findings=check_findings(table),
    )


def check_maps(
    networks: Networks, indices: np.ndarray, settings: MapSettings, seed: int
) -> pd.DataFrame:
    """Return the outcome of all checks.

    Args:
        networks: and their photographs; the first network of each condition is checked.
        indices: int64, (P,): the photographs to choose from.
        settings: how maps are made.
        seed: of what is random.

    Returns:
        One row for each check and condition: `check`, `condition` (missing for drawn faces),
        `faces`, `value` with `from` and `to` (95 % bootstrap interval), `wanted`, and `verdict`:
        `pass`, `fail` or `not applicable: …`.
    """
    of_conditions = {
        label: _check_condition(networks, label, indices, settings, seed)
        for label in networks.conditions
    }
    rows = [
        {"check": check, "condition": label, **outcomes[check]}
        for check in ("random head", "deletion")
        for label, outcomes in of_conditions.items()
    ]
    drawn = check_drawn_faces(networks, settings, seed)
    rows.append({"check": "drawn faces", "condition": None, **drawn})
    columns = ["check", "condition", "faces", "value", "from", "to", "wanted", "verdict"]
    return pd.DataFrame(rows, columns=columns).astype({"faces": "Int64"})


def check_findings(checks: pd.DataFrame) -> list[Finding]:
    """Return whether the maps can be trusted: one finding for each kind of check."""
    findings = []
    for check, rows in checks.groupby("check", sort=False):
        judged = rows[rows["verdict"].isin(("pass", "fail"))]
        text = f"Check of the maps: {_SAID[check]}"
        if judged.empty:
            findings.append(Finding(f"{text}: {rows['verdict'].iloc[0]}."))
        else:
            failed = judged.loc[judged["verdict"] == "fail", "condition"]
            where = ", ".join(failed.dropna())
            text += f" (not under {where})." if where else "."
            findings.append(Finding(text, PASSED if failed.empty else FAILED))
    return findings


def _check_condition(
    networks: Networks, label: str, indices: np.ndarray, settings: MapSettings, seed: int
) -> dict[str, Row]:
    """Return the outcome of the checks on a condition's first network, by name."""
    key = networks.keys(label)[0]
    known = indices[networks.held_out[key][indices]]
    if not len(known):
        nothing = {"verdict": "not applicable: none of the photographs is held out"}
        return {"random head": nothing, "deletion": nothing}
    # Evenly, since faces are sorted by emotion.
    chosen = known[np.linspace(0, len(known) - 1, min(PHOTOGRAPHS, len(known)), dtype=int)]
    pixels = occlude(networks.faces.pixels, networks.conditions[label].occlusion)[chosen]
    labels = networks.faces.labels[chosen]
    # What is measured is the label's probability, and all heads must explain the same.
    of_labels = replace(settings, target="label")
    network = networks.trained[key]
    # A stream of its own: a run's seed itself would give the head that it began with.
    seeds = np.random.SeedSequence([seed, _HEADS]).generate_state(_HEADS)
    heads = [with_random_head(network, int(own)) for own in seeds]
    maps, *random = map_faces([network, *heads], pixels, labels, of_labels)
    return {
        "random head": _check_random_heads(maps, random, seed),
        "deletion": _check_deletion(maps, network, of_labels.layer, pixels, labels, seed),
    }


def _check_random_heads(maps: np.ndarray, random: list[np.ndarray], seed: int) -> Row:
    """Compare with the maps of heads whose weights are random: they must differ.

    The first stage of the test of Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.
    It passes if the upper end of the interval of the mean rank correlation (Spearman's) is below
    `SIMILAR`. Maps that are zero everywhere have no ranks and are left out.
    """
    alike = [[_rank_correlation(*pair) for pair in zip(maps, one, strict=True)] for one in random]
    means = mean_known(np.array(alike), axis=0)
    return _judged(means, f"below {SIMILAR}", lambda low, high: high < SIMILAR, seed)


def _check_deletion(
    maps: np.ndarray,
    network: TrainedNetwork,
    layer: str,
    pixels: np.ndarray,
    labels: np.ndarray,
    seed: int,
) -> Row:
    """Remove the most attended pixels: it must hurt more than removing others.

    The measure is ROAD (Rong et al., "A consistent and efficient evaluation strategy for
    attribution methods", ICML 2022) by pytorch-grad-cam: a fifth of the face is filled in from its
    surroundings, which leaves the label a probability. The others are the same map's cells in a
    random order, so that what is removed is of the same grain. It passes if the lower end of the
    interval of the additional loss is above 0.
    """
    random = np.random.default_rng(seed)
    targets = [ClassifierOutputSoftmaxTarget(int(label)) for label in labels]
    faces = torch.from_numpy(pixels)[:, None].float()
    remove = ROADMostRelevantFirst(percentile=100 * (1 - REMOVED))

    def left(maps: np.ndarray) -> np.ndarray:
        """Return the label's probability, (N,), without the fifth of a face with the most."""
        ranks = _ranks(enlarge(maps, network.centres(layer)), random)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # The library hands tensors to NumPy: github.com/pytorch/pytorch/issues/180657
            warnings.filterwarnings("ignore", "__array_wrap__ must accept")
            torch.manual_seed(seed)  # of a little noise in what is filled in
            return remove(faces, ranks, targets, _FromFaces(network), return_diff=False)

    attended = left(maps)
    others = [left(_shuffled(maps, random)) for _ in range(_SHUFFLES)]
    return _judged(np.mean(others, axis=0) - attended, "above 0", lambda low, high: low > 0, seed)


def _judged(
    values: np.ndarray, wanted: str, holds: Callable[[float, float], bool], seed: int
) -> Row:
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return {"verdict": "not applicable: too few maps that are not zero"}
    low, high = map(float, bootstrap_means(values, seed))
    return {
        "faces": len(values),
        "value": float(values.mean()),
        "from": low,
        "to": high,
        "wanted": wanted,
        "verdict": "pass" if holds(low, high) else "fail",
    }


class _FromFaces(nn.Module):
    """A network from 48×48 faces, float32, (B, 1, 48, 48), 0–255, to logits, on the CPU."""

    def __init__(self, network: TrainedNetwork):
        super().__init__()
        self._network = (network,)  # not a part: nothing in it is to be touched

    def forward(self, faces: Tensor) -> Tensor:
        network = self._network[0]
        views = network.views(faces[:, 0].numpy())
        pixels = views(torch.arange(len(views), device=network.reader.device), 0)
        return network.head(network.reader(pixels)).cpu()


def with_random_head(network: TrainedNetwork, seed: int) -> TrainedNetwork:
    """Return the network with a head that has learnt nothing but how to standardise features."""
    head = copy.deepcopy(network.head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in head.modules():
            if next(module.parameters(recurse=False), None) is not None:
                module.reset_parameters()
    return network.with_head(head)


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return np.nan
    return float(spearmanr(one.ravel(), other.ravel()).statistic)


def _shuffled(maps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return each map with its cells in a random order."""
    flat = maps.reshape(len(maps), -1)
    return random.permuted(flat, axis=1).reshape(maps.shape)


def _ranks(maps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the ranks of the pixels of each map, 0–1, float32; of equals at random.

    By value a threshold would take all pixels of a map that is zero almost everywhere.
    """
    flat = maps.reshape(len(maps), -1)
    order = np.lexsort((random.random(flat.shape), flat), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(flat.shape[1])[None], axis=1)
    return (ranks / flat.shape[1]).reshape(maps.shape).astype(np.float32)
