"""The feature bank: features of the frozen backbone, computed once and kept on disk.

A feature depends on the face, the occlusion, the view, the weights, the input size, the tap and the
arithmetic, and on nothing that a researcher tunes on the head. So another learning rate, head or
number of epochs finds its features there, and another seed needs only the views of faces that are
new in its training part (with random weights all of them: each seed measures its own statistics).

    <cache>/features/<key>/key.json                              what the features depend on
    <cache>/features/<key>/view1_inception5b_1.features.npy      (faces, channels, grid, grid)
    <cache>/features/<key>/view1_inception5b_1.present.npy       (faces,) bool: which are there

The key leaves out view and tap, which name the files, and for view 0 the augmentation, which does
not touch it. Deleting any of these folders is safe.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import compress
from pathlib import Path
from shutil import disk_usage
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from fer_lit.cache import cache_folder
from fer_lit.errors import ConfigError
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank.compilation import Extractor, feature_extractor
from fer_lit.feature_bank.malloc import large_blocks_kept
from fer_lit.feature_bank.stored_features import StoredFeatures
from fer_lit.files import write_text
from fer_lit.networks.backbone import Backbone
from fer_lit.progress import image_progress

FORMAT = 1
"""Raised whenever the same key would mean other numbers, but for rounding."""
_BATCH_PIXELS = {"cpu": 32 * 224**2, "cuda": 512 * 224**2}  # of one pass; more gains nothing
_WRITE_EVERY = 8  # batches: a few seconds of work on a CPU, and on a GPU few enough waits for it
_KEPT_VIEWS = 3  # opened for reading at a time, which bounds memory whatever the number of views

log = logging.getLogger(__name__)


class _OpenView(NamedTuple):
    """A view opened for reading: on the device where it is read."""

    present: Tensor
    features: dict[str, Tensor]


class FeatureBank:
    """Frozen features of all views of one set of occluded faces.

    Args:
        views: turns indices into the network's input.
        faces: what the pixels depend on: the fingerprint of the data, the occlusion.
        backbone: frozen; moved to `device`.
        taps: block → grid.
        arithmetic: dtype the backbone computes in. Features are kept in float32 if it is float32,
            else in float16, whose rounding is 1/8 of bfloat16's.
        device: where the backbone computes.
    """

    def __init__(
        self,
        views: FaceViews,
        faces: Mapping[str, object],
        backbone: Backbone,
        taps: Mapping[str, int],
        arithmetic: torch.dtype,
        device: torch.device,
    ):
        self._views = views
        self._backbone = backbone
        self._taps = dict(taps)
        self._arithmetic = arithmetic
        self._device = device
        self._batch_size = faces_in_a_pass(device, views.image_size)
        self._dtype = np.dtype("float32" if arithmetic == torch.float32 else "float16")
        self._open_view = lru_cache(maxsize=_KEPT_VIEWS)(self._open)
        self._key = {
            "format": FORMAT,
            **faces,
            "backbone": backbone.digest(),
            "preprocessing": repr(backbone.preprocessing),
            "image_size": views.image_size,
            "arithmetic": str(arithmetic).removeprefix("torch."),
        }

    @property
    def numbers(self) -> int:
        """How many numbers a face has in one view, all taps together."""
        return sum(self._backbone.channels[tap] * grid**2 for tap, grid in self._taps.items())

    def folder(self, view: int) -> Path:
        """Return the folder of a view's features, created with its `key.json`."""
        augmentation = self._views.augmentation.identity if view else None
        key = json.dumps(self._key | {"augmentation": augmentation}, indent=2, sort_keys=True)
        folder = cache_folder("features", hashlib.sha256(key.encode()).hexdigest()[:16])
        if not (folder / "key.json").exists():
            write_text(folder / "key.json", key)
        return folder

    def fill(self, wanted: Mapping[int, np.ndarray]) -> None:
        """Compute the features that are not there yet, and keep them.

        Whatever was computed stays when this is interrupted. Two processes that want the same
        features take turns, and the second finds those of the first.

        Args:
            wanted: view → indices of faces.
        """
        self._open_view.cache_clear()  # another process may have added to it
        total = sum(len(indices) for indices in wanted.values())
        missing = sum(
            len(rows) for view, indices in wanted.items() for _, rows in self._plan(view, indices)
        )
        taps = ", ".join(f"{tap} {grid}×{grid}" for tap, grid in self._taps.items())
        log.info(
            f"Feature bank ({taps}): {total - missing:,} of {total:,} views of faces found, "
            f"{missing:,} to compute"
        )
        if missing:
            self._check_room(missing)
            self._pixels_to_come = missing * self._views.image_size**2
            with image_progress("Computing features", missing) as advance, large_blocks_kept():
                for view, indices in wanted.items():
                    self._fill_view(view, indices, advance)

    def read(self, indices: Tensor, view: int) -> dict[str, Tensor]:
        """Return stored features.

        Args:
            indices: int64, (B,), on any device.
            view: 0 or more.

        Returns:
            For each tap (B, channels, grid, grid), float32, on the device of `indices`.

        Raises:
            KeyError: a feature is not there; `fill` computes it.
        """
        stored = self._open_view(view, indices.device)
        if not stored.present[indices].all():
            raise KeyError(f"view {view} of some faces is not in the bank")
        return {tap: features[indices].float() for tap, features in stored.features.items()}

    def _open(self, view: int, device: torch.device) -> _OpenView:
        stored = {tap: self._stored(view, tap) for tap in self._taps}
        present = np.logical_and.reduce([features.present() for features in stored.values()])
        return _OpenView(
            torch.from_numpy(present).to(device),
            {tap: features.map().to(device) for tap, features in stored.items()},
        )

    def _check_room(self, missing: int) -> None:
        """Fail if the disk cannot hold what is to come; writing would end the process."""
        needed = missing * self.numbers * self._dtype.itemsize
        free = disk_usage(self.folder(0)).free
        if needed > free:
            raise ConfigError(
                f"FER_LIT_CACHE={cache_folder()}: the features need {needed / 1e6:,.0f} MB, and "
                f"{free / 1e6:,.0f} MB are free; make room there, or name a folder on another disk"
            )

    def _plan(self, view: int, indices: np.ndarray) -> list[tuple[dict[str, int], np.ndarray]]:
        """Return what is missing: groups of faces, and the taps that all of a group lack."""
        absent = np.stack(
            [~self._stored(view, tap).present()[indices] for tap in self._taps], axis=1
        )
        return [
            (
                dict(compress(self._taps.items(), lacking)),
                indices[(absent == lacking).all(axis=1)],
            )
            for lacking in np.unique(absent, axis=0)
            if lacking.any()
        ]

    def _fill_view(self, view: int, indices: np.ndarray, advance: Callable[[int], None]) -> None:
        if not self._plan(view, indices):
            return
        with _alone_in(self.folder(view)):
            # Asked again: another process may have computed them while this one waited.
            for taps, rows in self._plan(view, indices):
                extract = feature_extractor(
                    self._backbone,
                    taps,
                    self._arithmetic,
                    self._device,
                    self._batch_size,
                    self._views.image_size,
                    self._pixels_to_come,
                )
                for part in _parts(rows, _WRITE_EVERY * self._batch_size):
                    self._fill_part(view, part, extract, advance)

    def _fill_part(
        self, view: int, rows: np.ndarray, extract: Extractor, advance: Callable[[int], None]
    ) -> None:
        """Compute and write; when interrupted, write what is computed."""
        done: list[dict[str, Tensor]] = []
        try:
            for batch in _parts(rows, self._batch_size):
                done.append(extract(self._views(torch.from_numpy(batch).to(self._device), view)))
                advance(len(batch))
        finally:
            self._write(view, rows, done)

    def _write(self, view: int, rows: np.ndarray, done: list[dict[str, Tensor]]) -> None:
        for tap in done[0] if done else ():
            features = torch.cat([batch[tap] for batch in done]).cpu().numpy()
            narrowed = _narrow(features, self._dtype, tap)
            self._stored(view, tap).write(rows[: len(features)], narrowed)

    def _stored(self, view: int, tap: str) -> StoredFeatures:
        grid = self._taps[tap]
        shape = (len(self._views), self._backbone.channels[tap], grid, grid)
        return StoredFeatures(self.folder(view) / f"view{view}_{tap}_{grid}", shape, self._dtype)


def faces_in_a_pass(device: torch.device, image_size: int) -> int:
    """Return how many faces go through the backbone together, whatever their size in memory."""
    return max(1, _BATCH_PIXELS[device.type] // image_size**2)


def _parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return np.split(rows, range(size, len(rows), size))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from filling a folder; the lock ends with the process that holds it."""
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("Waiting for another process that computes the same features …")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _narrow(features: np.ndarray, dtype: np.dtype, tap: str) -> np.ndarray:
    """Convert to the stored dtype, or fail where float16 cannot hold a value."""
    with np.errstate(over="ignore"):
        narrowed = features.astype(dtype)
    if not np.isfinite(narrowed).all():
        raise ConfigError(
            f"model.taps: {tap} gives values beyond float16 (up to {np.abs(features).max():.3g}); "
            "use trainer.precision=32"
        )
    return narrowed
