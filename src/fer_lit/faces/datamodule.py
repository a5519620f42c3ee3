"""Occluded faces, split and in batches, as the network sees them."""

from collections.abc import Sequence
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, SequentialSampler

from fer_lit.faces.augmentation import Augmentation
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.occlusion import Occlusion, occlude
from fer_lit.faces.split import Split
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank.bank import FeatureBank

_STORED_NUMBERS = 4096 * 1024
"""Numbers in a batch of stored features to validate or test: 4,096 faces of the paper's tap."""


class Batch(NamedTuple):
    """B faces on the device.

    Attributes:
        inputs: pixels, float32, (B, 1, S, S), 0–255; or their features, tap → float32,
            (B, channels, grid, grid). V views to be averaged follow one another: V·B in place of B.
        labels: int64, (B,).
    """

    inputs: Tensor | dict[str, Tensor]
    labels: Tensor


class FaceDataModule(L.LightningDataModule):
    """Applies the occlusion to all faces at once and serves each part of them in batches.

    The loaders yield indices of faces, which cost nothing to shuffle or to send. Once on the device
    they are turned into pixels there, or into stored features where there is a `bank`.

    Args:
        image_size: height and width of the network's input in pixels.
        views: number of random views that training cycles through: epoch e trains on view
            1 + e mod `views`. 0 trains on the faces as they are. `None` is a new view every epoch.
            A sequence names the views to cycle through.
        test_views: over which the probabilities of validation and test faces are averaged.
    """

    def __init__(
        self,
        faces: FaceSet,
        occlusion: Occlusion,
        augmentation: Augmentation,
        image_size: int,
        split: Split,
        batch_size: int,
        views: int | Sequence[int] | None,
        test_views: Sequence[int] = (0,),
    ):
        super().__init__()
        self.faces, self.occlusion, self.split = faces, occlusion, split
        self.batch_size = batch_size
        self.views = FaceViews(occlude(faces.pixels, occlusion), augmentation, image_size)
        self.bank: FeatureBank | None = None
        self._cycle = _numbered(views) if augmentation.changes_faces else (0,)
        self._test_views = tuple(test_views) if augmentation.changes_faces else (0,)
        self._labels = torch.from_numpy(faces.labels)

    def training_view(self, epoch: int) -> int:
        """Return the view that an epoch (0, 1, …) trains on."""
        return 1 + epoch if self._cycle is None else self._cycle[epoch % len(self._cycle)]

    def needed_views(self, epochs: int) -> dict[int, np.ndarray]:
        """Return which faces are seen in which view by a training of so many epochs."""
        training = {self.training_view(epoch) for epoch in range(epochs)}
        held_out = [self.split.validation, self.split.test]
        needed = {}
        for view in sorted(training.union(self._test_views)):
            trains, tests = view in training, view in self._test_views
            needed[view] = np.sort(np.concatenate([self.split.train] * trains + held_out * tests))
        return needed

    def train_dataloader(self) -> DataLoader:
        """Training faces, shuffled."""
        faces = self.split.train
        # A batch of one face cannot be standardised by its own statistics.
        lonely = len(faces) % self.batch_size == 1
        batches = BatchSampler(RandomSampler(faces), self.batch_size, drop_last=lonely)
        return _loader(faces, batches)

    def val_dataloader(self) -> DataLoader:
        """Validation faces in ascending order."""
        return self._in_order(self.split.validation)

    def test_dataloader(self) -> DataLoader:
        """Test faces in ascending order."""
        return self._in_order(self.split.test)

    predict_dataloader = val_dataloader

    def on_after_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Batch:
        """Turn indices on the device, int64 (B,), into what the network is given."""
        training = self.trainer.training
        views = [self.training_view(self.trainer.current_epoch)] if training else self._test_views
        read = self.bank.read if self.bank else self.views
        inputs = _one_after_another([read(batch, view) for view in views])
        self._labels = self._labels.to(batch.device)
        return Batch(inputs, self._labels[batch])

    def _in_order(self, faces: np.ndarray) -> DataLoader:
        size = max(2, _STORED_NUMBERS // self.bank.numbers) if self.bank else self.batch_size
        return _loader(faces, BatchSampler(SequentialSampler(faces), size, drop_last=False))


def _numbered(views: int | Sequence[int] | None) -> tuple[int, ...] | None:
    if isinstance(views, int):
        return tuple(range(1, views + 1)) or (0,)
    return views if views is None else tuple(views)


def _one_after_another(views: list[Tensor] | list[dict[str, Tensor]]) -> Tensor | dict[str, Tensor]:
    if len(views) == 1:
        return views[0]
    if isinstance(views[0], Tensor):
        return torch.cat(views)
    return {tap: torch.cat([view[tap] for view in views]) for tap in views[0]}


def _loader(indices: np.ndarray, batches: Sampler) -> DataLoader:
    # A batch is taken at once; by itself the loader would fetch face by face and stack them.
    return DataLoader(torch.from_numpy(indices), sampler=batches, batch_size=None)
