"""What a folder or CSV file of photographs holds, without opening a picture.

Needs neither torch nor numpy, so a wrong folder or class is reported before anything is loaded.
"""

import difflib
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fer_lit.errors import NOT_SHOWN, UNWRITABLE, ConfigError

CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
CSV_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The emotions of FER-2013's codes 0 to 6."""
SUFFIXES = (".jpg", ".jpeg", ".png")
PARTS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "publictest": "validation",
    "test": "test",
    "privatetest": "test",
}
"""Part by the lower-case name of a folder or the CSV's usage, FER-2013's names among them."""


class Photograph(NamedTuple):
    """One picture file.

    Attributes:
        name: path below the root, with forward slashes.
        size: bytes.
        modified: nanoseconds since 1970.
    """

    name: str
    label: int
    part: str
    size: int
    modified: int


@dataclass(frozen=True)
class Listing:
    """What a root holds for the wanted classes.

    Attributes:
        root: absolute path of the folder, or of the folder that the CSV file is in.
        photographs: the picture files, sorted by name; empty if there is a CSV file.
        csv: absolute path of the CSV file, if the root holds one and no pictures.
        copies: number of pictures left out as second copies (see `list_photographs`).
    """

    root: Path
    photographs: tuple[Photograph, ...] = ()
    csv: Path | None = None
    copies: int = 0


def list_photographs(root: Path, classes: Sequence[str], named: str | None = None) -> Listing:
    """List the photographs of `classes` below `root`: `…/<emotion>/*.jpg|jpeg|png`, or a CSV file.

    Emotions and suffixes are compared without regard to case. A photograph's part is the nearest
    folder above the emotion that is called like one (`PARTS`), else `""`. Linked files and folders
    are followed; hidden ones are skipped. The Kaggle download holds every photograph twice, as
    `images/train/…` and `images/images/train/…`: a file below a folder inside a folder of the same
    name, with a twin of the same size one folder up, is left out.

    A `fer2013.csv` or `icml_face_data.csv` counts only where there are no pictures in emotion
    folders. It is not opened here. Messages call the root as it is `named`: `data.root=faces`.

    Raises:
        ConfigError: no photographs at all, or none of one of the classes.
    """
    root = root.expanduser().absolute()
    named = named or str(root)
    if UNWRITABLE.search(str(root)):
        raise ConfigError(f"{named}: {root} is {NOT_SHOWN}; rename it")
    if root.is_file():
        return _list_csv(root, classes, named)
    if not root.is_dir():
        raise ConfigError(f"{named}: no such folder or file; {_looked_for(classes)}")
    try:
        files = sorted(_walk(root))
    except OSError as error:
        raise ConfigError(f"{named}: cannot be read ({error})") from error
    pictures = [file for file in files if _emotion(file[0])]
    if not pictures:
        return _list_csv(_find_csv(root, files, classes, named), classes, named)
    _require_classes(classes, Counter(_emotion(name) for name, _, _ in pictures), named)
    labels = {emotion.casefold(): label for label, emotion in enumerate(classes)}
    photographs = [
        Photograph(name, labels[_emotion(name)], _part(name), size, modified)
        for name, size, modified in pictures
        if _emotion(name) in labels
    ]
    originals = _without_copies(photographs, root.name)
    return Listing(root, originals, copies=len(photographs) - len(originals))


def _walk(folder: Path, below: str = "", seen: frozenset = frozenset()) -> Iterator[tuple]:
    """Yield the name below the root, size and time of every file; links upwards are loops."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__MACOSX")):
                continue
            name = below + entry.name
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{name}/", seen | {real})
            elif entry.is_file():  # not so for a link to nothing
                status = entry.stat()
                yield name, status.st_size, status.st_mtime_ns


def _emotion(name: str) -> str:
    """Return the lower-case name of the folder that a picture is in, `""` for other files."""
    folders, _, file = name.rpartition("/")
    return folders.rpartition("/")[2].casefold() if file.lower().endswith(SUFFIXES) else ""


def _part(name: str) -> str:
    above = name.split("/")[:-2]
    return next((PARTS[f.lower()] for f in reversed(above) if f.lower() in PARTS), "")


def _without_copies(photographs: list[Photograph], root_name: str) -> tuple[Photograph, ...]:
    sizes = {photograph.name: photograph.size for photograph in photographs}

    def is_copy(photograph: Photograph) -> bool:
        folders = [root_name, *photograph.name.split("/")]
        for i, (outer, inner) in enumerate(itertools.pairwise(folders)):
            if outer == inner:
                twin = "/".join((folders[:i] + folders[i + 1 :])[1:])
                return sizes.get(twin) == photograph.size
        return False

    return tuple(photograph for photograph in photographs if not is_copy(photograph))


def _find_csv(root: Path, files: list, classes: Sequence[str], named: str) -> Path:
    found = [name for name, _, _ in files if name.lower().rpartition("/")[2] in CSV_NAMES]
    if found:
        return root / min(found, key=lambda name: (name.count("/"), name))
    suffixes = Counter(Path(name).suffix.lower() or "no suffix" for name, _, _ in files)
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in suffixes.most_common(4))
    raise ConfigError(
        f"{named}: no photographs; {_looked_for(classes)}; "
        f"found {f'{len(files):,} other files ({kinds})' if files else 'no files at all'}"
    )


def _list_csv(csv: Path, classes: Sequence[str], named: str) -> Listing:
    if csv.suffix.lower() != ".csv":
        raise ConfigError(f"{named}: neither a folder nor a CSV file; {_looked_for(classes)}")
    _require_classes(classes, dict.fromkeys(CSV_EMOTIONS), named)
    return Listing(csv.parent, csv=csv)


def _looked_for(classes: Sequence[str]) -> str:
    return (
        f"looked for pictures …/<emotion>/*.jpg|jpeg|png ({', '.join(classes)}) "
        f"or one of {', '.join(CSV_NAMES)}"
    )


def _require_classes(classes: Sequence[str], there: dict[str, int | None], named: str) -> None:
    """Raise ConfigError for the first class that is not `there` (number of faces, or None)."""
    missing = next((emotion for emotion in classes if emotion.casefold() not in there), None)
    if missing is None:
        return
    close = difflib.get_close_matches(missing.casefold(), there, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    names = [name if count is None else f"{name} {count:,}" for name, count in there.items()]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    raise ConfigError(
        f"data.classes: no photographs of {missing!r}{hint} in {named}; "
        f"there are {', '.join(names[:12])}{more}"
    )
