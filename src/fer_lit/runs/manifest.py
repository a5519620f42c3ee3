"""The manifest of a run: the digests of the files it wrote, so that nothing is mixed up later."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from fer_lit.bounded import read_json
from fer_lit.errors import ConfigError
from fer_lit.files import write_json

NAME = "manifest.json"
_LARGEST = 2**20  # bytes; a run's has some 1,500
_NEEDED = ("config.yaml", "metrics.json", "predictions.csv", "provenance.json")


def write_manifest(folder: Path) -> None:
    """Write the sha256 of every file of a run, but for logs and what Weights & Biases keeps."""
    files = {path.relative_to(folder).as_posix(): _digest(path) for path in _files(folder)}
    write_json(folder / NAME, {"sha256": files})


def check_manifest(folder: Path) -> bool:
    """Return whether a run has a manifest; earlier versions wrote none.

    Files that are not there are left to those who need them: checkpoints may have been deleted.

    Raises:
        ConfigError: a file is not the one that the run wrote, or the manifest cannot be read.
    """
    path = folder / NAME
    if not os.path.lexists(path):
        return False
    digests = _read(path)
    for name, digest in digests.items():
        file = folder / name
        if file.exists() and (not file.is_file() or _digest(file) != digest):
            raise ConfigError(
                f"{file}: not as the run wrote it; bring back the original, or train the run again"
            )
    return True


def _read(path: Path) -> dict[str, str]:
    mend = "train the run again"
    found = read_json(path, _LARGEST, mend)
    digests = found.get("sha256") if isinstance(found, dict) else None
    if not isinstance(digests, dict) or not digests.keys() >= set(_NEEDED):
        raise ConfigError(f"{path}: not a whole manifest; {mend}")
    return digests


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        logged = place.parts[0] == "wandb" or path.suffix == ".log"
        if path.is_file() and not logged and place != Path(NAME) and path.name[0] != ".":
            yield path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
