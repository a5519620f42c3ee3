"""What decided a run's numbers."""

import logging
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from fer_lit.classifier import EmotionClassifier
from fer_lit.faces.duplicates import find_duplicates
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.split import Split
from fer_lit.precision import Precision

log = logging.getLogger(__name__)


def describe_run(
    cfg: DictConfig,
    faces: FaceSet,
    model: EmotionClassifier,
    device: torch.device,
    precision: Precision,
) -> dict[str, Any]:
    """Return what decided a run's numbers, besides its options, for its `provenance.json`."""
    return {
        "data": cfg.data.name,
        "origin": faces.origin,
        "source": faces.source,
        "faces": faces.counts,
        "duplicates": faces.duplicates,
        "blank": faces.blank,
        "data_fingerprint": faces.fingerprint,
        "backbone_digest": model.backbone.digest(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": {"head": precision.trainer, "backbone": model.hparams.backbone_arithmetic},
    }


def duplicates_across(protocol: str, faces: FaceSet, split: Split) -> dict[str, int]:
    """Return how many held-out faces have duplicates in training (`Duplicates.across`); log it."""
    others = np.concatenate([split.validation, split.test])
    across = find_duplicates(faces).across(split.train, others)
    verbs = {"train": "train", "validation": "validate", "test": "test"}
    parts = [f"{count:,} {verbs[part]}" for part, count in split.counts.items()]
    log.info(
        f"Split {protocol}: {', '.join(parts)}; {across['exact']:,} of the {len(others):,} have an "
        f"exact duplicate in training, {across['near']:,} a near one"
        + (" (drawn faces are much alike)" if faces.origin == "synthetic" else "")
    )
    return across
