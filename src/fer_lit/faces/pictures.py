"""Pictures, or the rows of the CSV file, to 48x48 grey pixels, many in parallel."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from fer_lit.bounded import csv_rows
from fer_lit.errors import NOT_SHOWN, UNWRITABLE, ConfigError
from fer_lit.faces.face_set import SIZE
from fer_lit.faces.listing import CSV_EMOTIONS, PARTS, Listing, Photograph
from fer_lit.progress import image_progress

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
"""What a picture is read as, whatever its name. Pillow knows formats that start other programs."""
CHUNK = 64  # pictures per task: a task for each would cost more than its decoding
_LARGEST = 2 * 10**9  # bytes of a CSV file; FER-2013's has 0.3, with 35,887 faces
_LONGEST = 2**16  # characters of a row, whose pixels take 9,216
_MEND = "give FER-2013's file, or a folder of pictures"


class Decoded(NamedTuple):
    """One picture or CSV row; `pixels` (uint8, 48x48) is None where there is an `error`."""

    name: str
    label: int
    part: str
    pixels: np.ndarray | None
    resized: bool = False
    greyed: bool = False
    error: str = ""


def decode_pictures(listing: Listing) -> Iterator[Decoded]:
    """Yield the pictures in the order of the listing."""
    photographs = listing.photographs
    chunks = [photographs[i : i + CHUNK] for i in range(0, len(photographs), CHUNK)]
    # Threads: Pillow decodes without the interpreter lock, and a slow disk is waited for together.
    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
    try:
        with image_progress("decoding the photographs", len(photographs)) as done:
            for rows in pool.map(lambda chunk: [_picture(listing.root, p) for p in chunk], chunks):
                yield from rows
                done(len(rows))
    finally:
        pool.shutdown(cancel_futures=True)


def _picture(root: Path, photograph: Photograph) -> Decoded:
    name, label, part, *_ = photograph
    if UNWRITABLE.search(name):  # no table of predictions takes it
        return Decoded(name, label, part, None, error=f"{NOT_SHOWN}: rename it")
    try:
        pixels, resized, greyed = decode(root / name)
        return Decoded(name, label, part, pixels, resized, greyed)
    except Exception as error:  # Pillow passes on whatever its parsers stumble over
        reason = " ".join(str(error).replace(str(root / name), "").split())
        return Decoded(name, label, part, None, error=f"{type(error).__name__}: {reason}")


def decode(file: Path) -> tuple[np.ndarray, bool, bool]:
    """Return a picture as uint8 (48, 48), whether it was resized, and whether it had colours.

    Raises:
        ValueError: more than 8 bits per pixel, which Pillow would clip; or what Pillow raises.
    """
    grey, greyed = _read_grey(file)
    resized = grey.size != (SIZE, SIZE)
    if resized:
        grey = grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(grey), resized, greyed


def decode_square(file: Path) -> np.ndarray:
    """Return the largest square in the middle of a picture, uint8 (48, 48); raises as `decode`."""
    grey, _ = _read_grey(file)
    return np.asarray(ImageOps.fit(grey, (SIZE, SIZE), Image.Resampling.BILINEAR))


def _read_grey(file: Path) -> tuple[Image.Image, bool]:
    """Return a picture upright and in grey, and whether it had colours."""
    if not file.is_file():
        raise ValueError("not a regular file")  # a pipe would be waited for without end
    with Image.open(file, formats=FORMATS) as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError("more than 8 bits per pixel; save it with 8")
        if "exif" in image.info:
            image = ImageOps.exif_transpose(image)
        greyed = image.mode not in ("1", "L", "LA")
        if image.mode == "P":  # its transparency, which convert("L") warns of, may be in bytes
            image = image.convert("RGBA")
        return image.convert("L"), greyed


def decode_csv(file: Path, classes: Sequence[str]) -> Iterator[Decoded]:
    """Yield the rows of the wanted classes; a row is named by its line in the file.

    Raises:
        ConfigError: the columns are missing, the file is no CSV, or larger than one of faces.
    """
    labels = {emotion.casefold(): label for label, emotion in enumerate(classes)}
    codes = {str(code): labels.get(emotion) for code, emotion in enumerate(CSV_EMOTIONS)}
    with closing(csv_rows(file, _LARGEST, _LONGEST, _MEND, errors="replace")) as rows:
        _, header = next(rows, (0, []))
        columns = [column.strip().lower() for column in header]
        if not {"emotion", "pixels"} <= set(columns):
            found = ", ".join(columns)[:80] or "nothing"
            raise ConfigError(f"{file}: needs columns emotion, pixels, Usage; found {found}")
        with image_progress(f"decoding {file.name}", _count_lines(file) - 1) as done:
            for line, row in rows:
                done(1)
                cells = dict(zip(columns, row, strict=False))
                code = cells.get("emotion", "").strip()
                part = PARTS.get(cells.get("usage", "").strip().lower(), "")
                label = codes.get(code, -1)
                if label is not None:  # None: an emotion that is not wanted
                    name = f"{file.name}:{line}"
                    yield _csv_face(name, label, part, code, cells.get("pixels", ""))


def _count_lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in iter(lambda: lines.readline(_LONGEST), b""))


def _csv_face(name: str, label: int, part: str, code: str, text: str) -> Decoded:
    if label < 0:
        return Decoded(name, label, part, None, error=f"emotion {code!r} is not 0 to 6")
    try:
        values = bytes(map(int, text.split()))
    except ValueError:
        return Decoded(name, label, part, None, error="pixels that are not integers 0 to 255")
    if len(values) != SIZE * SIZE:
        error = f"{len(values):,} pixels instead of {SIZE * SIZE:,}"
        return Decoded(name, label, part, None, error=error)
    return Decoded(name, label, part, np.frombuffer(values, np.uint8).reshape(SIZE, SIZE))
