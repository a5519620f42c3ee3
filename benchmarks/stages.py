"""Where a processor's time to fill the bank goes, by kind of operation, from a profile."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import images
import torch
from fer_lit_pipeline import FerLitPipeline
from tables import environment, markdown_table

_KINDS = {
    "convolutions": ("conv",),
    "pooling, normalisation and concatenation, fused": ("cpp_fused", "triton"),
    "augmentation and resampling": ("bmm", "baddbmm"),
    "allocating and calling the compiled network": ("CompiledFxGraph", "Torch-Compiled", "Cache"),
}
"""Kind → parts of the names of its events."""
_REST = "all else: small operations, reading, writing, Python"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    images.add_material_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Profile one filling after a first one, and print the table."""
    with TemporaryDirectory(prefix="fer-lit-benchmark-", ignore_cleanup_errors=True) as temporary:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(temporary) / "inductor")
        pipeline = FerLitPipeline(images.material_of(arguments, Path(temporary)))
        # Else the fused operations would be lost in the call of the whole.
        from torch._inductor import config

        config.cpp.enable_kernel_profile = True
        pipeline.round()
        start = time.perf_counter()
        with torch.profiler.profile() as profile:
            count = sum(pipeline.round().images for _ in range(arguments.rounds))
        wall = time.perf_counter() - start
    sys.stdout.write(f"{markdown_table(_rows(profile, wall, count))}\n\n{environment()}\n")


def _rows(profile: torch.profiler.profile, wall: float, count: int) -> list[dict[str, str]]:
    seconds = Counter()
    for event in profile.key_averages():
        seconds[_kind(event.key)] += event.self_cpu_time_total / 1e6
    known = {kind: seconds[kind] for kind in _KINDS}
    return [
        {
            "what": kind,
            "ms an image": f"{1e3 * spent / count:.2f}",
            "share": f"{spent / wall:.0%}",
        }
        for kind, spent in {**known, _REST: wall - sum(known.values())}.items()
    ]


def _kind(name: str) -> str:
    return next((kind for kind, parts in _KINDS.items() if any(p in name for p in parts)), _REST)
