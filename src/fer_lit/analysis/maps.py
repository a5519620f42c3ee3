"""The attention maps of many photographs under every condition."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from fer_lit.analysis.averages import MappedPhotographs, average_maps
from fer_lit.analysis.cam import MapMaker, MapSettings, trunk
from fer_lit.analysis.networks import Key, Networks
from fer_lit.faces.occlusion import occlude
from fer_lit.feature_bank.compilation import fastest
from fer_lit.feature_bank.malloc import large_blocks_kept
from fer_lit.progress import image_progress


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
    faces, maps, centres = networks.faces, {}, {}
    passes = len(indices) * len(networks.conditions)
    with image_progress("Mapping attention", passes) as advance, large_blocks_kept():
        for label in networks.conditions:
            mapper = _ConditionMapper(networks, label, settings, len(indices))
            parts = []
            for part in np.split(indices, range(mapper.batch, len(indices), mapper.batch)):
                parts.append(mapper.maps(part))
                advance(len(part))
            maps[label], centres[label] = np.concatenate(parts, axis=1), mapper.centres
    return average_maps(maps, centres, indices, faces.labels[indices], faces.classes)


class _ConditionMapper:
    """Makes the maps of one condition's networks, with one pass for all that share a trunk.

    Args:
        networks: and their photographs.
        label: of the condition.
        settings: how maps are made.
        photographs: how many the trunk will see under each condition that shares it, which decides
            whether to compile it.

    Attributes:
        batch: faces in a pass.
        centres: where the cells of the maps lie (see `enlargement.Centres`).
    """

    def __init__(self, networks: Networks, label: str, settings: MapSettings, photographs: int):
        keys = networks.keys(label)
        own = [networks.trained[key] for key in keys]
        self._side = own[0].side(settings.layer)
        self.batch = own[0].reader.batch
        self.centres = own[0].centres(settings.layer)
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
        maps = np.full((*wanted.shape, self._side, self._side), np.nan, np.float32)
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
