"""Run folders as they are found: what is in them, read and checked."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fer_lit.bounded import read_json
from fer_lit.errors import ConfigError
from fer_lit.runs.stored_config import read_config

_LARGEST = 2**25  # bytes of a JSON file; an epoch of ten emotions takes some 3,000
_MEND = "bring back the original, or train the run again"
_OF_A_RUN = ("config.yaml", "provenance.json", "manifest.json")
_FACTS = {
    "command": list,
    "data": str,
    "source": str,
    "data_fingerprint": str,
    "backbone_digest": str,
    "faces": dict,
    "duplicates": int,
    "blank": int,
    "precision": dict,
}


def read_run(folder: Path, trust: bool = False) -> dict[str, Any]:
    """Return a run's `folder`, `config`, `provenance` and, if it finished, `metrics` (else None).

    Raises:
        ConfigError: a file cannot be a run's, or its configuration is not to be followed without
            `trust`: see `stored_config.read_config`.
    """
    provenance = read_provenance(folder)
    config = read_config(folder / "config.yaml", trust)
    return {
        "folder": folder,
        "config": config,
        "provenance": provenance,
        "metrics": (
            _read_json(folder / "metrics.json") if provenance["status"] == "finished" else None
        ),
    }


def read_provenance(folder: Path) -> dict[str, Any]:
    """Return how a run was started and how far it got: `provenance.json`.

    Raises:
        ConfigError: the file cannot be read.
    """
    provenance = _read_json(folder / "provenance.json")
    if not isinstance(provenance.get("status"), str):
        raise ConfigError(f"{folder / 'provenance.json'}: says no status; {_MEND}")
    return provenance


def read_sweep(folder: Path, trust: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the runs of a sweep in the order of their numbers, and why others cannot be read.

    Runs without a number are in the order of their names; a line says what is wrong with a run.
    """
    runs, problems = [], []
    for path in run_folders(folder):
        try:
            runs.append(read_run(path, trust))
        except ConfigError as error:
            problems.append(f"{path.name} is left out: {error}")
    return runs, problems


def run_folders(sweep: Path) -> list[Path]:
    """Return the folders of a sweep's runs, by number, then by name."""
    return sorted((path for path in sweep.glob("*") if is_run(path)), key=_order)


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run, or what is left of one."""
    return any(os.path.lexists(folder / name) for name in _OF_A_RUN)


def run_number(folder: Path) -> int | None:
    """Return the number that a run's folder begins with."""
    number = folder.name.split("_", 1)[0]
    return int(number) if number.isdecimal() else None


def check_facts(run: Mapping[str, Any]) -> None:
    """Check that a finished run's `provenance.json` and `metrics.json` hold what is read of them.

    Raises:
        ConfigError: something is missing, or of another kind.
    """
    folder, facts, metrics = (run[name] for name in ("folder", "provenance", "metrics"))
    for name, kind in _FACTS.items():
        if not isinstance(facts.get(name), kind):
            raise ConfigError(f"{folder / 'provenance.json'}: {name} is missing or wrong; {_MEND}")
    faces = metrics.get("faces")
    if not isinstance(faces, dict) or not all(type(count) is int for count in faces.values()):
        raise ConfigError(f"{folder / 'metrics.json'}: faces is missing or wrong; {_MEND}")
    for part in ("validation", "test") if faces.get("test") else ("validation",):
        _check_matrix(folder / "metrics.json", metrics, part, len(run["config"].data.classes))


def _check_matrix(file: Path, metrics: Mapping[str, Any], part: str, classes: int) -> None:
    try:
        shape = np.array(metrics[part]["confusion_matrix"], dtype="int64").shape
    except (LookupError, TypeError, ValueError, OverflowError):
        shape = None
    if shape != (classes, classes):
        raise ConfigError(f"{file}: {part}.confusion_matrix is missing or wrong; {_MEND}")


def _read_json(path: Path) -> dict[str, Any]:
    found = read_json(path, _LARGEST, _MEND)
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: holds no facts by name; {_MEND}")
    return found


def _order(folder: Path) -> tuple[int, str]:
    return run_number(folder) or 0, folder.name
