"""Which faces train a network and which validate it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet


@dataclass(frozen=True)
class Split:
    """Indices of the faces (int64, ascending) that train and that validate."""

    train: np.ndarray
    validation: np.ndarray


def split_faces(faces: FaceSet, validation: float, seed: int) -> Split:
    """Divide all faces at random, whatever part they came from, alike for each emotion.

    This is protocol `paper`. The occlusion has no say, so the validation faces of one seed are the
    same in every condition.

    Args:
        faces: the faces.
        validation: share of the faces that validate, above 0 and below 1.
        seed: decides the draw.

    Raises:
        ConfigError: there are too few faces of an emotion to be on both sides.
    """
    try:
        train, held_out = train_test_split(
            np.arange(len(faces)), test_size=validation, stratify=faces.labels, random_state=seed
        )
    except ValueError as error:
        raise ConfigError(
            f"data.split.validation={validation}: cannot divide {len(faces)} faces "
            f"({_describe(faces)}) so that each emotion is on both sides: {error}"
        ) from error
    return Split(np.sort(train), np.sort(held_out))


def _describe(faces: FaceSet) -> str:
    return ", ".join(f"{emotion} {count}" for emotion, count in faces.counts.items())
