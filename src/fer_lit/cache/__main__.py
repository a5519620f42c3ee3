"""Lists what the cache holds, and deletes what was not used for long."""

import argparse
import re
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_lit.bounded import read_json
from fer_lit.cache import cache_folder
from fer_lit.cache.leftovers import remove_leftovers
from fer_lit.errors import ConfigError
from fer_lit.files import remove

_SECONDS = {"h": 60 * 60, "d": 24 * 60 * 60, "w": 7 * 24 * 60 * 60}
_KINDS = {
    "faces": "decoded faces",
    "duplicates": "groups of duplicates",
    "weights": "weights",
    "features": "features",
}


class Item(NamedTuple):
    """Something in the cache that is kept or deleted as a whole.

    Attributes:
        path: a file or a folder.
        what: for people.
        size: bytes on the disk.
        used: when it was last read or written, as far as the file system records reading; seconds
            since the epoch.
    """

    path: Path
    what: str
    size: int
    used: float


def main(arguments: Sequence[str]) -> None:
    """List the cache, or delete from it; exit with a line if that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m fer_lit.cache", description=__doc__)
    parser.add_argument(
        "--delete",
        metavar="OLDER_THAN",
        type=_seconds,
        help="delete what was not used for so long, such as 12h, 30d or 4w; 0d: everything but "
        "weights, some of which no program can fetch again",
    )
    older_than = parser.parse_args(arguments).delete
    try:
        cache = cache_folder()
        remove_leftovers(cache)
        items = cached_items(cache)
        if older_than is None:
            _show(cache, items)
        else:
            then = time.time() - older_than
            made = [item for item in items if item.path.parent.name != "weights"]
            _delete([item for item in made if item.used <= then])
    except (ConfigError, OSError) as error:
        sys.exit(f"fer_lit.cache: {error}")


def cached_items(cache: Path) -> list[Item]:
    """Return what a cache holds, by kind, the largest of each kind first."""
    folders = [folder for kind in _KINDS if (folder := cache / kind).is_dir()]
    paths = [path for folder in folders for path in folder.iterdir() if path.suffix != ".lock"]
    items = [_item(path) for path in paths]
    return sorted(items, key=lambda item: (item.path.parent.name, -item.size))


def _item(path: Path) -> Item:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    # Not of what this program reads itself.
    states = [file.stat() for file in files if file.suffix != ".json"] or [path.stat()]
    kind = path.parent.name
    return Item(
        path,
        " of ".join(filter(None, [_KINDS[kind], _contents(kind, path)])),
        sum(_on_disk(state) for state in states),
        max(max(state.st_atime, state.st_mtime) for state in states),
    )


def _on_disk(state: Any) -> int:
    """Return the bytes that a file takes; those of features have holes."""
    return state.st_blocks * 512 if hasattr(state, "st_blocks") else state.st_size


def _contents(kind: str, path: Path) -> str:
    """Return in words what something is of, as far as it says so itself."""
    with suppress(ConfigError, LookupError, TypeError, AttributeError):
        if kind == "features":
            return _pixels(read_json(path / "key.json", 2**20, ""))
        if kind == "faces":
            return str(read_json(path / "faces.json", 2**30, "")["source"])
        if kind == "weights":
            return path.name
    return ""


def _pixels(key: dict[str, Any]) -> str:
    occlusion, augmentation = key["occlusion"], key["augmentation"]
    top, height = occlusion["top"], occlusion["height"]
    covered = (
        f"rows {top}–{top + height - 1} under {occlusion['fill']}" if height else "whole faces"
    )
    views = "random views" if augmentation else "faces as they are"
    return f"{covered}, {views}, {key['image_size']} pixels, {key['arithmetic']}"


def _show(cache: Path, items: Sequence[Item]) -> None:
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("what", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("last used", no_wrap=True)
    for item in items:
        used = time.strftime("%Y-%m-%d", time.localtime(item.used))
        table.add_row(escape(item.what), _size(item.size), used)
    if items:
        Console().print(table)
    total, free = sum(item.size for item in items), shutil.disk_usage(cache).free
    _say(f"{len(items)} items, {_size(total)}, in {cache} ({_size(free)} free on the disk)")


def _delete(items: Sequence[Item]) -> None:
    freed = 0
    for item in items:
        lock = FileLock(item.path / "lock") if item.path.is_dir() else None
        try:
            with lock.acquire(timeout=0) if lock else nullcontext():
                remove(item.path)
            freed += item.size
        except Timeout:
            _say(f"Kept, since a process is filling it: {item.what}")
    _say(f"{_size(freed)} deleted")


def _say(text: str) -> None:
    Console().print(escape(text), soft_wrap=True, highlight=False)


def _size(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 12h, 30d or 4w")
    return float(found[1]) * _SECONDS[found[2]]


if __name__ == "__main__":
    main(sys.argv[1:])
