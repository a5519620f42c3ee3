"""The trainable head: from pooled taps to one score per emotion."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def build_head(features: int, classes: int, dropout: float, hidden: int | None) -> nn.Module:
    """Return a head with a hidden layer of so many units, or a linear one for None."""
    if hidden is None:
        return LinearHead(features, classes, dropout)
    return MLPHead(features, classes, dropout, hidden)


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
        return self.linear(self.dropout(self.standardise(_concatenated(taps))))


class MLPHead(nn.Module):
    """Standardise the concatenated taps, and a perceptron with one hidden layer.

    Dropout comes before either linear layer; the hidden units are normalised over the batch before
    their ReLU.

    Args:
        features: number of features of all taps together.
        classes: number of emotions.
        dropout: share of the features, and of the hidden units, dropped in training.
        hidden: number of hidden units.
    """

    def __init__(self, features: int, classes: int, dropout: float, hidden: int):
        super().__init__()
        self.standardise = nn.BatchNorm1d(features, affine=False)
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, taps: Mapping[str, Tensor]) -> Tensor:
        """Return logits, float, (B, classes), for taps of (B, channels, grid, grid)."""
        return self.layers(self.standardise(_concatenated(taps)))


def _concatenated(taps: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([tap.flatten(1) for tap in taps.values()], dim=1)
