"""Attention maps of many photographs under every condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fer_lit.analysis.averages import Attention, ConditionAverage, collect, enlargement
from fer_lit.analysis.cam import MapMaker, trunk
from fer_lit.analysis.map_settings import MapSettings
from fer_lit.analysis.networks import Key, Networks
from fer_lit.faces.face_set import SIZE
from fer_lit.faces.occlusion import occlude
from fer_lit.feature_bank.compilation import fastest
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


def choose_photographs(
    held_out: Mapping[Key, np.ndarray], labels: np.ndarray, samples: int, seed: int
) -> np.ndarray:
    """Choose photographs of each emotion at random that every condition has a network for.

    Args:
        held_out: which faces each network did not train on.
        labels: int64, (faces,).
        samples: photographs of each emotion; all there are, if fewer.
        seed: decides the choice.

    Returns:
        Indices of faces, int64, ascending.
    """
    by_condition: dict[str, list[np.ndarray]] = {}
    for (label, _), mask in held_out.items():
        by_condition.setdefault(label, []).append(mask)
    usable = np.logical_and.reduce([np.any(masks, axis=0) for masks in by_condition.values()])
    random = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(labels):
        there = np.flatnonzero(usable & (labels == label))
        chosen.append(random.choice(there, min(samples, len(there)), replace=False))
    return np.sort(np.concatenate(chosen))


def map_photographs(
    networks: Networks, indices: np.ndarray, settings: MapSettings
) -> MappedPhotographs:
    """Average the attention maps of photographs by emotion and condition.

    Args:
        networks: and their photographs.
        indices: int64, (P,), ascending: the photographs (see `choose_photographs`).
        settings: how maps are made.
    """
    conditions, faces = networks.conditions, networks.faces
    rows = np.empty((len(conditions), len(indices), SIZE))
    averages = []
    passes = len(indices) * len(conditions)
    with image_progress("Mapping attention", passes) as advance, large_blocks_kept():
        for label, own_rows in zip(conditions, rows, strict=True):
            mapper = _ConditionMapper(networks, label, settings, len(indices))
            average = ConditionAverage(len(faces.classes), mapper.checkpoints, mapper.side)
            for start in range(0, len(indices), mapper.batch):
                part = slice(start, start + mapper.batch)
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


class _ConditionMapper:
    """Makes the maps of one condition's networks, with one pass for all that share a trunk.

    Args:
        networks: and their photographs.
        label: of the condition.
        settings: how maps are made.
        photographs: how many the trunk will see under each condition that shares it, which decides
            whether to compile it.

    Attributes:
        checkpoints: number of the condition's networks.
        side: height and width of a map in cells.
        batch: faces in a pass.
    """

    def __init__(self, networks: Networks, label: str, settings: MapSettings, photographs: int):
        keys = networks.keys(label)
        own = [networks.trained[key] for key in keys]
        self.checkpoints = len(own)
        self.side = own[0].side(settings.layer)
        self.batch = own[0].reader.batch
        self._device = networks.device
        occlusion = networks.conditions[label].occlusion
        self._views = own[0].views(occlude(networks.faces.pixels, occlusion))
        self._labels = torch.from_numpy(networks.faces.labels)
        self._held_out = np.stack([networks.held_out[key] for key in keys])
        self._makers = [MapMaker(network, settings) for network in own]
        trunks = {key: trunk(one, settings.layer) for key, one in networks.trained.items()}
        self._trunk_of = [trunks[key].key for key in keys]
        readers = {trunks[key].key: trunks[key] for key in keys}
        sharing = {other for (other, _), reader in trunks.items() if reader.key in readers}
        # Several trunks are of random or fine-tuned weights, none of them worth compiling.
        passes = photographs * len(sharing) if len(readers) == 1 else 0
        self._trunks = {key: fastest(reader, passes) for key, reader in readers.items()}

    def maps(self, indices: np.ndarray) -> np.ndarray:
        """Return the maps of faces by each network, float32, (networks, B, h, h).

        Those of a network that trained on a face are NaN.

        Args:
            indices: int64, (B,).
        """
        wanted = self._held_out[:, indices]
        maps = np.full((*wanted.shape, self.side, self.side), np.nan, np.float32)
        for key, read in self._trunks.items():
            users = [number for number, own in enumerate(self._trunk_of) if own == key]
            seen = np.flatnonzero(wanted[users].any(axis=0))
            if len(seen):
                faces = torch.from_numpy(indices[seen])
                tapped = read(self._views(faces.to(self._device), 0))
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
