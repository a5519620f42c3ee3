"""The bare backbone on a tensor in memory: no reading, no augmentation, nothing kept."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from contenders import BATCH, Material, PooledBlocks, Round, device, finish
from given import as_they_are
from torch import Tensor


class Bare:
    """Passes one batch through the network as often as the faces would need.

    Args:
        material: see `Material`.
        arithmetic: `float32`; or `bfloat16`, of weights and input, channels-last.
        compiled: by inductor, with frozen weights.
    """

    def __init__(self, material: Material, arithmetic: str, compiled: bool):
        self._device = device()
        self._batch_size = BATCH[self._device.type]
        self._rounds = math.ceil(len(material.load_pixels()) / self._batch_size)
        self._compared = len(material.compared)
        backbone = material.load_backbone()
        batch = backbone.preprocessing(self._faces(material)).contiguous()
        network = PooledBlocks(backbone).to(self._device)
        if arithmetic == "bfloat16":
            network = network.to(torch.bfloat16).to(memory_format=torch.channels_last)
            batch = batch.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        self._batch = batch.to(self._device)
        self._network = _compile(network) if compiled else network

    @torch.no_grad()
    def round(self) -> Round:
        """Time the network alone."""
        finish(self._device)
        start = time.perf_counter()
        for _ in range(self._rounds):
            self._network(self._batch)
        finish(self._device)
        return Round(self._rounds * self._batch_size, time.perf_counter() - start)

    @torch.no_grad()
    def features(self) -> np.ndarray:
        """Return the features of the compared faces."""
        return self._network(self._batch)[: self._compared].cpu().numpy()

    def notes(self) -> list[str]:
        """Return nothing."""
        return []

    def _faces(self, material: Material) -> Tensor:
        """The compared faces, repeated up to a batch: float32, (B, 1, S, S), 0–255."""
        pixels = material.load_pixels()[np.resize(material.compared, self._batch_size)]
        return as_they_are(pixels, material.image_size)


def _compile(network: torch.nn.Module):
    # As an option of torch.compile it is not seen by the part that freezes.
    torch._inductor.config.freezing = True
    return torch.compile(network, dynamic=False)
