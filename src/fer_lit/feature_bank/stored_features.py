"""Files of features: those of one view at one tap, which of them are there, and their checksums."""

import os
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor
from xxhash import xxh3_64_intdigest

from fer_lit.files import remove, replacing

_ADOPTED = 4096  # faces looked through at once


class StoredFeatures:
    """Features of one view at one tap on disk, which faces are there, and a checksum of each face.

        <stem>.features.npy    (faces, channels, grid, grid)
        <stem>.present.npy     (faces,) bool
        <stem>.checksums.npy   (faces,) uint64: XXH3 of a face's features

    `stem` is a path. Files are mapped only while they are read, since mapped pages count as memory
    of the process, and never written through a mapping: on a full disk that ends the process.
    """

    def __init__(self, stem: Path, shape: tuple[int, ...], dtype: np.dtype):
        self._values, self._present, self._checksums = (
            stem.with_name(f"{stem.name}.{what}.npy")
            for what in ("features", "present", "checksums")
        )
        self._shape, self._dtype = shape, dtype
        self._files = {
            self._values: (shape, dtype),
            self._checksums: (shape[:1], np.dtype("uint64")),
            self._present: (shape[:1], np.dtype("bool")),
        }

    def present(self) -> np.ndarray:
        """Return which faces are there at this moment, bool, (faces,)."""
        # Damaged, a byte may be neither 0 nor 1, of which numpy makes nonsense.
        return np.load(self._present).view("uint8") == 1

    def write(self, indices: np.ndarray, features: np.ndarray) -> None:
        """Store features of faces, ascending, and only then say that they are there.

        Raises:
            ValueError: they are of another shape or type, or not finite.
            OSError: the disk is full.
        """
        if features.shape != (len(indices), *self._shape[1:]) or features.dtype != self._dtype:
            raise ValueError(f"{self._values}: cannot hold {features.dtype} {features.shape}")
        if not np.isfinite(features).all():
            raise ValueError(f"{self._values}: features are not finite")
        features = np.ascontiguousarray(features)
        _put(self._values, indices, features)
        _put(self._checksums, indices, _checksums(features, np.arange(len(indices))))
        _put(self._present, indices, np.ones(len(indices), bool))

    def map(self) -> Tensor:
        """Return all features, mapped; those that are not present are zeros."""
        return torch.from_numpy(np.load(self._values, mmap_mode="c"))

    def is_sound(self, indices: np.ndarray) -> bool:
        """Return whether the files are there and whole, and those of the faces that are present."""
        return self._is_whole(*self._files) and not len(self._damaged(indices))

    def mend(self, indices: np.ndarray) -> str | None:
        """Create the files, or drop what is damaged of some faces; return what was, in words.

        Files without checksums, of an earlier version, get them. Call it where no other process
        writes.
        """
        if not self._checksums.exists() and self._is_whole(self._values, self._present):
            dropped = self._adopt()
        elif self._is_whole(*self._files):
            dropped = self._damaged(indices)
            self._drop(dropped)
        else:
            remains = any(map(os.path.lexists, self._files))
            self._create()
            return "files are missing or damaged" if remains else None
        return f"{len(dropped):,} faces are damaged" if len(dropped) else None

    def _is_whole(self, *files: Path) -> bool:
        """Return whether files are there, long enough, and of their shape and type."""
        for file in files:
            if not file.is_file():  # a pipe would be waited for
                return False
            try:
                array = open_memmap(file, mode="r")
            except Exception:  # numpy reads the header, which may hold anything
                return False
            if (array.shape, array.dtype) != self._files[file]:
                return False
        return True

    def _damaged(self, indices: np.ndarray) -> np.ndarray:
        """Return the faces that are said to be present and are not as they were written."""
        rows = indices[self.present()[indices]]
        wanted = np.load(self._checksums)[rows]
        return rows[_checksums(open_memmap(self._values, mode="r"), rows) != wanted]

    def _drop(self, indices: np.ndarray) -> None:
        _put(self._present, indices, np.zeros(len(indices), bool))

    def _adopt(self) -> np.ndarray:
        """Take checksums, drop faces that no network gives (NaN, all zeros), and return those."""
        values, rows = open_memmap(self._values, mode="r"), np.flatnonzero(self.present())
        checksums = np.zeros(self._shape[0], "uint64")
        checksums[rows] = _checksums(values, rows)
        parts = np.split(rows, range(_ADOPTED, len(rows), _ADOPTED))
        features = (values[part].reshape(len(part), prod(self._shape[1:])) for part in parts)
        likely = [np.isfinite(part).all(axis=1) & part.any(axis=1) for part in features]
        dropped = rows[~np.concatenate(likely)]
        self._drop(dropped)
        with replacing(self._checksums) as aside, aside.open("wb") as file:
            np.save(file, checksums)
        return dropped

    def _create(self) -> None:
        """Create files of zeros; those of the features take no room until they are written."""
        for path, (shape, dtype) in self._files.items():
            remove(path)
            with replacing(path) as aside:
                open_memmap(aside, mode="w+", dtype=dtype, shape=shape).flush()


def _checksums(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return XXH3 of some rows, uint64."""
    size, stored = features[0].nbytes, memoryview(features).cast("B")
    starts = (rows.astype("int64") * size).tolist()
    digests = [xxh3_64_intdigest(stored[start : start + size]) for start in starts]
    return np.array(digests, "uint64")


def _put(path: Path, indices: np.ndarray, rows: np.ndarray) -> None:
    """Write rows, C-contiguous, into the array in a file, at ascending indices."""
    if not len(indices):
        return
    offset, size = open_memmap(path, mode="r").offset, rows[0].nbytes
    starts = np.flatnonzero(np.diff(indices, prepend=-2) != 1)
    with path.open("r+b") as file:
        for start, end in pairwise([*starts, len(indices)]):
            file.seek(offset + int(indices[start]) * size)
            file.write(rows[start:end])
