"""Attention maps of many photographs under every condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fer_lit.analysis.attention import MapMaker, MapSettings, trunk_taps
from fer_lit.analysis.averages import Attention, ConditionAverage, collect, enlargement
from fer_lit.analysis.checkpoints import TrainedNetwork
from fer_lit.analysis.layer import map_side
from fer_lit.analysis.material import HeldOut, Material
from fer_lit.faces.augmentation import AS_THEY_ARE
from fer_lit.faces.face_set import SIZE, FaceSet
from fer_lit.faces.occlusion import Occlusion, occlude
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank.bank import faces_in_a_pass
from fer_lit.feature_bank.compilation import Extractor, feature_extractor
from fer_lit.feature_bank.malloc import large_blocks_kept
from fer_lit.progress import image_progress


@dataclass(frozen=True)
class MappedPhotographs:
    """Attention to P photographs under C conditions.

    Attributes:
        indices: int64, (P,), ascending: which faces.
        labels: int64, (P,).
        rows: float64, (C, P, 48): share of the attention mass in each row of the face, averaged
            over checkpoints; NaN where all maps are zero.
        checkpoint_rows: for each condition float64, (checkpoints, E, 48): the same, averaged over
            each checkpoint's own photographs of an emotion.
        attention: the averages over the photographs.
    """

    indices: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    checkpoint_rows: tuple[np.ndarray, ...]
    attention: Attention


def draw_photographs(held_out: HeldOut, labels: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Draw photographs of each emotion that every condition has a network for.

    Args:
        held_out: which faces each network did not train on.
        labels: int64, (faces,).
        samples: photographs of each emotion; all there are, if fewer.
        seed: decides the draw.

    Returns:
        Indices of faces, int64, ascending.
    """
    by_condition: dict[str, list[np.ndarray]] = {}
    for (label, _), mask in held_out.items():
        by_condition.setdefault(label, []).append(mask)
    usable = np.logical_and.reduce([np.any(masks, axis=0) for masks in by_condition.values()])
    random = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels):
        there = np.flatnonzero(usable & (labels == label))
        drawn.append(random.choice(there, min(samples, len(there)), replace=False))
    return np.sort(np.concatenate(drawn))


def covered_views(faces: FaceSet, occlusion: Occlusion, image_size: int) -> FaceViews:
    """Return what a network sees of the faces under an occlusion; only view 0 is meant."""
    return FaceViews(occlude(faces.pixels, occlusion), AS_THEY_ARE, image_size)


def map_photographs(
    material: Material, indices: np.ndarray, settings: MapSettings
) -> MappedPhotographs:
    """Average the attention maps of photographs by emotion and condition.

    Args:
        material: photographs and networks.
        indices: int64, (P,), ascending: the photographs (see `draw_photographs`).
        settings: how maps are made.
    """
    conditions, faces = material.conditions, material.faces
    side = map_side(settings.layer, next(iter(material.networks.values())))
    rows = np.empty((len(conditions), len(indices), SIZE))
    averages = []
    passes = len(indices) * len(conditions)
    with image_progress("Mapping attention", passes) as advance, large_blocks_kept():
        for label, own_rows in zip(conditions, rows, strict=True):
            mapper = _ConditionMapper(material, label, settings, len(indices))
            average = ConditionAverage(len(faces.classes), mapper.checkpoints, side)
            for part in mapper.parts(indices):
                labels = faces.labels[indices[part]]
                own_rows[part] = row_shares(average.add(mapper.maps(indices[part]), labels))
                advance(len(labels))
            averages.append(average)
    attention = collect(faces.classes, list(conditions), averages)
    by_checkpoint = tuple(row_shares(one.checkpoint_means("mass")) for one in averages)
    return MappedPhotographs(indices, faces.labels[indices], rows, by_checkpoint, attention)


def row_shares(mass: np.ndarray) -> np.ndarray:
    """Return how much of each map's mass, (…, h, h), lies in each row of the face, (…, 48)."""
    matrix = enlargement(mass.shape[-1])
    return mass @ matrix.sum(axis=0) @ matrix.T


