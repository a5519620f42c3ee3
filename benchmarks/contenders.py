"""Who takes part in the benchmark of images, and what all of them are given.

A contender is a class, made in a process of its own with a `Material` and its options, with

    round() -> Round              one timed pass over the faces
    features() -> np.ndarray      float32, (faces compared, channels), of `Material.compared` faces
                                  as they are, read and resized in its own way
    notes() -> list[str]          what else the reader of the table should know
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fer_lit.networks.backbone import Backbone
from fer_lit.networks.googlenet import GoogLeNet
from fer_lit.networks.googlenet_caffe import GoogLeNetCaffe
from fer_lit.networks.weights import build_backbone
from fer_lit.precision import choose_device

CLASSES = ("angry", "happy", "neutral")
NETWORKS = {"googlenet": GoogLeNet(), "googlenet_caffe": GoogLeNetCaffe()}
TAP = "inception5b"
BATCH = {"cpu": 64, "cuda": 512}
"""Faces in a batch of the contenders that only compute features, by type of device."""

NORMALISATION = {
    "googlenet": ((0.5,) * 3, (0.5,) * 3),
    "googlenet_caffe": ((104 / 255, 117 / 255, 123 / 255), (1 / 255,) * 3),
}
"""Mean and deviation, for grey pixels of 0 to 1 in three channels, that give a network's input."""


class Round(NamedTuple):
    """One timed pass."""

    images: int
    seconds: float


@dataclass(frozen=True)
class Material:
    """What all contenders of one benchmark are given.

    Attributes:
        folder: holds picture files, `<emotion>/<number>.<suffix>`, sorted as the indices count.
        pixels: file with the same faces decoded, uint8, (N, 48, 48), `.npy`.
        weights: the backbone's state dictionary, `.safetensors`.
        network: `googlenet` or `googlenet_caffe`.
        image_size: height and width of the network's input in pixels.
        compared: indices of the faces whose features are compared.
        cores: number of threads, and of a data loader's processes.
    """

    folder: Path
    pixels: Path
    weights: Path
    network: str
    image_size: int
    compared: tuple[int, ...]
    cores: int

    @property
    def files(self) -> list[Path]:
        """The picture files, in the order of the indices."""
        return sorted(self.folder.glob("*/*"))

    def load_pixels(self) -> np.ndarray:
        """Return all faces, uint8, (N, 48, 48)."""
        return np.load(self.pixels)

    def load_backbone(self) -> Backbone:
        """Return the same frozen backbone for everyone, on the CPU."""
        backbone = build_backbone(NETWORKS[self.network], None)
        backbone.load_state_dict(load_file(self.weights))
        return backbone


class PooledBlocks(nn.Module):
    """The backbone's blocks as a plain module: normalised input to features, averaged over space.

    It stays in eval mode, as a frozen network has to.
    """

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.blocks = nn.Sequential(*backbone.blocks.values())
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """From (B, 3, H, W) of any float type to float32, (B, channels)."""
        return self.blocks(x).float().mean((2, 3))

    def train(self, mode: bool = True) -> PooledBlocks:
        """Stays in eval mode whatever `mode` is."""
        return super().train(False)


@dataclass(frozen=True, eq=False)
class Contender:
    """Who takes part.

    Attributes:
        id: for `--only`.
        title: in the table.
        factory: `module:class`, imported in the contender's process alone.
        options: of the class, beside the material.
        compiled: whether its warm-up compiles.
        needs: module it cannot do without, beyond fer-lit's own.
    """

    id: str
    title: str
    factory: str
    options: dict[str, Any] = field(default_factory=dict)
    compiled: bool = False
    needs: str | None = None

    @property
    def available(self) -> bool:
        """Whether what it needs is installed."""
        return self.needs is None or find_spec(self.needs) is not None

    def maker(self, material: Material) -> Callable[[], Any]:
        """Return a picklable function that makes it."""
        return partial(_make, self, material)


def _make(contender: Contender, material: Material) -> Any:
    module, name = contender.factory.split(":")
    made = getattr(import_module(module), name)(material, **contender.options)
    torch.set_num_threads(material.cores)  # last, as imports may set it
    return made


def device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return choose_device("auto")


def finish(device: torch.device) -> None:
    """Wait for the GPU, so that the time until now is that of finished work."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def _bare(arithmetic: str, compiled: bool) -> Contender:
    how = "compiled" if compiled else "eager"
    layout = "" if arithmetic == "float32" else " channels-last"
    return Contender(
        f"{how}-{arithmetic}",
        f"bare backbone, {how} {arithmetic}{layout}",
        "bare:Bare",
        {"arithmetic": arithmetic, "compiled": compiled},
        compiled,
    )


FLOOR = "compiled-bfloat16"
"""The contender that the others are compared with."""

CONTENDERS = (
    _bare("float32", compiled=False),
    _bare("float32", compiled=True),
    _bare("bfloat16", compiled=False),
    _bare("bfloat16", compiled=True),
    Contender("lightning", "plain Lightning, float32", "lightning_pipeline:LightningPipeline"),
    Contender(
        "fastai", "fastai Learner, float32", "fastai_pipeline:FastaiPipeline", needs="fastai"
    ),
    Contender(
        "fer-lit",
        "fer-lit, everything included",
        "fer_lit_pipeline:FerLitPipeline",
        compiled=True,
    ),
)
