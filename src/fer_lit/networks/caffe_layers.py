"""Layers of the original GoogLeNet that torch has not, or only slowly."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


class LocalResponseNorm(nn.Module):
    """`nn.LocalResponseNorm(5, 1e-4, 0.75, 1)`: x / (1 + 1e-4 / 5 * sum of 5 channels' x²)^0.75.

    The sum over neighbouring channels is a 1x1 convolution with a banded matrix, which is several
    times as fast on a CPU.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        index = torch.arange(channels)
        band = ((index[:, None] - index[None, :]).abs() <= 2).float()
        self.register_buffer("band", band[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W); the same shape and type."""
        # Autocast would choose types operation by operation. Scaling before squaring keeps float16
        # from overflowing, as activations reach thousands. Two roots cost a tenth of a power.
        with torch.autocast(x.device.type, enabled=False):
            squares = (x * (1e-4 / 5) ** 0.5).square_()
            root = nn.functional.conv2d(squares, self.band.to(x.dtype)).add_(1).rsqrt_()
            return (root * root.sqrt()).mul_(x)


class Inception(nn.ModuleDict):
    """Four branches, concatenated: 1x1 | 3x3 | 5x5 | pooled and projected."""

    def __init__(
        self, channels: int, one: int, three: tuple[int, int], five: tuple[int, int], pooled: int
    ) -> None:
        super().__init__(
            {
                "1x1": nn.Conv2d(channels, one, 1),
                "3x3_reduce": nn.Conv2d(channels, three[0], 1),
                "3x3": nn.Conv2d(*three, 3, padding=1),
                "5x5_reduce": nn.Conv2d(channels, five[0], 1),
                "5x5": nn.Conv2d(*five, 5, padding=2),
                "pool_proj": nn.Conv2d(channels, pooled, 1),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) for (B, `channels`, H, W): C is that of all branches together."""
        pooled = nn.functional.max_pool2d(x, 3, stride=1, padding=1)
        branches = (
            self._relu("1x1", x),
            self._relu("3x3", self._relu("3x3_reduce", x)),
            self._relu("5x5", self._relu("5x5_reduce", x)),
            self._relu("pool_proj", pooled),
        )
        return torch.cat(branches, 1)

    def _relu(self, layer: str, x: Tensor) -> Tensor:
        # Directly after its convolution, where a compiler makes one operation of both.
        return nn.functional.relu_(self[layer](x))


def convolution(name: str, convolution: nn.Conv2d) -> nn.Sequential:
    """Return a convolution, called so, and its ReLU."""
    return nn.Sequential(OrderedDict([(name, convolution), ("relu", nn.ReLU(inplace=True))]))


def halved() -> nn.MaxPool2d:
    """Return the pooling that halves a map, a last incomplete window included."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)
