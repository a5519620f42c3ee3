"""Files of features: those of one view at one tap, and which of them are there."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fer_lit.files import aside_of


class StoredFeatures:
    """Features of one view at one tap on disk, and which of them are present.

    `stem` is the path of the two files without `.features.npy` and `.present.npy`. They are mapped
    only while something is done with them: mapped pages count as memory of the process.
    """

    def __init__(self, stem: Path, shape: tuple[int, ...], dtype: np.dtype):
        self._values = stem.with_name(f"{stem.name}.features.npy")
        self._present = stem.with_name(f"{stem.name}.present.npy")
        _create(self._values, shape, dtype)
        _create(self._present, shape[:1], bool)

    def present(self) -> np.ndarray:
        """Return which faces are there at this moment, bool, (faces,)."""
        return np.load(self._present)

    def write(self, indices: np.ndarray, features: np.ndarray) -> None:
        """Store features, and only then say that they are there."""
        for path, content in ((self._values, features), (self._present, True)):
            stored = np.load(path, mmap_mode="r+")
            stored[indices] = content
            stored.flush()

    def map(self) -> Tensor:
        """Return all features, mapped; those that are not present are zeros."""
        return torch.from_numpy(np.load(self._values, mmap_mode="c"))


def _create(path: Path, shape: tuple[int, ...], dtype: np.dtype | type) -> None:
    """Create a file full of zeros (sparse on most file systems) if it is not there."""
    if path.exists():
        return
    aside = aside_of(path)
    np.lib.format.open_memmap(aside, mode="w+", dtype=dtype, shape=shape).flush()
    # A link, unlike a renaming, never replaces a file that another process just created.
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        aside.replace(path)
    aside.unlink(missing_ok=True)
