"""Views of a face: seeded random draws, and the one resampling that applies them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

REFERENCE_SIZE = 224
"""Input size in pixels that `translate` is stated at, as in MATLAB's example for GoogLeNet."""


@dataclass(frozen=True)
class Augmentation:
    """Random reflection, translation and scale of the training faces.

    The values of the configuration `matlab` are those of MATLAB's transfer learning example
    (`imageDataAugmenter`), with one scale for both axes.

    Attributes:
        flip: probability of a left-right reflection, 0–1.
        translate: largest shift in x and in y, in pixels of a 224-pixel input.
        scale: smallest and largest factor.
        seed: with the view and the index of a face it decides the draws.
    """

    flip: float
    translate: float
    scale: tuple[float, float]
    seed: int

    @property
    def changes_faces(self) -> bool:
        """Whether any part is switched on."""
        return self.flip > 0 or self.translate > 0 or tuple(self.scale) != (1, 1)

    @property
    def identity(self) -> dict:
        """Everything that decides the draws."""
        return asdict(self)

    def draw(self, view: int, count: int) -> Tensor:
        """Draw a view of `count` faces.

        Returns:
            float32, (count, 4): reflection (1 or -1), shift in x and in y (a share of the half
            width, positive to the right and down), scale. View 0 is the face as it is. Row i
            depends only on (`seed`, `view`, i).
        """
        if view == 0:
            return torch.tensor([[1.0, 0.0, 0.0, 1.0]]).expand(count, 4)
        uniform = np.random.default_rng([self.seed, view]).random((count, 4))
        smallest, largest = self.scale
        shift = 2 * self.translate / REFERENCE_SIZE
        draws = np.empty((count, 4), dtype=np.float32)
        draws[:, 0] = np.where(uniform[:, 0] < self.flip, -1, 1)
        draws[:, 1:3] = (2 * uniform[:, 1:3] - 1) * shift
        draws[:, 3] = smallest + (largest - smallest) * uniform[:, 3]
        return torch.from_numpy(draws)


AS_THEY_ARE = Augmentation(flip=0, translate=0, scale=(1, 1), seed=0)
"""Changes nothing: for those who want view 0 alone."""


def resample(faces: Tensor, draws: Tensor, size: int) -> Tensor:
    """Apply the draws and enlarge to the network's input, in one bilinear resampling.

    Nothing is rotated, so rows and columns are resampled apart: by a matrix from the left and one
    from the right. This is `grid_sample` but for rounding, at a seventh of its time on a CPU.

    Args:
        faces: uint8, (B, H, W).
        draws: float32, (B, 4), see `Augmentation.draw`, on the same device.
        size: height and width of the result in pixels.

    Returns:
        float32, (B, 1, size, size), 0–255. What lies outside the face is black, as in MATLAB.
    """
    reflection, shift_x, shift_y, scale = draws.unbind(dim=1)
    height, width = faces.shape[1:]
    rows = _weights(1 / scale, -shift_y / scale, size, height)
    columns = _weights(reflection / scale, -reflection * shift_x / scale, size, width)
    return (rows @ faces.float() @ columns.transpose(1, 2)).unsqueeze(1)


def _weights(slope: Tensor, offset: Tensor, size: int, source: int) -> Tensor:
    """Return linear interpolation along one axis, (B, size, source), as weights of the pixels.

    Args:
        slope: (B,), and
        offset: (B,): a place p of the result, -1 to 1, comes from `slope` × p + `offset`.
        size: pixels of the result.
        source: pixels of the face.
    """
    pixels = torch.arange(max(size, source), device=slope.device)
    places = (2 * pixels[:size] + 1) / size - 1
    origins = slope[:, None] * places + offset[:, None]
    # Clamped, because the outer half of the pixels at the edges has neighbours on one side only.
    nearest = (((origins + 1) * source - 1) / 2).clamp(0, source - 1)
    weights = (1 - (nearest[:, :, None] - pixels[:source]).abs()).clamp(min=0)
    return weights * (origins.abs() <= 1)[:, :, None]
