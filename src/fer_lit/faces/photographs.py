"""The source of faces that are photographs: a folder or CSV file, or the download from Kaggle.

Needs neither torch nor numpy, so a wrong folder or class is reported before anything is loaded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from fer_lit.cache import cache_folder
from fer_lit.errors import ConfigError
from fer_lit.faces.listing import list_photographs
from fer_lit.limits import Rule, check_rules, one_of

if TYPE_CHECKING:
    from fer_lit.faces.face_set import FaceSet

DATASET = "jonathanoheix/face-expression-recognition-dataset"
DATASET_VERSION = 1  # fixed: the same photographs every time, and a cached copy needs no network

_RULES = (Rule("on_bad_image", *one_of("error", "skip")),)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photographs:
    """Photographs of the emotions: see `locate_photographs` and `decoding.load_photographs`."""

    root: str | None
    classes: Sequence[str]
    on_bad_image: str
    download: bool

    def __post_init__(self):
        check_rules("data", vars(self), _RULES)

    def is_there(self) -> bool:
        """Return whether the photographs can be had, fetched if they must and may be."""
        return locate_photographs(self.root, self.classes, self.download) is not None

    def load(self) -> FaceSet:
        """Return the photographs, decoded once and kept.

        Raises:
            ConfigError: they are not there, or something is wrong with them.
        """
        from fer_lit.faces.decoding import load_photographs

        root = locate_photographs(self.root, self.classes, self.download)
        if root is None:
            raise ConfigError(
                "data.root: there are no photographs; give their folder, or data=synthetic"
            )
        return load_photographs(root, self.classes, self.on_bad_image)


def locate_photographs(root: str | None, classes: Sequence[str], download: bool) -> Path | None:
    """Return the folder or CSV file to read, or None if no photographs can be had.

    Looked at in this order: `root`, the environment variable `FER2013_ROOT`, `data/fer2013` in the
    working folder, the download from Kaggle (kept below the cache folder, or `KAGGLEHUB_CACHE`).
    `download=False` forbids the download, not the use of one that was made earlier.

    Raises:
        ConfigError: the first of the first three that is there has no photographs of the classes;
            nothing replaces it.
    """
    named, path = _named_root(root)
    if path is None:
        path = _kaggle_photographs(download)
        named = f"the download of {DATASET} in {path}"
    if path is not None:
        list_photographs(path, classes, named)
    return path


def _named_root(root: str | None) -> tuple[str, Path | None]:
    """Return what the user calls the first root that is named, and its path, or None."""
    if root:
        return f"data.root={root}", _absolute(root)
    if variable := os.environ.get("FER2013_ROOT"):
        return f"FER2013_ROOT={variable}", _absolute(variable)
    working = _absolute("data/fer2013")
    return f"data/fer2013 ({working})", working if working.exists() else None


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _kaggle_photographs(download: bool) -> Path | None:
    """Return the folder of the Kaggle data set, fetched if it must and may be, else None."""
    cache = Path(os.environ.get("KAGGLEHUB_CACHE") or cache_folder("kagglehub"))
    versions = cache / "datasets" / DATASET
    folder = versions / "versions" / str(DATASET_VERSION)
    if folder.is_dir() and (versions / f"{DATASET_VERSION}.complete").exists():
        return folder
    nowhere = "no photographs: data.root and FER2013_ROOT are not set, data/fer2013 does not exist"
    if not download:
        log.warning("%s, and data.download=false", nowhere)
        return None
    try:
        with FileLock(cache_folder("locks") / "kagglehub.lock"):
            return _download(cache)
    except Exception as error:  # kagglehub passes on whatever its many layers raise
        reason = " ".join(str(error).split())
        shortened = reason if len(reason) <= 160 else f"{reason[:160]}…"
        log.warning("%s, and Kaggle failed (%s: %s)", nowhere, type(error).__name__, shortened)
        return None


def _download(cache: Path) -> Path:
    import kagglehub  # late: it costs a third of a second, and most runs need no download
    import requests

    # kagglehub sets no limit on connecting: behind a firewall that drops packets it would hang.
    try:
        requests.head("https://api.kaggle.com", timeout=5)
    except requests.RequestException as error:
        raise ConnectionError("api.kaggle.com cannot be reached") from error
    log.info("downloading the photographs %s (about 120 MB) from Kaggle to %s", DATASET, cache)
    before = os.environ.get("KAGGLEHUB_CACHE")
    os.environ["KAGGLEHUB_CACHE"] = str(cache)
    try:
        return Path(kagglehub.dataset_download(f"{DATASET}/versions/{DATASET_VERSION}"))
    finally:
        if before is None:
            del os.environ["KAGGLEHUB_CACHE"]
