"""Whether the maps can be trusted: three checks on a few photographs."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam.metrics.road import ROADMostRelevantFirst
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from scipy.stats import spearmanr
from torch import Tensor, nn

from fer_lit.analysis.attention import MapSettings
from fer_lit.analysis.averages import enlarge, mean_known
from fer_lit.analysis.checkpoints import TrainedNetwork
from fer_lit.analysis.drawn_faces import check_drawn_faces
from fer_lit.analysis.mapping import map_faces
from fer_lit.analysis.material import Material
from fer_lit.analysis.shares import bootstrap_interval
from fer_lit.faces.augmentation import AS_THEY_ARE
from fer_lit.faces.occlusion import occlude
from fer_lit.faces.views import FaceViews, resample
from fer_lit.networks.features import extract_features

PHOTOGRAPHS = 60
"""Of each condition, on which the first two checks are made."""
SIMILAR = 0.5
"""Rank correlation from which the maps of a random head count as those of the trained one."""
REMOVED = 0.2
"""Share of the face that is removed."""
_HEADS = 5  # random ones
_SHUFFLES = 2

Row = dict[str, Any]


def check_maps(
    material: Material, indices: np.ndarray, settings: MapSettings, seed: int
) -> list[Row]:
    """Return the outcome of all checks.

    Args:
        material: photographs and networks; the first network of each condition is checked.
        indices: int64, (P,): the photographs to choose from.
        settings: how maps are made.
        seed: of what is random.

    Returns:
        A row a check and condition: `check`, `condition`, `faces`, `value` with `from` and `to`
        (95 % bootstrap interval), `wanted`, and `verdict`: `pass`, `fail` or `not applicable: …`.
    """
    rows = []
    for label in material.conditions:
        for check, outcome in _check_condition(material, label, indices, settings, seed).items():
            rows.append({"check": check, "condition": label, **outcome})
    drawn = check_drawn_faces(material, settings, seed)
    rows.append({"check": "drawn faces", "condition": None, **drawn})
    columns = ("check", "condition", "faces", "value", "from", "to", "wanted", "verdict")
    rows.sort(key=lambda row: ("random head", "deletion", "drawn faces").index(row["check"]))
    return [{column: row.get(column) for column in columns} for row in rows]


def _check_condition(
    material: Material, label: str, indices: np.ndarray, settings: MapSettings, seed: int
) -> dict[str, Row]:
    """Return the outcome of the checks on a condition's first network, by name."""
    key = material.keys(label)[0]
    known = indices[material.held_out[key][indices]]
    if not len(known):
        nothing = {"verdict": "not applicable: none of the photographs is held out"}
        return {"random head": nothing, "deletion": nothing}
    # Evenly, since faces are sorted by emotion.
    chosen = known[np.linspace(0, len(known) - 1, min(PHOTOGRAPHS, len(known)), dtype=int)]
    pixels = occlude(material.faces.pixels, material.conditions[label].occlusion)[chosen]
    labels = material.faces.labels[chosen]
    # What is measured is the label's probability, and all heads must explain the same.
    of_labels = replace(settings, target="label")
    checker = _Checker(material.networks[key], pixels, labels, of_labels, seed, material.device)
    return {"random head": checker.random_head(), "deletion": checker.deletion()}


class _Checker:
    """Checks the maps of one network.

    Args:
        network: what is checked.
        pixels: uint8, (N, 48, 48), occluded faces that the network did not train on.
        labels: int64, (N,).
        settings: how maps are made.
        seed: of random heads and random places.
        device: where the network is.
    """

    def __init__(
        self,
        network: TrainedNetwork,
        pixels: np.ndarray,
        labels: np.ndarray,
        settings: MapSettings,
        seed: int,
        device: torch.device,
    ):
        self._pixels = pixels
        self._labels = labels
        self._method = settings.method
        self._seed = seed
        self._model = _FromFaces(network, device)
        # A stream of its own: a run's seed itself would give the head that it began with.
        seeds = np.random.SeedSequence([seed, _HEADS]).generate_state(_HEADS)
        heads = [with_random_head(network, int(own)) for own in seeds]
        views = FaceViews(pixels, AS_THEY_ARE, network.image_size)
        self._maps, *self._random = map_faces([network, *heads], views, labels, settings, device)

    def random_head(self) -> Row:
        """Compare with the maps of heads whose weights are random: they must differ.

        The first stage of the test of Adebayo et al., "Sanity checks for saliency maps", NeurIPS
        2018. It passes if the upper end of the interval of the mean rank correlation (Spearman's)
        is below `SIMILAR`. Maps that are zero everywhere have no ranks and are left out.
        """
        if self._method == "eigencam":
            return {"verdict": "not applicable: eigencam ignores the head"}
        alike = [
            [_rank_correlation(*pair) for pair in zip(self._maps, other, strict=True)]
            for other in self._random
        ]
        wanted = f"below {SIMILAR}"
        return self._judge(
            mean_known(np.array(alike), axis=0), wanted, lambda low, high: high < SIMILAR
        )

    def deletion(self) -> Row:
        """Remove the most attended pixels: it must hurt more than removing others.

        The measure is ROAD (Rong et al., "A consistent and efficient evaluation strategy for
        attribution methods", ICML 2022) by pytorch-grad-cam: a fifth of the face is filled in from
        its surroundings, which leaves the label a probability. The others are the same map's cells
        in a random order, so that what is removed is of the same grain. It passes if the lower end
        of the interval of the additional loss is above 0.
        """
        random = np.random.default_rng(self._seed)
        left = self._left(self._maps, random)
        others = [self._left(_shuffled(self._maps, random), random) for _ in range(_SHUFFLES)]
        wanted = "above 0"
        return self._judge(np.mean(others, axis=0) - left, wanted, lambda low, high: low > 0)

    def _left(self, maps: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return the label's probability, (N,), without the fifth of a face with the most."""
        targets = [ClassifierOutputSoftmaxTarget(int(label)) for label in self._labels]
        faces = torch.from_numpy(self._pixels)[:, None].float()
        ranks = _ranks(enlarge(maps), random)
        remove = ROADMostRelevantFirst(percentile=100 * (1 - REMOVED))
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # The library hands tensors to NumPy: github.com/pytorch/pytorch/issues/180657
            warnings.filterwarnings("ignore", "__array_wrap__ must accept")
            torch.manual_seed(self._seed)  # of a little noise in what is filled in
            return remove(faces, ranks, targets, self._model, return_diff=False)

    def _judge(self, values: np.ndarray, wanted: str, holds: Callable[[float, float], bool]) -> Row:
        values = values[~np.isnan(values)]
        if len(values) < 2:
            return {"verdict": "not applicable: too few maps that are not zero"}
        low, high = map(float, bootstrap_interval(values, self._seed))
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

    def __init__(self, network: TrainedNetwork, device: torch.device):
        super().__init__()
        self._network = (network,)  # not a part: nothing in it is to be touched
        self._device = device

    def forward(self, faces: Tensor) -> Tensor:
        network = self._network[0]
        draws = AS_THEY_ARE.draw(0, len(faces)).to(self._device)
        pixels = resample(faces[:, 0].to(self._device), draws, network.image_size)
        features = extract_features(network.backbone, pixels, network.taps, network.arithmetic)
        return network.head(features).cpu()


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
