"""Plain Lightning as most would write it: picture files, transforms per image, a data loader."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import partial

import lightning as L
import numpy as np
import torch
from contenders import CLASSES, NORMALISATION, Material, PooledBlocks, Round, finish
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import (
    Compose,
    Grayscale,
    Normalize,
    RandomAffine,
    RandomHorizontalFlip,
    Resize,
    ToTensor,
)

_BATCH = 64
_SHIFT = 30 / 224  # of the width and height, as `conf/augmentation/matlab.yaml` has it


class LightningPipeline:
    """Trains a new head on a frozen backbone; a round is the training of one epoch."""

    def __init__(self, material: Material):
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        self._material = material
        self._classifier = _Classifier(PooledBlocks(material.load_backbone()))
        self._loader = _TimedLoader(
            ImageFolder(material.folder, _transforms(material, augmented=True)),
            batch_size=_BATCH,
            shuffle=True,
            num_workers=material.cores,
            persistent_workers=True,
        )
        self._trainer = partial(
            L.Trainer,
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=material.folder.parent,
        )

    def round(self) -> Round:
        """Time one epoch, from asking for its first batch to its last step."""
        end = _EndOfEpoch()
        self._trainer(callbacks=[end]).fit(self._classifier, self._loader)
        return Round(len(self._loader.dataset), end.time - self._loader.started)

    @torch.no_grad()
    def features(self) -> np.ndarray:
        """Return the features of the compared faces without augmentation."""
        faces = ImageFolder(self._material.folder, _transforms(self._material, augmented=False))
        chosen = DataLoader(Subset(faces, self._material.compared), batch_size=_BATCH)
        backbone = self._classifier.backbone.cpu()  # where Lightning leaves it, too
        return torch.cat([backbone(pixels) for pixels, _ in chosen]).numpy()

    def notes(self) -> list[str]:
        """Return nothing."""
        return []


class _Classifier(L.LightningModule):
    """A frozen backbone and a linear head."""

    def __init__(self, backbone: PooledBlocks):
        super().__init__()
        self.backbone = backbone
        self.head = nn.LazyLinear(len(CLASSES))
        self.head(backbone(torch.zeros(1, 3, 64, 64)))

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        pixels, labels = batch
        with torch.no_grad():
            features = self.backbone(pixels)
        return nn.functional.cross_entropy(self.head(features), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.head.parameters(), lr=1e-3)


class _TimedLoader(DataLoader):
    """Keeps in `started` when an epoch began: Lightning begins to load before its own hook."""

    def __iter__(self) -> Iterator:
        self.started = time.perf_counter()
        return super().__iter__()


class _EndOfEpoch(L.Callback):
    """Keeps in `time` when the epoch's last step was done."""

    def on_train_epoch_end(self, trainer: L.Trainer, classifier: L.LightningModule) -> None:
        finish(classifier.device)
        self.time = time.perf_counter()


def _transforms(material: Material, augmented: bool) -> Compose:
    size = material.image_size
    random = [RandomHorizontalFlip(), RandomAffine(0, (_SHIFT, _SHIFT), (0.9, 1.1))]
    return Compose(
        [
            Grayscale(3),
            Resize((size, size)),
            *(random if augmented else []),
            ToTensor(),
            Normalize(*NORMALISATION[material.network]),
        ]
    )