def map_faces(
    networks: Sequence[TrainedNetwork],
    views: FaceViews,
    labels: np.ndarray,
    settings: MapSettings,
    device: torch.device,
) -> np.ndarray:
    """Return the maps of a few faces by several heads on one backbone, and one pass through it.

    Args:
        networks: what explains; they differ in their heads only.
        views: the N faces; view 0 is taken.
        labels: int64, (N,): what is explained if `settings.target` is `label`.
        settings: how maps are made.
        device: where the networks are.

    Returns:
        float32, (networks, N, h, h), 0 or more.
    """
    trunk = _trunk(networks[0], settings.layer, device, pixels=0)
    makers = [MapMaker(network, settings) for network in networks]
    explained = torch.from_numpy(labels).to(device)
    parts = torch.arange(len(views), device=device).split(
        faces_in_a_pass(device, networks[0].image_size)
    )
    maps = []
    for part in parts:
        tapped = trunk(views(part, 0))
        maps.append(np.stack([make(tapped, explained[part]) for make in makers]))
    return np.concatenate(maps, axis=1)


def _trunk(network: TrainedNetwork, layer: str, device: torch.device, pixels: int) -> Extractor:
    size = faces_in_a_pass(device, network.image_size)
    taps = trunk_taps(network, layer)
    return feature_extractor(
        network.backbone, taps, network.arithmetic, device, size, network.image_size, pixels
    )


class _ConditionMapper:
    """Makes the maps of one condition's networks, with one pass for all that share a trunk.

    Args:
        material: photographs and networks.
        label: of the condition.
        settings: how maps are made.
        photographs: how many the trunk will see under each condition that shares it, which decides
            whether to compile it.
    """

    def __init__(self, material: Material, label: str, settings: MapSettings, photographs: int):
        keys = material.keys(label)
        networks = [material.networks[key] for key in keys]
        size = networks[0].image_size
        self._device = material.device
        self._batch = faces_in_a_pass(self._device, size)
        self._views = covered_views(material.faces, material.conditions[label].occlusion, size)
        self._labels = torch.from_numpy(material.faces.labels)
        self._held_out = np.stack([material.held_out[key] for key in keys])
        self._makers = [MapMaker(network, settings) for network in networks]
        self._trunk_of = [_trunk_key(network, settings.layer) for network in networks]
        by_key = dict(zip(self._trunk_of, networks, strict=True))
        sharing = {
            other
            for (other, _), network in material.networks.items()
            if _trunk_key(network, settings.layer) in by_key
        }
        # Several trunks are of random or fine-tuned weights, none of them worth compiling.
        pixels = photographs * len(sharing) * size**2 if len(by_key) == 1 else 0
        self._trunks = {
            key: _trunk(network, settings.layer, self._device, pixels)
            for key, network in by_key.items()
        }
        self._side = map_side(settings.layer, networks[0])

    @property
    def checkpoints(self) -> int:
        """Number of networks."""
        return len(self._makers)

    def parts(self, indices: np.ndarray) -> Iterator[slice]:
        """Yield where the passes cut the photographs."""
        for start in range(0, len(indices), self._batch):
            yield slice(start, start + self._batch)

    def maps(self, indices: np.ndarray) -> np.ndarray:
        """Return the maps of faces by each network, float32, (networks, B, h, h).

        Those of a network that trained on a face are NaN.

        Args:
            indices: int64, (B,).
        """
        wanted = self._held_out[:, indices]
        maps = np.full((*wanted.shape, self._side, self._side), np.nan, np.float32)
        for key, trunk in self._trunks.items():
            users = [number for number, own in enumerate(self._trunk_of) if own == key]
            seen = np.flatnonzero(wanted[users].any(axis=0))
            if len(seen):
                faces = torch.from_numpy(indices[seen])
                tapped = trunk(self._views(faces.to(self._device), 0))
                for number in users:
                    own = np.flatnonzero(wanted[number, seen])
                    if len(own):
                        maps[number, seen[own]] = self._make(number, tapped, faces, own)
        return maps

    def _make(
        self, number: int, tapped: Mapping[str, Tensor], faces: Tensor, rows: np.ndarray
    ) -> np.ndarray:
        part = torch.from_numpy(rows)
        own = {tap: values[part.to(values.device)] for tap, values in tapped.items()}
        return self._makers[number](own, self._labels[faces[part]].to(self._device))


def _trunk_key(network: TrainedNetwork, layer: str) -> tuple:
    return network.digest, network.arithmetic, tuple(trunk_taps(network, layer).items())
