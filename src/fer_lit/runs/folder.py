"""Run folders: what a run leaves behind, written here and read here."""

import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fer_lit.bounded import read_json
from fer_lit.errors import ConfigError
from fer_lit.files import write_json, write_text
from fer_lit.runs.stored_config import read_config

_PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "grad-cam", "numpy", "fer-lit")
_LARGEST = 2**25  # bytes of a JSON file; an epoch of ten emotions takes some 3,000


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


def refuse_runs(folder: Path, option: str) -> None:
    """Raise ConfigError if a folder, named by an option, holds a run or a sweep already."""
    if (folder / "provenance.json").exists() or any(folder.glob("*/provenance.json")):
        raise ConfigError(
            f"{option}={folder}: there are runs in this folder, whose files would be mixed up with "
            "new ones; name another folder"
        )


class RunFolder:
    """The folder of one run, which explains itself.

    `config.yaml` (resolved), `provenance.json` (status, versions, digests, seconds),
    `metrics.json`, `metrics.csv` (one row per epoch), `predictions.csv`, with test faces
    `test_predictions.csv`, `checkpoints/`, `figures/`, `train.log`; after a failure `error.txt`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.figures = path / "figures"
        self._provenance: dict[str, Any] = {}
        self.figures.mkdir(parents=True, exist_ok=True)

    def start(self, cfg: DictConfig, overrides: Sequence[str] = ()) -> None:
        """Write the resolved configuration, and how the run was started.

        Raises:
            ConfigError: the folder holds a run already.
        """
        refuse_runs(self.path, "hydra.run.dir")
        write_text(self.path / "config.yaml", OmegaConf.to_yaml(cfg))
        self.record(status="running", overrides=list(overrides), **describe_process())

    def record(self, **facts: Any) -> None:
        """Add facts to `provenance.json`."""
        self._provenance |= facts
        write_json(self.path / "provenance.json", self._provenance)

    def fail(self, error: BaseException) -> None:
        """Say that the run failed, and why; the traceback goes to `error.txt`."""
        write_text(self.path / "error.txt", "".join(traceback.format_exception(error)))
        self.record(status="failed", error=one_line(error))


def without_folder(arguments: Sequence[str]) -> list[str]:
    """Return a command line without the folder it ran in, which holds one run only."""
    named = ("hydra.run.dir=", "hydra.sweep.dir=")
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


def read_run(folder: Path, trust: bool = False) -> dict[str, Any]:
    """Return a run's `folder`, `config`, `provenance` and, if it finished, `metrics` (else None).

    Raises:
        ConfigError: a file cannot be a run's, or its configuration is not to be followed without
            `trust`: see `stored_config.read_config`.
    """
    provenance = _read_json(folder / "provenance.json")
    finished = provenance["status"] == "finished"
    config = read_config(folder / "config.yaml", trust)
    return {
        "folder": folder,
        "config": config,
        "provenance": provenance,
        "metrics": _read_json(folder / "metrics.json") if finished else None,
    }


def _read_json(path: Path) -> dict[str, Any]:
    return read_json(path, _LARGEST, "bring back the original, or train the run again")


def read_sweep(folder: Path, trust: bool = False) -> list[dict[str, Any]]:
    """Return the runs of a sweep in the order of their numbers; others by name."""
    folders = [path.parent for path in folder.glob("*/provenance.json")]
    return [read_run(path, trust) for path in sorted(folders, key=_order)]


def one_line(error: BaseException) -> str:
    """Return an error as one line: its kind, unless the message speaks for itself, and message."""
    message = " ".join(str(error).split())
    kind = type(error).__name__
    return message if kind == "ConfigError" else f"{kind}: {message}"


def _order(folder: Path) -> tuple[int, str]:
    number = folder.name.split("_", 1)[0]
    return (int(number) if number.isdigit() else 0), folder.name


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
