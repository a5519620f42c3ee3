"""fastai's Learner: picture files, its augmentation of batches, a frozen body."""

from __future__ import annotations

import time

import numpy as np
import torch
from contenders import CLASSES, NORMALISATION, TAP, Material, PooledBlocks, Round, finish
from fastai.callback.core import Callback
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import IndexSplitter, Normalize, parent_label
from fastai.layers import LinBnDrop
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import params
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageBlock
from torch import nn

from fer_lit.networks.googlenet import CHANNELS

_BATCH = 64


class FastaiPipeline:
    """Trains a new head on a frozen body; a round is the training of one epoch."""

    def __init__(self, material: Material):
        self._material = material
        self._stopwatch = _Stopwatch()
        body = PooledBlocks(material.load_backbone())
        # Else fastai trains the BatchNorm of the body, and goes back through all of it.
        self._learner = Learner(
            self._loaders(),
            nn.Sequential(body, LinBnDrop(CHANNELS[TAP], len(CLASSES))),
            loss_func=CrossEntropyLossFlat(),
            splitter=lambda model: [params(part) for part in model],
            train_bn=False,
            path=material.folder.parent,
            cbs=self._stopwatch,
        )
        self._learner.freeze()

    def round(self) -> Round:
        """Time the training half of one epoch; there is nothing to validate on."""
        with self._learner.no_logging():
            self._learner.fit(1, 1e-3)
        return Round(self._stopwatch.images, self._stopwatch.seconds)

    @torch.no_grad()
    def features(self) -> np.ndarray:
        """Return the features of the compared faces without augmentation."""
        files = self._material.files
        chosen = self._learner.dls.test_dl([files[i] for i in self._material.compared])
        body = self._learner.model[0]
        return torch.cat([body(pixels) for (pixels,) in chosen]).cpu().numpy()

    def notes(self) -> list[str]:
        """Return nothing."""
        return []

    def _loaders(self):
        material = self._material
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_items=lambda _: material.files,
            get_y=parent_label,
            splitter=IndexSplitter([]),
            item_tfms=Resize(material.image_size),
            batch_tfms=[
                *aug_transforms(max_warp=0),
                Normalize.from_stats(*NORMALISATION[material.network]),
            ],
        )
        return block.dataloaders(
            material.folder, bs=_BATCH, num_workers=material.cores, drop_last=False
        )


class _Stopwatch(Callback):
    """Keeps the images and the seconds of the last training epoch."""

    def before_train(self) -> None:
        self.images = 0
        self._start = time.perf_counter()

    def after_batch(self) -> None:
        if self.training:
            self.images += len(self.yb[0])

    def after_train(self) -> None:
        finish(self.dls.device)
        self.seconds = time.perf_counter() - self._start
