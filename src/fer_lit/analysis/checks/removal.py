"""Checks by removal: what a map points to must matter more than what other maps point to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from pytorch_grad_cam.metrics.road import ROADLeastRelevantFirst, ROADMostRelevantFirst
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor, nn

from fer_lit.analysis.checks.passes import FromFaces
from fer_lit.analysis.checks.subject import Row, Subject, not_applicable
from fer_lit.analysis.enlargement import enlarge
from fer_lit.faces.face_set import SIZE
from fer_lit.stats import bootstrap_means

PHOTOGRAPHS = 40
"""Of each condition, 13 times each: as time allows; differences below 0.06 may be missed."""
PERCENTILES = (20, 80)
"""ROAD's: share of the face, in percent, that is left after the rest was removed."""
CHECKS = ("deletion", "insertion", "ROAD combined")
CONTROLS = ("random head", "blob")
"""The map of a random head on the same face, and a spot in the middle of the face, of all faces.

Any smooth map that lies on the face removes more of it than scattered pixels do; only what beats
both of these knows more than where faces are.
"""


def check_removal(
    subject: Subject, maps: np.ndarray, random: Sequence[np.ndarray]
) -> dict[str, Row]:
    """Remove what maps point to, or the rest, and compare what it does with the controls.

    The measure is ROAD (Rong et al., "A consistent and efficient evaluation strategy for
    attribution methods", ICML 2022) by pytorch-grad-cam: pixels are filled in from their
    surroundings, which leaves the label a probability. Deletion is what the label loses with the
    most attended fifth of a face, insertion what it has with that fifth alone, and ROAD combined
    half of what it has more without the least attended parts of the face than without the most
    attended ones, over `PERCENTILES`.

    Args:
        subject: network and photographs.
        maps: its maps of them, (N, h, h).
        random: those of random heads, each (N, h, h), who take turns from face to face.

    Returns:
        By check: `value` is the mean of the own map minus the `CONTROLS`, paired by photograph:
        that one whose interval has the lower end, so that it passes if this end is above 0. Own
        map and controls themselves are in columns of their own.
    """
    places = subject.spread(PHOTOGRAPHS)
    if len(places) < 2:
        return dict.fromkeys(CHECKS, not_applicable("a single photograph is held out"))
    chosen = subject.only(places)
    turns = np.stack(random)[np.arange(len(places)) % len(random), places]
    centres = subject.network.centres(subject.settings.layer)
    own, other = enlarge(maps[places], centres), enlarge(turns, centres)
    measured = _measures(chosen, [own, other, np.broadcast_to(blob(), own.shape)])
    return {check: _judged(values, subject.seed) for check, values in measured.items()}


def blob() -> np.ndarray:
    """Return a Gaussian in the middle of the face, (48, 48); its ranks alone count."""
    axis = np.linspace(-1, 1, SIZE) ** 2
    return np.exp(-2 * (axis[:, None] + axis))


def _measures(subject: Subject, maps: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the measure of each check, (maps, N), of maps of the faces, each (N, 48, 48)."""
    random = np.random.default_rng(subject.seed)
    ranks = np.concatenate([_ranks(one, random) for one in maps])
    faces = torch.from_numpy(subject.pixels)[:, None].float()
    targets = [ClassifierOutputSoftmaxTarget(int(label)) for label in subject.labels]
    model = FromFaces(subject.network, subject.settings.layer)
    scores = model(faces)
    whole = np.array([float(target(one)) for target, one in zip(targets, scores, strict=True)])

    def left(metric: Callable) -> np.ndarray:
        """Return the label's probability after removal, (maps, N)."""
        shown, wanted = faces.repeat(len(maps), 1, 1, 1), targets * len(maps)
        found = _removed(metric, shown, ranks, wanted, model, subject.seed)
        return found.reshape(len(maps), -1)

    most = {percent: left(ROADMostRelevantFirst(percent)) for percent in PERCENTILES}
    least = {percent: left(ROADLeastRelevantFirst(percent)) for percent in PERCENTILES}
    differences = [least[percent] - most[percent] for percent in PERCENTILES]
    return {
        "deletion": whole - most[80],
        "insertion": least[20],
        "ROAD combined": np.mean(differences, axis=0) / 2,  # the library's ROADCombined
    }


def _removed(
    metric: Callable,
    faces: Tensor,
    ranks: np.ndarray,
    targets: Sequence[Callable],
    model: nn.Module,
    seed: int,
) -> np.ndarray:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # The library hands tensors to NumPy: github.com/pytorch/pytorch/issues/180657
        warnings.filterwarnings("ignore", "__array_wrap__ must accept")
        torch.manual_seed(seed)  # of a little noise in what is filled in
        return metric(faces, ranks, targets, model, return_diff=False)


def _judged(values: np.ndarray, seed: int) -> Row:
    """Judge the first of three maps, (3, N), against the other two."""
    own, *controls = values
    differences = own - np.array(controls)
    low, high = bootstrap_means(differences, seed)
    hardest = int(low.argmin())
    return {
        "faces": len(own),
        "value": float(differences[hardest].mean()),
        "from": float(low[hardest]),
        "to": float(high[hardest]),
        "wanted": "above 0",
        "verdict": "pass" if low[hardest] > 0 else "fail",
        **means(own, controls),
    }


def means(own: np.ndarray, controls: Sequence[np.ndarray]) -> Mapping[str, float]:
    """Return the means of the own map and of the controls by name."""
    return {
        name: float(values.mean())
        for name, values in zip(("own map", *CONTROLS), (own, *controls), strict=True)
    }


def _ranks(maps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the ranks of the pixels of each map, 0–1, float32; of equals at random.

    By value a threshold would take all pixels of a map that is zero almost everywhere.
    """
    flat = maps.reshape(len(maps), -1)
    order = np.lexsort((random.random(flat.shape), flat), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(flat.shape[1])[None], axis=1)
    return (ranks / flat.shape[1]).reshape(maps.shape).astype(np.float32)
