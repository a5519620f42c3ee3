"""The features of a batch: the backbone's tapped blocks, averaged over a grid."""

from __future__ import annotations

from collections.abc import Mapping

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
        backbone: the network without its classifier.
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
