"""The feature bank: features of the frozen backbone, computed once and kept on disk.

A feature depends on the face, the occlusion, the view, the weights, the input size, the tap and the
arithmetic, and on nothing that a researcher tunes on the head. So another learning rate, head or
number of epochs finds its features there, and another seed needs only the views of faces that are
new in its training part (with random weights all of them: each seed measures its own statistics).

    <cache>/features/<key>/key.json                              what the features depend on
    <cache>/features/<key>/view1_inception5b_1.features.npy      (faces, channels, grid, grid)
    <cache>/features/<key>/view1_inception5b_1.present.npy       (faces,) bool: which are there
    <cache>/features/<key>/view1_inception5b_1.checksums.npy     (faces,) uint64: of each face

The key leaves out view and tap, which name the files, and for view 0 the augmentation, which does
not touch it. Deleting any of these folders is safe.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, compress, starmap
from pathlib import Path
from shutil import disk_usage

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from fer_lit.cache import cache_folder
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.occlusion import Occlusion
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank.compilation import Read, fastest
from fer_lit.feature_bank.malloc import large_blocks_kept
from fer_lit.feature_bank.stored_features import StoredFeatures
from fer_lit.files import write_text
from fer_lit.networks.reader import FrozenReader
from fer_lit.progress import image_progress

FORMAT = 1
"""Raised whenever the same key would mean other numbers, but for rounding."""
_WRITE_EVERY = 8  # batches: a few seconds of work on a CPU, and on a GPU few enough waits for it
_KEPT_VIEWS = 3  # opened for reading at a time, which bounds memory whatever the number of views

log = logging.getLogger(__name__)


def depends_on(faces: FaceSet, occlusion: Occlusion) -> dict[str, object]:
    """Return what occluded pixels depend on: the fingerprint of the data, the occlusion."""
    return {"data": faces.fingerprint, "occlusion": occlusion.identity}


class FeatureBank:
    """Frozen features of all views of one set of occluded faces.

    What the reader computes in float32 is kept in float32, all else in float16, whose rounding is
    1/8 of bfloat16's. `faces` is what the pixels depend on (see `depends_on`).
    """

    def __init__(self, views: FaceViews, faces: Mapping[str, object], reader: FrozenReader):
        self._views, self._reader = views, reader
        self._dtype = np.dtype("float32" if reader.arithmetic == torch.float32 else "float16")
        self._open_view = lru_cache(maxsize=_KEPT_VIEWS)(self._open)
        self._key = {
            "format": FORMAT,
            **faces,
            "backbone": reader.backbone.digest(),
            "preprocessing": repr(reader.backbone.preprocessing),
            "image_size": reader.image_size,
            "arithmetic": str(reader.arithmetic).removeprefix("torch."),
        }

    @property
    def numbers(self) -> int:
        """How many numbers a face has in one view, all taps together."""
        return self._reader.numbers

    def folder(self, view: int) -> Path:
        """Return the folder of a view's features, created with its `key.json`."""
        augmentation = self._views.augmentation.identity if view else None
        key = json.dumps(self._key | {"augmentation": augmentation}, indent=2, sort_keys=True)
        folder = cache_folder("features", hashlib.sha256(key.encode()).hexdigest()[:16])
        if not (folder / "key.json").exists():
            write_text(folder / "key.json", key)
        return folder

    def fill(self, wanted: Mapping[int, np.ndarray]) -> None:
        """Compute the features, view → indices of faces, that are not there yet, and keep them.

        Whatever was computed stays when this is interrupted. Two processes that want the same
        features take turns, and the second finds those of the first. What is not as it was written
        is computed again.

        Raises:
            ConfigError: the disk is full, or a feature is not finite or beyond what is stored.
        """
        self._open_view.cache_clear()  # another process may have added to it
        for view, indices in wanted.items():
            self._mend(view, indices)
        total = sum(map(len, wanted.values()))
        plans = chain.from_iterable(starmap(self._plan, wanted.items()))
        missing = sum(len(rows) for _, rows in plans)
        taps = ", ".join(f"{tap} {grid}×{grid}" for tap, grid in self._reader.taps.items())
        log.info(
            f"Feature bank ({taps}): {total - missing:,} of {total:,} views of faces found, "
            f"{missing:,} to compute"
        )
        if missing:
            self._check_room(missing)
            with image_progress("Computing features", missing) as advance, large_blocks_kept():
                for view, indices in wanted.items():
                    self._fill_view(view, indices, missing, advance)

    def has(self, wanted: Mapping[int, np.ndarray]) -> bool:
        """Return whether all these features, view → indices of faces, are there and undamaged."""
        return all(
            stored.is_sound(indices) and bool(stored.present()[indices].all())
            for view, indices in wanted.items()
            for stored in (self._stored(view, tap) for tap in self._reader.taps)
        )

    def read(self, indices: Tensor, view: int) -> dict[str, Tensor]:
        """Return features, tap → float32, (B, channels, grid, grid), on the device of `indices`.

        Raises:
            KeyError: a feature is not there; `fill` computes it.
        """
        present, features = self._open_view(view, indices.device)
        if not present[indices].all():
            raise KeyError(f"view {view} of some faces is not in the bank")
        return {tap: stored[indices].float() for tap, stored in features.items()}

    def _open(self, view: int, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        """Return which faces are present in a view, and the features of all by tap."""
        self._mend(view, np.arange(0))  # a view that was never filled
        stored = {tap: self._stored(view, tap) for tap in self._reader.taps}
        present = np.logical_and.reduce([features.present() for features in stored.values()])
        features = {tap: features.map().to(device) for tap, features in stored.items()}
        return torch.from_numpy(present).to(device), features

    def _mend(self, view: int, indices: np.ndarray) -> None:
        """Create the files of a view that are not there; drop what is damaged in the others."""
        for tap in self._reader.taps:
            stored = self._stored(view, tap)
            if stored.is_sound(indices):
                continue
            with _alone_in(self.folder(view)), _room():
                if damage := stored.mend(indices):
                    log.warning(
                        f"Feature bank, {self.folder(view)}, view {view} of {tap}: {damage}; "
                        "computing them again"
                    )

    def _check_room(self, missing: int) -> None:
        """Fail before anything is computed if the disk cannot hold what is to come."""
        needed = missing * self.numbers * self._dtype.itemsize
        free = disk_usage(self.folder(0)).free
        if needed > free:
            raise ConfigError(
                f"FER_LIT_CACHE={cache_folder()}: the features need {needed / 1e6:,.0f} MB, and "
                f"{free / 1e6:,.0f} MB are free; make room there, or name a folder on another disk"
            )

    def _plan(self, view: int, indices: np.ndarray) -> list[tuple[dict[str, int], np.ndarray]]:
        """Return what is missing: groups of faces, and the taps that all of a group lack."""
        taps = self._reader.taps
        absent = np.stack([~self._stored(view, tap).present()[indices] for tap in taps], axis=1)
        return [
            (dict(compress(taps.items(), lacking)), indices[(absent == lacking).all(axis=1)])
            for lacking in np.unique(absent, axis=0)
            if lacking.any()
        ]

    def _fill_view(
        self, view: int, indices: np.ndarray, to_come: int, advance: Callable[[int], None]
    ) -> None:
        if not self._plan(view, indices):
            return
        with _alone_in(self.folder(view)):
            # Asked again: another process may have computed them while this one waited.
            for taps, rows in self._plan(view, indices):
                read = fastest(self._reader.at(taps), to_come)
                for part in _parts(rows, _WRITE_EVERY * self._reader.batch):
                    self._fill_part(view, part, read, advance)

    def _fill_part(
        self, view: int, rows: np.ndarray, read: Read, advance: Callable[[int], None]
    ) -> None:
        """Compute and write; when interrupted, write what is computed."""
        done: list[dict[str, Tensor]] = []
        try:
            for batch in _parts(rows, self._reader.batch):
                indices = torch.from_numpy(batch).to(self._reader.device)
                done.append(read(self._views(indices, view)))
                advance(len(batch))
        finally:
            for tap in done[0] if done else ():
                features = torch.cat([batch[tap] for batch in done]).cpu().numpy()
                narrowed = _narrow(features, self._dtype, tap)
                with _room():
                    self._stored(view, tap).write(rows[: len(features)], narrowed)

    def _stored(self, view: int, tap: str) -> StoredFeatures:
        grid = self._reader.taps[tap]
        shape = (len(self._views), self._reader.backbone.channels[tap], grid, grid)
        return StoredFeatures(self.folder(view) / f"view{view}_{tap}_{grid}", shape, self._dtype)


def _parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return np.split(rows, range(size, len(rows), size))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from filling a folder; the lock ends with the process that holds it."""
    lock = FileLock(folder / "lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        log.info("Waiting for another process that computes the same features …")
        held = lock.acquire()
    with held:
        yield


@contextmanager
def _room() -> Iterator[None]:
    """Say where room is needed if the disk is full."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"FER_LIT_CACHE={cache_folder()}: features cannot be written ({error.strerror}); "
            "make room there, or name a folder on another disk"
        ) from error


def _narrow(features: np.ndarray, dtype: np.dtype, tap: str) -> np.ndarray:
    """Convert to the stored dtype, or fail where a value is not finite, or beyond float16."""
    if not np.isfinite(features).all():
        raise ConfigError(
            f"model.taps: {tap} puts out values that are not finite, so the network's weights are "
            "damaged; give others as model.weights=FILE, or fetch them again"
        )
    with np.errstate(over="ignore"):
        narrowed = features.astype(dtype)
    if not np.isfinite(narrowed).all():
        raise ConfigError(
            f"model.taps: {tap} gives values beyond float16 (up to {np.abs(features).max():.3g}); "
            "use trainer.precision=32"
        )
    return narrowed
