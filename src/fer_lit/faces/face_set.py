"""A set of faces: the pixels, what each face expresses, and where it came from."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

SIZE = 48
"""Height and width of every face in pixels, as in FER-2013."""


@dataclass(frozen=True)
class FaceSet:
    """N grey faces with their emotions.

    Attributes:
        pixels: uint8, (N, 48, 48); may be memory-mapped.
        labels: int64, (N,), indices into `classes`.
        names: N unique names: the path below the root, `file.csv:line` or `synthetic/number`.
        parts: N of `train`, `validation`, `test` or `""`: the folder or CSV usage a face came from.
        classes: the emotions, in the order of the labels.
        origin: `photographs` or `synthetic`.
        source: for people: the folder or file, or how the faces were drawn.
    """

    pixels: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    parts: tuple[str, ...]
    classes: tuple[str, ...]
    origin: str
    source: str

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the classes, names, labels and pixels: equal only for equal data."""
        digest = hashlib.sha256()
        digest.update("\0".join(self.classes).encode() + b"\1")
        digest.update("\0".join(self.names).encode() + b"\1")
        digest.update(self.labels.astype("<i8").tobytes())
        digest.update(np.ascontiguousarray(self.pixels))
        return digest.hexdigest()

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of faces of each emotion."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return {emotion: int(count) for emotion, count in zip(self.classes, counts, strict=True)}

    @cached_property
    def duplicates(self) -> int:
        """Number of faces whose pixels equal those of an earlier face."""
        return len(self) - len({face.tobytes() for face in self.pixels})

    @cached_property
    def blank(self) -> int:
        """Number of faces in which every pixel has the same value."""
        flat = self.pixels.reshape(len(self), -1)
        return int((flat.max(axis=1) == flat.min(axis=1)).sum())
