"""Runs the real command lines on small data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"

DEMO = ("experiment=demo", "data.count=90", "trainer.max_epochs=2", "logger=csv")
"""The demo, small; its random network needs 256 faces for good statistics, not to run."""


def train(folder: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `train.py` in `folder`, its cache beside it, without a download or a W&B account."""
    return _run("train.py", folder, overrides, environment)


def analyze(folder: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `analyze.py` as `train` runs `train.py`."""
    return _run("analyze.py", folder, overrides, environment)


def _run(
    program: str, folder: Path, overrides: Sequence[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / program), *overrides]
    return subprocess.run(
        command, cwd=folder, env=offline(folder) | environment, capture_output=True, text=True
    )


def offline(folder: Path) -> dict[str, str]:
    """Return an environment in which nothing outside `folder` is read or written."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "FER"))}
    return kept | {
        "FER_LIT_CACHE": str(folder / "cache"),
        "HOME": str(folder),
        "MPLCONFIGDIR": matplotlib.get_configdir(),  # else each program lists all fonts anew
        "NETRC": str(folder / "netrc"),
        "PYTHONWARNINGS": "error",
        "COLUMNS": "120",
    }


def only(folder: Path, pattern: str) -> Path:
    """Return the only path that matches."""
    (path,) = folder.glob(pattern)
    return path


def read(path: Path) -> Any:
    """Return a JSON file's contents."""
    return json.loads(path.read_text(encoding="utf-8"))
