"""What processes leave when they are killed: files written aside, and locks."""

import re
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fer_lit.files import remove

_DAY = 24 * 60 * 60  # seconds
_LOCKS = ("features/*/lock", "faces/*.lock", "locks/*.lock")
_ASIDE = ("*/.*", "*/*/.*", "faces/*.partial", "weights/*.partial")
_HIDDEN = re.compile(r"\.[0-9a-f]{16}\..+")
"""Of `files.aside_of`; others that are hidden are somebody else's, who shares the folder."""


def remove_leftovers(cache: Path) -> None:
    """Remove what was written aside in a cache more than a day ago, and locks that nobody holds."""
    aside = [path for pattern in _ASIDE for path in cache.glob(pattern)]
    left = [path for path in aside if path.name[0] != "." or _HIDDEN.fullmatch(path.name)]
    locks = (path for pattern in _LOCKS for path in cache.glob(pattern))
    for path in (*left, *locks):
        with suppress(OSError):  # another process was faster
            is_old = path.lstat().st_mtime < time.time() - _DAY
            if is_old and (path in left or not is_held(path)):
                remove(path)


def is_held(lock: Path) -> bool:
    """Return whether a process holds a lock at this moment."""
    try:
        FileLock(lock).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    return False
