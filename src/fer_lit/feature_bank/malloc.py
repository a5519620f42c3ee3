"""Large blocks of memory that are used again instead of being given back."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # mallopt's, from glibc's malloc.h
_MEGABYTE = 2**20


@contextmanager
def large_blocks_kept() -> Iterator[None]:
    """Let glibc keep what is freed for the next allocation, as long as the block lasts.

    Otherwise it gives every freed block above 32 MB back to the kernel, which clears each page when
    it is used again: a fifth of the time of a network on a CPU, whose activations are such blocks.
    Without glibc nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, 2047 * _MEGABYTE)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_MAX, 65_536)  # the default
        # Where the dynamic thresholds of glibc end up in a process with large blocks.
        libc.mallopt(_MMAP_THRESHOLD, 32 * _MEGABYTE)
        libc.mallopt(_TRIM_THRESHOLD, 64 * _MEGABYTE)
        libc.malloc_trim(0)
