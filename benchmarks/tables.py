"""What every benchmark prints: a Markdown table, the machine, the versions, the command."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = ("torch", "torchvision", "lightning", "fastai", "numpy")


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a Markdown table, aligned for a terminal; the keys of the first row are its head."""
    columns = list(rows[0])
    widths = {column: max(len(column), *(len(row[column]) for row in rows)) for column in columns}
    first = columns[0]

    def line(row: Mapping[str, str]) -> str:
        return _line(
            row[c].ljust(widths[c]) if c == first else row[c].rjust(widths[c]) for c in columns
        )

    rule = _line("-" * widths[c] if c == first else "-" * (widths[c] - 1) + ":" for c in columns)
    return "\n".join([line({c: c for c in columns}), rule, *map(line, rows)])


def environment() -> str:
    """Return three lines: the machine, the versions, the command."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    versions = [f"python {platform.python_version()}", *map(_version, PACKAGES)]
    command = shlex.join(["python", *sys.argv])
    return (
        f"Machine: {_processor()}, {cores()} cores, {gpu}\n"
        f"Versions: {', '.join(versions)}\n"
        f"Command: `{command}`"
    )


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def _processor() -> str:
    """Return the model's name, where Linux tells it, else what Python knows."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
