"""The split protocols: at random, in groups of duplicates, and the data set's own parts."""

import logging
from itertools import product

import numpy as np
import pytest
from helpers import copies
from helpers.copies import compressed, cropped, photograph
from sklearn.model_selection import train_test_split

from fer_lit.errors import ConfigError
from fer_lit.faces.decoding import load_photographs
from fer_lit.faces.duplicates import find_duplicates
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.split import Split, split_faces

COUNTS = {"angry": 50, "happy": 91, "neutral": 62}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path / "cache"))


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
    split = split_faces(faces, "paper", share, 0, seed)
    for label, count in enumerate(COUNTS.values()):
        validating = (faces.labels[split.validation] == label).sum()
        assert abs(validating - share * count) <= 1
    assert abs(len(split.validation) - share * len(faces)) <= 1


def test_each_face_is_on_one_side_in_ascending_order():
    split = split_faces(face_set(COUNTS), "paper", 0.3, 0, seed=0)
    assert sorted([*split.train, *split.validation]) == list(range(203))
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.validation) > 0).all()


def test_the_seed_decides():
    faces = face_set(COUNTS)
    seeds = (0, 1, 2, 0, 1, 2)
    splits = [split_faces(faces, "paper", 0.3, 0, seed).validation.tolist() for seed in seeds]
    assert splits[:3] == splits[3:]
    assert len({tuple(split) for split in splits}) == 3


def test_the_part_that_faces_came_from_has_no_say():
    mixed, other = (
        split_faces(face_set(COUNTS, part), "paper", 0.3, 0, seed=0) for part in ("train", "test")
    )
    assert np.array_equal(mixed.train, other.train)


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
        split_faces(face_set(counts), "paper", share, 0, seed=0)
    message = str(error.value)
    assert message.startswith("data.split.validation=")
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def parts_of(split: Split) -> list[np.ndarray]:
    return [split.train, split.validation, split.test]


def test_paper_without_test_faces_is_what_it_always_was():
    faces = face_set(COUNTS)
    for seed in range(5):
        train, validation = train_test_split(
            np.arange(203), test_size=0.3, stratify=faces.labels, random_state=seed
        )
        split = split_faces(faces, "paper", 0.3, 0, seed)
        assert split.train.tolist() == sorted(train)
        assert split.validation.tolist() == sorted(validation)
        assert (split.test.size, split.test.dtype) == (0, np.int64)
        assert split.counts == {"train": 142, "validation": 61}


def test_paper_takes_test_faces_from_those_that_would_train():
    faces = face_set(COUNTS)
    split = split_faces(faces, "paper", 0.3, 0.2, seed=4)
    assert split.counts == {"train": 101, "validation": 61, "test": 41}
    assert sorted(np.concatenate(parts_of(split))) == list(range(203))
    without = split_faces(faces, "paper", 0.3, 0, seed=4)
    np.testing.assert_array_equal(split.validation, without.validation)
    assert (np.diff(split.test) > 0).all()
    for label, count in enumerate(COUNTS.values()):
        assert abs((faces.labels[split.test] == label).sum() - 0.2 * count) <= 1


@pytest.fixture(scope="module")
def families() -> tuple[FaceSet, np.ndarray]:
    """Thirty photographs, most of them with copies, and which photograph each face is of."""
    pixels, labels, family = [], [], []
    for number in range(30):
        original = photograph(number)
        versions = [
            [original],
            [original, original],
            [original, photograph(number, brightness=12)],
            [original, cropped(original), compressed(original)],
            [photograph(number, shift) for shift in (0, 1, 2)],  # a chain
        ][number % 5]
        pixels += versions
        # Copies have another emotion now and then.
        labels += [(number + (copy == 1 and number % 2)) % 3 for copy in range(len(versions))]
        family += [number] * len(versions)
    order = np.random.default_rng(0).permutation(len(labels))
    faces = copies.face_set([pixels[i] for i in order], [labels[i] for i in order])
    return faces, np.array(family)[order]


def test_grouped_never_has_a_photograph_on_two_sides(families):
    faces, family = families
    for seed, test in product(range(40), (0, 0.2)):
        split = split_faces(faces, "grouped", 0.3, test, seed)
        assert sorted(np.concatenate(parts_of(split))) == list(range(len(faces)))
        assert all((np.diff(part) > 0).all() for part in parts_of(split))
        sides = [set(family[part]) for part in parts_of(split)]
        assert sum(map(len, sides)) == len(set().union(*sides)) == 30
        others = np.concatenate([split.validation, split.test])
        assert find_duplicates(faces).across(split.train, others) == {"exact": 0, "near": 0}


def test_paper_has_and_their_number_is_known(families):
    faces, family = families
    for seed in range(5):
        split = split_faces(faces, "paper", 0.3, 0, seed)
        trained = set(family[split.train])
        wanted = [sum(number in trained for number in family[split.validation])]
        # Pixels are equal within the families 1, 6, 11, …
        wanted.append(sum(n in trained and n % 5 == 1 for n in family[split.validation]))
        across = find_duplicates(faces).across(split.train, split.validation)
        assert [across["near"], across["exact"]] == wanted
        assert across["near"] > across["exact"]


