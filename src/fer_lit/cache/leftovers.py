"""What processes leave when they are killed: files written aside, and locks."""

import re
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fer_lit.files import remove

_DAY = 24 * 60 * 60  # seconds
_ASIDE = re.compile(r"\.[0-9a-f]{16}\..+|.+\.partial")
_LOCK = re.compile(r"\.?lock|.+\.lock")


def remove_leftovers(folder: Path) -> None:
    """Remove what was written aside below a folder more than a day ago, and locks nobody holds."""
    for path in folder.rglob("*"):
        with suppress(OSError):  # another process was faster
            if _is_left(path) and path.lstat().st_mtime < time.time() - _DAY:
                remove(path)


def _is_left(path: Path) -> bool:
    if _LOCK.fullmatch(path.name):
        return not is_held(path)
    return _ASIDE.fullmatch(path.name) is not None


def is_held(lock: Path) -> bool:
    """Return whether a process holds a lock at this moment."""
    try:
        FileLock(lock).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    return False
