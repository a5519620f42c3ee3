"""Photographs to a `FaceSet`: decoded once, and kept in the cache."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from fer_lit.cache import cache_folder
from fer_lit.errors import ConfigError, escaped
from fer_lit.faces.face_set import SIZE, FaceSet
from fer_lit.faces.listing import Listing, list_photographs
from fer_lit.faces.pictures import Decoded, decode_csv, decode_pictures
from fer_lit.files import remove

FORMAT = 2  # count up when the decoding or the cached files change

log = logging.getLogger(__name__)


def load_photographs(root: Path, classes: Sequence[str], on_bad_image: str) -> FaceSet:
    """Return the photographs of `classes` below `root` (see `listing.list_photographs`).

    They are decoded once; the array is kept below the cache folder `faces` and memory-mapped. Any
    change of the files (names, sizes, times), the classes or `on_bad_image` makes a new array. What
    is kept is compared with a digest of what was decoded; if it is damaged, it is decoded again.

    Pictures are turned as their EXIF orientation says, become grey by ITU-R 601 luma (Pillow's
    `convert("L")`) and, if they are not 48x48, are resized by Pillow's antialiased bilinear filter,
    which does not overshoot; the aspect ratio is not kept. With `on_bad_image=skip`, pictures and
    CSV rows that cannot be decoded are left out.

    Raises:
        ConfigError: nothing there, a class without photographs, or a bad picture and no `skip`.
    """
    listing = list_photographs(root, classes)
    folder = cache_folder("faces") / _key(listing, classes, on_bad_image)
    cached = _read(folder, classes)
    if cached is None:
        with FileLock(folder.with_suffix(".lock")):
            cached = _read(folder, classes)  # another process may have been first
            if cached is None:
                if folder.exists():
                    log.warning(f"The decoded faces in {folder} are damaged; decoding them again")
                _write(folder, *_decode(listing, classes, on_bad_image))
                cached = _read(folder, classes)
    _log(*cached)
    return cached[0]


def _key(listing: Listing, classes: Sequence[str], on_bad_image: str) -> str:
    files: Sequence = listing.photographs
    if listing.csv:
        status = listing.csv.stat()
        files = [(listing.csv.name, status.st_size, status.st_mtime_ns)]
    identity = [FORMAT, str(listing.root), list(classes), on_bad_image, listing.copies, files]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def _read(folder: Path, classes: Sequence[str]) -> tuple[FaceSet, dict] | None:
    """Return the cached faces and the report on them, or None if missing or damaged."""
    files = folder / "faces.json", folder / "pixels.npy"
    if not all(file.is_file() for file in files):  # a pipe would be waited for
        return None
    try:
        kept = json.loads(files[0].read_text(encoding="utf-8"))
        pixels = np.load(files[1], mmap_mode="r", allow_pickle=False)
        if pixels.shape != (len(kept["names"]), SIZE, SIZE) or pixels.dtype != np.uint8:
            return None
        faces = _face_set(pixels, classes, kept)
        return (faces, kept["report"]) if kept["digest"] == _digest(faces) else None
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _face_set(pixels: np.ndarray, classes: Sequence[str], kept: Mapping[str, Any]) -> FaceSet:
    return FaceSet(
        pixels=pixels,
        labels=np.array(kept["labels"], dtype=np.int64),
        names=tuple(kept["names"]),
        parts=tuple(kept["parts"]),
        classes=tuple(classes),
        origin="photographs",
        source=kept["source"],
    )


def _digest(faces: FaceSet) -> str:
    """Return what tells whether stored faces are those that were decoded."""
    facts = [faces.fingerprint, faces.source, *faces.parts]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()


def _write(folder: Path, pixels: np.ndarray, kept: Mapping[str, Any]) -> None:
    """Write `folder`, which appears whole or not at all. Call with its lock held."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
    partial.mkdir()
    try:
        np.save(partial / "pixels.npy", pixels)
        (partial / "faces.json").write_text(json.dumps(kept), encoding="utf-8")
        remove(folder)  # there only if it is damaged
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _decode(listing: Listing, classes: Sequence[str], on_bad_image: str) -> tuple[np.ndarray, dict]:
    """Decode everything listed; return the pixels and what is kept with them."""
    source = str(listing.csv or listing.root)
    rows = decode_csv(listing.csv, classes) if listing.csv else decode_pictures(listing)
    with closing(rows):
        good, bad = _separate(rows, listing.root, on_bad_image)
    for label, emotion in enumerate(classes):
        if not any(row.label == label for row in good):
            left = f"{len(bad):,} left out as broken" if bad else "no row has its code"
            raise ConfigError(f"data.classes: no photographs of {emotion!r} in {source} ({left})")
    pixels = np.stack([row.pixels for row in good])
    kept: dict[str, Any] = {
        "names": [row.name for row in good],
        "parts": [row.part for row in good],
        "labels": [row.label for row in good],
        "source": source,
    }
    faces = _face_set(pixels, classes, kept)
    kept["digest"] = _digest(faces)
    kept["report"] = {
        "blank": faces.blank,
        "duplicates": faces.duplicates,
        "resized": sum(row.resized for row in good),
        "greyed": sum(row.greyed for row in good),
        "copies": listing.copies,
        "bad": bad,
    }
    return pixels, kept


def _separate(
    rows: Iterable[Decoded], root: Path, on_bad_image: str
) -> tuple[list[Decoded], list[str]]:
    """Return the rows that could be decoded and the names of the others."""
    good, bad = [], []
    for row in rows:
        if not row.error:
            good.append(row)
        elif on_bad_image == "skip":
            bad.append(escaped(row.name))
        else:
            raise ConfigError(
                f"{root / row.name}: cannot be decoded ({row.error}); mend or remove it, "
                "or leave such pictures out with data.on_bad_image=skip"
            )
    return good, bad


def _log(faces: FaceSet, report: dict) -> None:
    counts = ", ".join(f"{emotion} {count:,}" for emotion, count in faces.counts.items())
    log.info(
        "%s photographs from %s: %s; %s blank, %s duplicates, %s resized, %s made grey",
        *(f"{len(faces):,}", faces.source, counts),
        *(f"{report[k]:,}" for k in ("blank", "duplicates", "resized", "greyed")),
    )
    if report["copies"]:
        log.info("%s second copies of photographs left out", f"{report['copies']:,}")
    if bad := report["bad"]:
        first = ", ".join(bad[:3]) + (", …" if len(bad) > 3 else "")
        log.warning("%s broken pictures left out (data.on_bad_image=skip): %s", len(bad), first)
