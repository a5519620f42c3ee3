"""Trained networks, and the photographs they may be shown: those that they did not train on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fer_lit.faces.augmentation import AS_THEY_ARE
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.occlusion import Occlusion, occlude
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank.compilation import Read
from fer_lit.networks.reader import FrozenReader
from fer_lit.runs.predictions import prediction_frame

if TYPE_CHECKING:
    from fer_lit.analysis.labels import Condition
    from fer_lit.analysis.selection import Selection

Key = tuple[str, int]
"""The label of a network's condition, and its seed."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A run's network, frozen, on the device: that of its predictions.

    Attributes:
        reader: reads what the head is given; its backbone is one and the same object for all
            networks whose weights are equal.
        head: in eval mode.
    """

    reader: FrozenReader
    head: nn.Module

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the backbone's blocks, in the order in which they run."""
        return self.reader.backbone.names

    @property
    def deepest(self) -> str:
        """The deepest block that the head reads."""
        return max(self.reader.taps, key=self.blocks.index)

    def side(self, block: str) -> int:
        """Return the height and width of a block's output in cells."""
        return self.reader.backbone.side(block, self.reader.image_size)

    def views(self, pixels: np.ndarray) -> FaceViews:
        """Return what the network sees of faces, uint8, (N, 48, 48); only view 0 is meant."""
        return FaceViews(pixels, AS_THEY_ARE, self.reader.image_size)

    def features(self, pixels: np.ndarray) -> dict[str, Tensor]:
        """Return what the head reads of a few faces: tap → float32, (N, channels, grid, grid)."""
        views = self.views(pixels)
        faces = torch.arange(len(views), device=self.reader.device)
        batches = [self.reader(views(part, 0)) for part in faces.split(self.reader.batch)]
        return {tap: torch.cat([batch[tap] for batch in batches]) for tap in self.reader.taps}

    @torch.no_grad()
    def probabilities(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return softmax probabilities, float32, (B, classes), for pooled taps."""
        return self.head(features).softmax(dim=1)

    def with_head(self, head: nn.Module) -> TrainedNetwork:
        """Return the same backbone under another head."""
        return replace(self, head=head.requires_grad_(False).eval())


@dataclass(frozen=True)
class Networks:
    """Networks, and the photographs that they were trained and validated on.

    Attributes:
        selection: the runs.
        faces: the photographs.
        trained: the networks that could be rebuilt, at least one.
        device: where they are.
    """

    selection: Selection
    faces: FaceSet
    trained: Mapping[Key, TrainedNetwork]
    device: torch.device

    @cached_property
    def conditions(self) -> dict[str, Condition]:
        """The conditions that have networks."""
        labels = {label for label, _ in self.trained}
        return {label: one for label, one in self.selection.conditions.items() if label in labels}

    def keys(self, label: str) -> list[Key]:
        """Return the keys of a condition's networks, at least one, by ascending seed."""
        return [key for key in self.trained if key[0] == label]

    @property
    def covered_rows(self) -> list[slice | None]:
        """The rows that each condition covers; None where it covers none."""
        occlusions = [one.occlusion for one in self.conditions.values()]
        return [one.band[0] if one.height else None for one in occlusions]

    @cached_property
    def held_out(self) -> dict[Key, np.ndarray]:
        """Which faces each network is judged on, bool, (faces,): it has trained on none of them.

        Those of the test part, or else of the validation part.
        """
        images = {
            (label, seed): self.selection.conditions[label].runs[seed].predictions["image"]
            for label, seed in self.trained
        }
        names = pd.Index(self.faces.names)
        return {key: names.isin(own) for key, own in images.items()}

    @property
    def sharing(self) -> list[list[Key]]:
        """The networks in groups that read the same features of the same backbone."""
        groups: dict[tuple, list[Key]] = {}
        for key, network in self.trained.items():
            groups.setdefault(network.reader.key, []).append(key)
        return list(groups.values())

    def judged(self, group: Sequence[Key]) -> np.ndarray:
        """Return the faces that a network of the group is judged on: indices, int64, ascending."""
        return np.flatnonzero(np.any([self.held_out[key] for key in group], axis=0))

    def predict(self, group: Sequence[Key], read: Read, batch: int) -> dict[Key, pd.DataFrame]:
        """Let each network of a group predict the faces that it is judged on.

        Args:
            group: networks that share their features.
            read: returns the features of faces under an occlusion for their indices; asked once
                per face.
            batch: faces to read at a time.

        Returns:
            For each network a `prediction_frame`.
        """
        faces = self.judged(group)
        found: dict[Key, list[np.ndarray]] = {key: [] for key in group}
        for part in np.split(faces, range(batch, len(faces), batch)):
            features = read(torch.from_numpy(part).to(self.device))
            for key in group:
                own = torch.from_numpy(self.held_out[key][part]).to(self.device)
                tapped = {tap: values[own] for tap, values in features.items()}
                found[key].append(self.trained[key].probabilities(tapped).cpu().numpy())
        return {key: self._predictions(key, np.concatenate(found[key])) for key in group}

    def predict_under(
        self,
        group: Sequence[Key],
        occlusion: Occlusion,
        read: Read,
        advance: Callable[[int], None],
    ) -> dict[Key, pd.DataFrame]:
        """Let each network of a group predict under an occlusion, and keep no features.

        Args:
            group: networks that share their features.
            occlusion: to test under.
            read: reads what the group shares from pixels.
            advance: told how many faces have gone through the network.
        """
        network = self.trained[group[0]]
        views = network.views(occlude(self.faces.pixels, occlusion))

        def read_faces(indices: Tensor) -> dict[str, Tensor]:
            features = read(views(indices, 0))
            advance(len(indices))
            return features

        return self.predict(group, read_faces, network.reader.batch)

    def _predictions(self, key: Key, probabilities: np.ndarray) -> pd.DataFrame:
        own = np.flatnonzero(self.held_out[key])
        names = [self.faces.names[index] for index in own]
        return prediction_frame(names, self.faces.labels[own], probabilities, self.faces.classes)
