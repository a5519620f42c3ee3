"""fer-lit from picture files to features on disk, with nothing there before."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contenders import BATCH, CLASSES, TAP, Material, Round, device, finish
from omegaconf import OmegaConf

from fer_lit.faces.datamodule import FaceDataModule
from fer_lit.faces.decoding import load_photographs
from fer_lit.faces.split import split_faces
from fer_lit.feature_bank import compilation
from fer_lit.feature_bank.bank import FeatureBank, depends_on
from fer_lit.networks.reader import FrozenReader
from fer_lit.precision import choose_precision
from fer_lit.targets import build

_CONF = Path(__file__).parents[1] / "conf"


class FerLitPipeline:
    """Reads, occludes, augments, resamples, computes and writes one random view of all faces."""

    def __init__(self, material: Material):
        # Faces here stand for many more, for which fer-lit would compile.
        compilation.WORTHWHILE_PIXELS = dict.fromkeys(BATCH, 0)
        self._said = _Said()
        self._material = material
        self._device = device()
        self._arithmetic = choose_precision("auto", self._device).backbone
        self._backbone = material.load_backbone().to(self._device)

    def round(self) -> Round:
        """Time everything, from an empty cache folder to a filled bank."""
        with tempfile.TemporaryDirectory(dir=self._material.folder.parent) as cache:
            os.environ["FER_LIT_CACHE"] = cache
            start = time.perf_counter()
            data = self._data("mouth")
            self._bank(data).fill({1: np.arange(len(data.faces))})
            finish(self._device)
            return Round(len(data.faces), time.perf_counter() - start)

    def features(self) -> np.ndarray:
        """Return the features of the compared faces, not occluded, in view 0."""
        with tempfile.TemporaryDirectory(dir=self._material.folder.parent) as cache:
            os.environ["FER_LIT_CACHE"] = cache
            compared = np.array(self._material.compared)
            bank = self._bank(self._data("none"))
            bank.fill({0: compared})
            return bank.read(torch.from_numpy(compared), 0)[TAP].flatten(1).numpy()

    def notes(self) -> list[str]:
        """Return in which arithmetic it computed, and what it said about compiling."""
        arithmetic = str(self._arithmetic).removeprefix("torch.")
        return [f"fer-lit computed in {arithmetic}", *(f"fer-lit: {m}" for m in self._said.lines)]

    def _data(self, occlusion: str) -> FaceDataModule:
        faces = load_photographs(self._material.folder, CLASSES, "error")
        return FaceDataModule(
            faces,
            _configured("occlusion", occlusion),
            _configured("augmentation", "matlab"),
            image_size=self._material.image_size,
            split=split_faces(faces, "paper", validation=0.3, test=0, seed=0),
            batch_size=256,
            views=2,
        )

    def _bank(self, data: FaceDataModule) -> FeatureBank:
        return FeatureBank(
            data.views,
            depends_on(data.faces, data.occlusion),
            FrozenReader(
                self._backbone,
                {TAP: 1},
                self._arithmetic,
                self._device,
                self._material.image_size,
            ),
        )


class _Said(logging.Handler):
    """Keeps what fer-lit says about compiling, each line once, and prints nothing."""

    def __init__(self):
        super().__init__()
        self.lines: list[str] = []
        logger = logging.getLogger(compilation.__name__)
        logger.addHandler(self)
        logger.setLevel(logging.INFO)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() not in self.lines:
            self.lines.append(record.getMessage())


def _configured(group: str, name: str) -> Any:
    return build(OmegaConf.load(_CONF / group / f"{name}.yaml"))
