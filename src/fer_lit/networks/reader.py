"""The features of a batch: the backbone's tapped blocks, averaged over a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fer_lit.networks.backbone import Backbone, pool


def extract_features(
    backbone: Backbone, pixels: Tensor, taps: Mapping[str, int], arithmetic: torch.dtype
) -> dict[str, Tensor]:
    """Run the backbone and pool what the taps read.

    Gradients go back to the first trained block. Autograd keeps nothing for frozen ones before it,
    since neither their weights nor the pixels require any.

    Args:
        backbone: the network.
        pixels: float32, (B, 1, S, S), 0–255.
        taps: block → height and width of the grid that its output is averaged over.
        arithmetic: dtype the convolutions compute in (under autocast, unless it is float32).

    Returns:
        For each tap float32, (B, channels, grid, grid); averaged in float32 whatever `arithmetic`.
    """
    mixed = arithmetic != torch.float32
    # Nested in a trainer's own autocast: switched off there, so that float32 stays float32.
    with torch.autocast(pixels.device.type, dtype=arithmetic if mixed else None, enabled=mixed):
        activations = backbone(pixels.contiguous(memory_format=torch.channels_last), taps)
    with torch.autocast(pixels.device.type, enabled=False):
        return {tap: pool(activations[tap], grid) for tap, grid in taps.items()}


_PASS_PIXELS = {"cpu": 32 * 224**2, "cuda": 512 * 224**2}  # more gains nothing


@dataclass(frozen=True)
class FrozenReader:
    """Reads features of a frozen backbone, on `device`: see `extract_features`.

    Attributes:
        image_size: height and width of the input in pixels.
    """

    backbone: Backbone
    taps: Mapping[str, int]
    arithmetic: torch.dtype
    device: torch.device
    image_size: int

    def __call__(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return the features of pixels: see `extract_features`."""
        return extract_features(self.backbone, pixels, self.taps, self.arithmetic)

    def at(self, taps: Mapping[str, int]) -> FrozenReader:
        """Return a reader of the same network at other taps."""
        return replace(self, taps=dict(taps))

    @property
    def key(self) -> tuple:
        """Equal for readers that read the same; a backbone equals itself alone."""
        taps = tuple(self.taps.items())
        return self.backbone, taps, self.arithmetic, self.device, self.image_size

    @property
    def batch(self) -> int:
        """How many faces go through the backbone together, whatever their size in memory."""
        return max(1, _PASS_PIXELS[self.device.type] // self.image_size**2)

    @property
    def numbers(self) -> int:
        """How many numbers a face has in one view, all taps together."""
        return self.backbone.numbers(self.taps)
