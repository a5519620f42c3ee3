"""What can happen to a file: kinds of damage by name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def deleted(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut_off(path: Path) -> None:
    """Half of it is missing, as where a copy stopped."""
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path) -> None:
    """One bit near its end is another, as on a disk that fails."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def zeroed(path: Path) -> None:
    """As long as it was, and nothing but zeros, as after a power failure."""
    path.write_bytes(bytes(path.stat().st_size))


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 9)


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"{}\n" * 99)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


KINDS: dict[str, Callable[[Path], None]] = {
    damage.__name__: damage
    for damage in (
        deleted,
        emptied,
        cut_off,
        flipped,
        zeroed,
        garbage,
        appended,
        a_folder,
        *((a_pipe,) if hasattr(os, "mkfifo") else ()),
    )
}


def swapped(path: Path, other: Path) -> None:
    """Two files have each other's name."""
    aside = path.with_name("aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


def replaced(path: Path, other: Path) -> None:
    """A copy of another file stands in its place."""
    shutil.copyfile(other, path)
