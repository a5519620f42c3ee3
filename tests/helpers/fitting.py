"""Trains small classifiers through their networks, without a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest

from fer_lit.classifier import EmotionClassifier
from fer_lit.faces.augmentation import Augmentation
from fer_lit.faces.datamodule import FaceDataModule
from fer_lit.faces.occlusion import Occlusion
from fer_lit.faces.split import split_faces
from fer_lit.faces.synthetic import draw_faces

CLASSES = ["angry", "happy", "neutral"]

QUIET = [
    # What `fer_lit.fitting._quiet_lightning` leaves out, for the same reasons.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training"),
    pytest.mark.filterwarnings("ignore:.*srun. command is available on your system"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec"),
]


def drawn_faces(views: int | None = None) -> FaceDataModule:
    """Return 60 drawn faces of 32 pixels; `views` as in `FaceDataModule`."""
    faces = draw_faces(CLASSES, 60, seed=0)
    return FaceDataModule(
        faces,
        Occlusion("none", 0, 0, 0, 48, "noise", 0),
        Augmentation(flip=0.5, translate=30, scale=(0.9, 1.1), seed=0),
        image_size=32,
        split=split_faces(faces, "paper", validation=0.3, test=0, seed=0),
        batch_size=16,
        views=views,
    )


def fit(
    model: EmotionClassifier, data: FaceDataModule, folder: Path, epochs: int = 2, **options: Any
) -> L.Trainer:
    """Train on the CPU; `folder` is where Lightning may write, `options` are its Trainer's."""
    L.seed_everything(0, verbose=False)
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        default_root_dir=folder,
        **options,
    )
    trainer.fit(model, data)
    return trainer


_TARGETS = {
    "googlenet": "fer_lit.networks.googlenet.GoogLeNet",
    "googlenet_caffe": "fer_lit.networks.googlenet_caffe.GoogLeNetCaffe",
}


def described(
    network: str, dropout: float, scheduler: str, hidden: int | None = None, **others: Any
) -> dict[str, Any]:
    """Return arguments of `EmotionClassifier`, as `conf/model` writes them."""
    return {
        "backbone": {"_target_": _TARGETS[network]},
        "head": {
            "_target_": "fer_lit.networks.head.Perceptron",
            "dropout": dropout,
            "hidden": hidden,
        },
        "schedule": {
            "_target_": f"fer_lit.networks.schedules.{scheduler}",
            "_partial_": True,
        },
        **others,
    }
