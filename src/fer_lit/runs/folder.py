"""Run folders: what a run leaves behind (`reading` reads it)."""

import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from fer_lit.cache.leftovers import is_held
from fer_lit.errors import ConfigError
from fer_lit.files import write_json, write_text
from fer_lit.runs.manifest import write_manifest

_LOCK = ".lock"
_PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "grad-cam", "numpy", "fer-lit")


def claim(path: Path) -> Path:
    """Create a folder that nobody else has, with a number after it if it is taken; return it.

    Raises:
        OSError: it cannot be created.
    """
    for name in chain([path.name], (f"{path.name}_{number}" for number in count(2))):
        chosen = path.with_name(name)
        with suppress(FileExistsError):
            chosen.mkdir(parents=True)
            return chosen


def release(folder: Path) -> None:
    """Remove a claimed folder if nothing but logs came into it, and then what is empty above it."""
    if not folder.is_dir() or any(p.is_file() and p.suffix != ".log" for p in folder.rglob("*")):
        return
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # others are in it
        folder.parent.rmdir()
        folder.parent.parent.rmdir()


def refuse_runs(folder: Path, option: str) -> None:
    """Raise ConfigError if a folder, named by an option, holds a run or a sweep already."""
    if (folder / "provenance.json").exists() or any(folder.glob("*/provenance.json")):
        raise ConfigError(
            f"{option}={folder}: there are runs in this folder, whose files would be mixed up with "
            "new ones; name another folder"
        )


def is_busy(folder: Path) -> bool:
    """Return whether a process trains in a run's folder at this moment."""
    return is_held(folder / _LOCK)


class RunFolder:
    """The folder of one run, which explains itself.

    `config.yaml` (resolved), `provenance.json` (status, versions, digests, seconds),
    `metrics.json`, `metrics.csv` (one row per epoch), `predictions.csv`, with test faces
    `test_predictions.csv`, `checkpoints/`, `figures/`, `train.log`; after a failure `error.txt`,
    else `manifest.json`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.figures = path / "figures"
        self._provenance: dict[str, Any] = {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from the folder, as long as the block lasts.

        Raises:
            ConfigError: another process trains in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(f"{self.path}: another process trains in this folder") from None
        try:
            yield
        finally:
            lock.release()
            (self.path / _LOCK).unlink(missing_ok=True)

    def start(self, cfg: DictConfig, overrides: Sequence[str] = ()) -> None:
        """Write the resolved configuration, and how the run was started."""
        self.figures.mkdir(parents=True, exist_ok=True)
        # First what a resumed sweep knows a run by.
        self.record(status="running", overrides=list(overrides), **describe_process())
        write_text(self.path / "config.yaml", OmegaConf.to_yaml(cfg))
        (self.path / "error.txt").unlink(missing_ok=True)

    def record(self, **facts: Any) -> None:
        """Add facts to `provenance.json`."""
        self._provenance |= facts
        write_json(self.path / "provenance.json", self._provenance)

    def finish(self, **facts: Any) -> None:
        """Say that the run finished, and what all that it wrote was like."""
        self.record(status="finished", **facts)
        write_manifest(self.path)

    def fail(self, error: BaseException, reason: str) -> None:
        """Say that the run failed, and why, in a line; the traceback goes to `error.txt`."""
        write_text(self.path / "error.txt", "".join(traceback.format_exception(error)))
        self.record(status="failed", error=reason)


def without_folder(arguments: Sequence[str]) -> list[str]:
    """Return a command line without the folder it ran in, which holds one run only."""
    named = ("hydra.run.dir=", "hydra.sweep.", "hydra.callbacks.report.folders=", "resume=")
    return [argument for argument in arguments if not argument.startswith(named)]


def describe_process() -> dict[str, Any]:
    """Return when and how this program was started, and on what versions it runs."""
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *without_folder(sys.argv[1:])],
        "git_commit": _git_commit(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": {package: version(package) for package in _PACKAGES},
        "processors": os.cpu_count(),
    }


def one_line(error: BaseException) -> str:
    """Return an error as one line: its kind, unless the message speaks for itself, and message."""
    message = " ".join(str(error).split())
    kind = type(error).__name__
    return message if kind == "ConfigError" else f"{kind}: {message}"


def _git_commit() -> str | None:
    """Return the commit of this checkout, marked `-dirty` if files differ; None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
