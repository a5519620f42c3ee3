"""Made-up photographs and altered copies of them, whose groups are known."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from fer_lit.faces.face_set import FaceSet

CLASSES = ("angry", "happy", "neutral")


def photograph(number: int, shift: int = 0, brightness: int = 0) -> np.ndarray:
    """Soft blots, 48x48; those of different numbers have nothing in common.

    Shifted by one column it is a near duplicate, by two it is none.
    """
    scene = gaussian_filter(np.random.default_rng(number).normal(size=(48, 64)), 3)
    shown = scene[:, 8 + shift : 56 + shift] / scene.std()
    return np.clip(shown * 40 + 120 + brightness, 0, 255).astype(np.uint8)


def compressed(face: np.ndarray) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(face).save(file, "jpeg", quality=50)
    return np.asarray(Image.open(file))


def cropped(face: np.ndarray) -> np.ndarray:
    """Without its outermost pixels."""
    return np.asarray(Image.fromarray(face[1:-1, 1:-1]).resize((48, 48), Image.Resampling.BILINEAR))


def face_set(
    pixels: Sequence[np.ndarray], labels: Sequence[int], parts: Sequence[str] | None = None
) -> FaceSet:
    return FaceSet(
        pixels=np.stack(pixels),
        labels=np.array(labels, np.int64),
        names=tuple(f"face/{number}" for number in range(len(labels))),
        parts=tuple(parts or [""] * len(labels)),
        classes=CLASSES,
        origin="photographs",
        source="made for a test",
    )
