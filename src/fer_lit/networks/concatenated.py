"""Layers on the features of all taps together."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Concatenated(nn.Sequential):
    """Layers that take the concatenated taps, (B, features), one after another."""

    def forward(self, taps: Mapping[str, Tensor]) -> Tensor:
        """Return logits, float, (B, classes), for taps of (B, channels, grid, grid)."""
        return super().forward(torch.cat([tap.flatten(1) for tap in taps.values()], dim=1))
