"""Freed memory that is kept for the next allocation, and given back in the end."""

import platform
from pathlib import Path

import pytest
import torch

from fer_lit.feature_bank.malloc import large_blocks_kept

resource = pytest.importorskip("resource", reason="counts page faults as Unix does")

SIZE = 100_000_000  # bytes; glibc's own limit is 32 MiB

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

pytestmark = [
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only with glibc"),
    pytest.mark.skipif(
        HUGE_PAGES.exists() and "[always]" in HUGE_PAGES.read_text(encoding="ascii"),
        reason="counts pages, and here they are huge",
    ),
]


def pages_cleared() -> int:
    """How many pages the kernel has to provide for a block that is filled and freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(SIZE, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def test_freed_memory_is_used_again_as_long_as_the_context_lasts():
    pages = SIZE // resource.getpagesize()
    assert pages_cleared() > pages / 2
    with large_blocks_kept():
        # Aligned, a block does not always fit where the one before it was: it takes a few.
        assert min(pages_cleared() for _ in range(20)) < pages / 20
    assert pages_cleared() > pages / 2


def test_what_was_kept_is_given_back():
    with large_blocks_kept():
        before = resident()
        pages_cleared()
        assert resident() > before + SIZE / 2
    assert resident() < before + SIZE / 4