def test_grouped_meets_the_shares_to_within_half_a_group_an_emotion(families):
    faces, _ = families  # 66 faces; of each emotion a group of at most 3
    for seed in range(40):
        counts = split_faces(faces, "grouped", 0.3, 0.2, seed).counts
        assert abs(counts["validation"] - 0.3 * 66) <= 3 * 1.5
        assert abs(counts["train"] - 0.5 * 66) <= 3 * 1.5


def test_grouped_divides_each_emotion_alike():
    labels = np.repeat([0, 1, 2], [20, 40, 60])
    faces = copies.face_set([photograph(number) for number in range(120)], labels)
    split = split_faces(faces, "grouped", 0.3, 0.2, seed=0)
    found = [np.bincount(labels[part]).tolist() for part in parts_of(split)]
    assert found == [[10, 20, 30], [6, 12, 18], [4, 8, 12]]


def test_grouped_is_drawn_by_the_seed(families):
    drawn = [split_faces(families[0], "grouped", 0.3, 0, s).validation.tolist() for s in (0, 1, 0)]
    assert drawn[0] == drawn[2] != drawn[1]


def test_a_group_too_large_for_the_shares_is_announced(caplog):
    pixels = [photograph(0)] * 40 + [photograph(number) for number in range(1, 21)]
    faces = copies.face_set(pixels, [0] * 40 + [0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2] + [1, 2, 0] * 3)
    with caplog.at_level(logging.WARNING):
        split = split_faces(faces, "grouped", 0.3, 0, seed=1)
    wanted = f"data.split.validation=0.3: {len(split.validation)} faces in place of 18, since the "
    assert wanted + "largest group of near duplicates has 40 of 60 faces" in caplog.text


def test_grouped_needs_more_than_one_group_of_an_emotion():
    faces = copies.face_set([photograph(n // 4) for n in range(12)], [n // 4 for n in range(12)])
    with pytest.raises(ConfigError, match=r"=grouped: no .* faces of .*angry 4"):
        split_faces(faces, "grouped", 0.3, 0, seed=0)


def official(*parts: str) -> Split:
    """The split of three faces of each part, one of each emotion."""
    faces = copies.face_set(
        [photograph(0)] * 3 * len(parts), [0, 1, 2] * len(parts), np.repeat(parts, 3).tolist()
    )
    splits = [split_faces(faces, "official", 0.3, 0, seed) for seed in (0, 1)]
    for one, other in zip(*map(parts_of, splits), strict=True):
        np.testing.assert_array_equal(one, other)
    return splits[0]


def test_official_is_the_parts_that_the_faces_came_from():
    split = official("validation", "train", "test", "train")
    assert split.train.tolist() == [3, 4, 5, 9, 10, 11]
    assert split.validation.tolist() == [0, 1, 2]
    assert split.test.tolist() == [6, 7, 8]
    assert official("train", "validation").counts == {"train": 3, "validation": 3}


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        (("train", "test"), "found train 3, test 3"),
        (("train",), "found train 3"),
        (("validation", "test"), "found validation 3, test 3"),
        (("",), "found without a part 3"),
        (("train", "validation", ""), "found validation 3, train 3, without a part 3"),
    ],
)
def test_official_says_which_parts_are_missing_and_what_to_do(parts, found):
    with pytest.raises(ConfigError) as error:
        official(*parts)
    message = str(error.value)
    assert message.startswith("data.split.protocol=official: ")
    assert found in message and "data.split.protocol=paper or grouped" in message


def test_official_needs_every_emotion_in_every_part():
    faces = copies.face_set(
        [photograph(0)] * 5, [0, 1, 2, 0, 2], ["train"] * 3 + ["validation"] * 2
    )
    with pytest.raises(ConfigError, match="protocol=official: no validation faces of happy"):
        split_faces(faces, "official", 0.3, 0, seed=0)


def test_official_from_folders(tmp_path):
    wanted = {"Training": [6, 7, 8], "PublicTest": [3, 4, 5], "PrivateTest": [0, 1, 2]}
    for part, numbers in wanted.items():
        for number, emotion in zip(numbers, copies.CLASSES, strict=True):
            folder = tmp_path / "images" / part / emotion
            folder.mkdir(parents=True)
            copies.Image.fromarray(photograph(number)).save(folder / "face.png")
    faces = load_photographs(tmp_path / "images", copies.CLASSES, "error")
    split = split_faces(faces, "official", 0.3, 0, seed=0)
    for part, numbers in zip(parts_of(split), wanted.values(), strict=True):
        np.testing.assert_array_equal(faces.pixels[part], [photograph(n) for n in numbers])


@pytest.mark.parametrize("test", [0.001, 0.01])
def test_a_test_part_without_every_emotion_is_refused(test):
    for protocol in ("paper", "grouped"):
        with pytest.raises(ConfigError, match=r"data\.split\."):
            split_faces(face_set(COUNTS), protocol, 0.3, test, seed=0)
