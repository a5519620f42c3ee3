"""What the network sees: view k of face i, as the network's input."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fer_lit.faces.augmentation import Augmentation, resample


class FaceViews:
    """Turns indices of faces into the network's input, on the device of the indices.

    View 0 is the face as it is, views 1, 2, … are random augmentations of it. A result depends
    only on the face, the view and the augmentation, never on the rest of the batch.

    Args:
        pixels: uint8, (N, 48, 48), occluded already.
        augmentation: what views 1, 2, … draw from.
        image_size: height and width of the network's input in pixels.
    """

    def __init__(self, pixels: np.ndarray, augmentation: Augmentation, image_size: int):
        self.augmentation = augmentation
        self.image_size = image_size
        self._pixels = torch.from_numpy(np.array(pixels))
        self._draws = lru_cache(maxsize=2)(self._draw)

    def __len__(self) -> int:
        return len(self._pixels)

    def __call__(self, indices: Tensor, view: int) -> Tensor:
        """Return view `view` of the faces: float32, (B, 1, image_size, image_size), 0–255.

        Args:
            indices: int64, (B,).
            view: 0 or more.
        """
        if self._pixels.device != indices.device:
            self._pixels = self._pixels.to(indices.device)
        draws = self._draws(view, indices.device)[indices]
        return resample(self._pixels[indices], draws, self.image_size)

    def _draw(self, view: int, device: torch.device) -> Tensor:
        return self.augmentation.draw(view, len(self)).to(device)
