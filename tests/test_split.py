"""The split: stratified, decided by the seed alone."""

import numpy as np
import pytest

from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.split import split_faces

COUNTS = {"angry": 50, "happy": 91, "neutral": 62}


def face_set(counts: dict[str, int], parts: str = "") -> FaceSet:
    labels = np.repeat(np.arange(len(counts)), list(counts.values()))
    size = len(labels)
    return FaceSet(
        pixels=np.zeros((size, 48, 48), np.uint8),
        labels=labels,
        names=tuple(f"face/{i}" for i in range(size)),
        parts=(parts,) * size,
        classes=tuple(counts),
        origin="synthetic",
        source="made for a test",
    )


@pytest.mark.parametrize("share", [0.3, 0.5, 0.1])
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_each_emotion_is_divided_to_within_one_face(share, seed):
    faces = face_set(COUNTS)
    split = split_faces(faces, share, seed)
    for label, count in enumerate(COUNTS.values()):
        validating = (faces.labels[split.validation] == label).sum()
        assert abs(validating - share * count) <= 1
    assert abs(len(split.validation) - share * len(faces)) <= 1


def test_each_face_is_on_one_side_in_ascending_order():
    split = split_faces(face_set(COUNTS), 0.3, seed=0)
    assert sorted([*split.train, *split.validation]) == list(range(203))
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.validation) > 0).all()


def test_the_seed_decides():
    faces = face_set(COUNTS)
    splits = [split_faces(faces, 0.3, seed).validation.tolist() for seed in (0, 1, 2, 0, 1, 2)]
    assert splits[:3] == splits[3:]
    assert len({tuple(split) for split in splits}) == 3


def test_the_part_that_faces_came_from_has_no_say():
    mixed = split_faces(face_set(COUNTS, "train"), 0.3, 0)
    assert np.array_equal(mixed.train, split_faces(face_set(COUNTS, "test"), 0.3, 0).train)


@pytest.mark.parametrize(
    ("counts", "share", "words"),
    [
        ({"angry": 1, "happy": 20}, 0.3, ("0.3", "21 faces", "angry 1, happy 20")),
        ({"angry": 3, "happy": 3, "sad": 3}, 0.1, ("0.1", "9 faces", "sad 3")),
        ({"angry": 2, "happy": 2, "sad": 2}, 0.9, ("0.9", "6 faces", "sad 2")),
    ],
)
def test_too_few_faces_are_one_line_that_counts_them(counts, share, words):
    with pytest.raises(ConfigError) as error:
        split_faces(face_set(counts), share, seed=0)
    message = str(error.value)
    assert message.startswith("data.split.validation=")
    assert "\n" not in message
    assert [word for word in words if word not in message] == []
