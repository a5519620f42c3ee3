"""Groups of duplicates: what is one photograph, and what only looks alike."""

from pathlib import Path

import numpy as np
import pytest
from helpers.copies import compressed, cropped, face_set, photograph

from fer_lit.faces import duplicates
from fer_lit.faces.duplicates import Duplicates, find_duplicates


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path))
    return tmp_path


def found(*pixels: np.ndarray) -> Duplicates:
    return find_duplicates(face_set(pixels, [0] * len(pixels)))


def members(groups: np.ndarray) -> list[list[int]]:
    """The faces of each group of more than one."""
    all_groups = [np.flatnonzero(groups == group).tolist() for group in np.unique(groups)]
    return [group for group in all_groups if len(group) > 1]


def test_different_photographs_have_no_duplicates():
    groups = found(*(photograph(number) for number in range(40)))
    assert members(groups.exact) == members(groups.near) == []
    assert sorted(groups.near) == list(range(40))
    assert groups.exact.dtype == groups.near.dtype == np.int64


@pytest.mark.parametrize(
    "altered",
    [
        pytest.param(lambda number: photograph(number, brightness=12), id="brighter"),
        pytest.param(lambda number: photograph(number, shift=1), id="shifted"),
        pytest.param(lambda number: cropped(photograph(number)), id="cropped"),
        pytest.param(lambda number: compressed(photograph(number)), id="compressed"),
    ],
)
def test_an_altered_copy_is_a_near_duplicate_and_no_exact_one(altered):
    originals, copies = ([make(number) for number in range(6)] for make in (photograph, altered))
    groups = found(*originals, *copies)
    assert members(groups.exact) == []
    assert members(groups.near) == [[number, number + 6] for number in range(6)]


def test_a_copy_is_an_exact_and_a_near_duplicate():
    groups = found(photograph(0), photograph(1), photograph(0), photograph(1), photograph(0))
    assert members(groups.exact) == members(groups.near) == [[0, 2, 4], [1, 3]]


def test_a_mirror_image_is_none():
    groups = found(photograph(0), photograph(0)[:, ::-1])
    assert members(groups.near) == []


def test_faces_are_near_up_to_60_bits(monkeypatch):
    bits = np.zeros((3, 256), bool)
    bits[1, :60] = True
    bits[2, 60:122] = True  # 62 bits from the first, more from the second
    faces = [photograph(number) for number in range(3)]
    hashes = {face.tobytes(): own for face, own in zip(faces, bits, strict=True)}
    monkeypatch.setattr(duplicates, "_hash", lambda face: hashes[face.tobytes()])
    assert members(found(*faces).near) == [[0, 1]]


def test_a_chain_is_one_group():
    first, middle, last = (photograph(0, shift) for shift in range(3))
    assert members(found(first, last).near) == []
    assert members(found(first, photograph(1), last, middle).near) == [[0, 2, 3]]


def test_chains_are_joined_whatever_the_chunks(monkeypatch):
    faces = [photograph(number, shift) for shift in (2, 0, 1) for number in range(5)]
    wanted = [[number, number + 5, number + 10] for number in range(5)]
    for chunk in (1, 2, 7, 100):
        monkeypatch.setattr(duplicates, "_CHUNK", chunk)
        monkeypatch.setattr(duplicates, "FORMAT", f"test{chunk}")
        assert members(found(*faces).near) == wanted


def test_blank_faces_are_duplicates_of_equal_ones_only():
    black, gray = (np.full((48, 48), value, np.uint8) for value in (0, 128))
    groups = found(black, photograph(0), gray, black)
    assert members(groups.exact) == members(groups.near) == [[0, 3]]
    assert members(found(black, gray, black).near) == [[0, 2]]
    others = (photograph(0), photograph(1), photograph(1, shift=1))
    assert members(found(black, gray, *others).near) == [[3, 4]]


def test_faces_are_counted_whose_group_is_trained_on():
    groups = Duplicates(
        exact=np.array([0, 0, 1, 2, 3, 4, 4, 5]), near=np.array([0, 0, 0, 1, 1, 2, 2, 3])
    )
    train = np.array([0, 3, 7])
    # 1 is a copy of 0; 2 is near 0 and 4 near 3; 5 and 6 are copies of each other.
    assert groups.across(train, np.array([1, 2, 4, 5, 6])) == {"exact": 1, "near": 3}
    assert groups.across(np.array([5]), np.array([0, 1, 2])) == {"exact": 0, "near": 0}


def test_groups_are_found_once(monkeypatch, cache):
    faces = face_set([photograph(0), photograph(1), photograph(0, shift=1)], [0, 0, 1])
    first = find_duplicates(faces)
    assert [path.parent.name for path in cache.rglob("*.npz")] == ["duplicates"]
    monkeypatch.delattr(duplicates, "_hash")
    again = find_duplicates(faces)
    np.testing.assert_array_equal(again.exact, first.exact)
    np.testing.assert_array_equal(again.near, first.near)


def test_groups_of_another_threshold_are_not_read(cache):
    faces = face_set([photograph(0), photograph(1)], [0, 0])
    find_duplicates(faces)
    (path,) = cache.rglob("*.npz")
    earlier = path.with_name(path.name.replace("_2.npz", "_1.npz"))  # up to 56 bits
    path.unlink()
    np.savez(earlier, groups=np.zeros((2, 2), np.int64))
    assert members(find_duplicates(faces).near) == []


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


DAMAGE = ["pickle", "other faces", "other numbers", "other name", "cut off", "a bit", "no zip"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_replaced(cache, damage, caplog):
    faces = face_set([photograph(0), photograph(1), photograph(0, shift=1)], [0, 0, 1])
    first = find_duplicates(faces)
    (path,) = cache.rglob("*.npz")
    good = path.read_bytes()
    if damage == "cut off":
        path.write_bytes(good[:-9])
    elif damage == "a bit":
        place = good.index(first.near.tobytes())
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    elif damage == "no zip":
        path.write_bytes(b"PK no more")
    else:
        content = {
            "pickle": np.array([[Trap(cache / "sprung")] * 3] * 2),
            "other faces": np.zeros((2, 4), np.int64),
            "other numbers": np.zeros((2, 3), np.float64),
            "other name": np.stack([first.exact, first.near]),
        }[damage]
        name = "other" if damage == "other name" else "groups"
        np.savez(path, allow_pickle=True, **{name: content})
    np.testing.assert_array_equal(find_duplicates(faces).near, first.near)
    np.testing.assert_array_equal(np.load(path)["groups"], np.stack([first.exact, first.near]))
    (line,) = caplog.messages
    assert line == f"The duplicates in {path} are damaged; finding them again"
    assert not (cache / "sprung").exists()
