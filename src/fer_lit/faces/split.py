"""Which faces train a network, which validate it, and which are left for the end."""

import logging
from collections import Counter
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from fer_lit.errors import ConfigError
from fer_lit.faces.duplicates import find_duplicates
from fer_lit.faces.face_set import FaceSet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """Indices of the faces (int64, ascending) that train, validate and test.

    Everything is chosen by the validation faces. The test faces, if any, are looked at once.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def counts(self) -> dict[str, int]:
        """Number of faces of each part; without test faces there is no `test`."""
        return {part: len(own) for part, own in vars(self).items() if part != "test" or len(own)}


def split_faces(faces: FaceSet, protocol: str, validation: float, test: float, seed: int) -> Split:
    """Divide the faces. The occlusion has no say: one seed has one split in every condition.

    Args:
        faces: the faces.
        protocol: `paper`: at random over all faces, whatever part they came from, alike for each
            emotion. `grouped`: the same for whole groups of exact and near duplicates (see
            `find_duplicates`), by the emotion that most of a group have. `official`: the parts
            that the faces came from; shares and seed have no say.
        validation: share of all faces that validate, above 0 and below 1.
        test: share of all faces that test, 0 for none. With `paper` they come from the faces that
            would train: the validation faces stay the same.
        seed: decides the draw.

    Raises:
        ConfigError: a part or an emotion in it would be empty.
    """
    if protocol == "official":
        split = _official(faces)
    elif protocol == "grouped":
        split = _divide_groups(faces, validation, test, seed)
    else:
        split = _divide_faces(faces, validation, test, seed)
    for part in ("train", "validation", *(["test"] if test or len(split.test) else [])):
        _require_every_emotion(faces, split, part, protocol)
    return split


def _divide_faces(faces: FaceSet, validation: float, test: float, seed: int) -> Split:
    def draw(among: np.ndarray, size: float) -> list[np.ndarray]:
        return train_test_split(
            among, test_size=size, stratify=faces.labels[among], random_state=seed
        )

    tested = np.array([], np.int64)
    try:
        train, validating = draw(np.arange(len(faces)), validation)
        if test:
            train, tested = draw(train, round(test * len(faces)))
    except ValueError as error:
        shares = f"data.split.validation={validation}"
        if test:
            shares += f", data.split.test={test}"
        raise ConfigError(
            f"{shares}: cannot divide {len(faces)} faces ({_describe(faces.counts)}) so that each "
            f"emotion is on both sides: {error}"
        ) from error
    return Split(np.sort(train), np.sort(validating), np.sort(tested))


def _divide_groups(faces: FaceSet, validation: float, test: float, seed: int) -> Split:
    """Divide groups of duplicates, so that the shares are met to within half a group an emotion."""
    groups = find_duplicates(faces).near
    emotions = np.zeros((groups.max() + 1, len(faces.classes)), np.int64)
    np.add.at(emotions, (groups, faces.labels), 1)
    sizes, emotion = emotions.sum(axis=1), emotions.argmax(axis=1)
    random = np.random.default_rng(seed)
    side = np.empty(len(sizes), np.int64)
    for label in range(len(faces.classes)):
        drawn = random.permutation(np.flatnonzero(emotion == label))
        # Laid end to end in the order of the draw, groups are where their middle is.
        middle = (sizes[drawn].cumsum() - sizes[drawn] / 2) / sizes[drawn].sum()
        side[drawn] = np.searchsorted([validation, validation + test], middle)
    validating, tested, train = (np.flatnonzero(side[groups] == number) for number in range(3))
    for part, share, indices in (("validation", validation, validating), ("test", test, tested)):
        wanted = round(share * len(faces))
        if abs(len(indices) - wanted) > wanted / 10:
            log.warning(
                f"data.split.{part}={share}: {len(indices):,} faces in place of {wanted:,}, since "
                f"the largest group of near duplicates has {sizes.max():,} of {len(faces):,} faces"
            )
    return Split(train, validating, tested)


def _official(faces: FaceSet) -> Split:
    found = Counter(faces.parts)
    if not {"train", "validation"} <= set(found) <= {"train", "validation", "test"}:
        there = {part or "without a part": found[part] for part in sorted(found, reverse=True)}
        raise ConfigError(
            "data.split.protocol=official: needs faces in the parts train and validation, and none "
            f"without a part; found {_describe(there)}; data.split.protocol=paper or grouped draw "
            "their own parts from all faces"
        )
    parts = np.array(faces.parts)
    return Split(*(np.flatnonzero(parts == part) for part in ("train", "validation", "test")))


def _require_every_emotion(faces: FaceSet, split: Split, part: str, protocol: str) -> None:
    there = faces.labels[getattr(split, part)]
    missing = [emotion for label, emotion in enumerate(faces.classes) if label not in there]
    if missing:
        raise ConfigError(
            f"data.split.protocol={protocol}: no {part} faces of {', '.join(missing)} (parts: "
            f"{_describe(split.counts)}; emotions: {_describe(faces.counts)}); each part needs all"
        )


def _describe(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
