"""The trainable head: from pooled taps to one score per emotion."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class LinearHead(nn.Module):
    """Standardise the concatenated taps, drop some, and one linear layer.

    Standardising (batch statistics in training, running ones after) puts taps of different scale
    on an equal footing; without `affine` the linear layer alone is trained.

    Args:
        features: number of features of all taps together.
        classes: number of emotions.
        dropout: share of the features dropped in training, 0 up to but not 1.
    """

    def __init__(self, features: int, classes: int, dropout: float):
        super().__init__()
        self.standardise = nn.BatchNorm1d(features, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, classes)

    def forward(self, taps: Mapping[str, Tensor]) -> Tensor:
        """Return logits, float, (B, classes), for taps of (B, channels, grid, grid)."""
        features = torch.cat([tap.flatten(1) for tap in taps.values()], dim=1)
        return self.linear(self.dropout(self.standardise(features)))
