"""What the cache holds is damaged: that is noticed, named, and made again.

68 kinds: everything in `helpers.damage` to each file, and what leaves a file that can be read.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import damage
from helpers.backbones import build_backbone
from helpers.copies import CLASSES, photograph
from PIL import Image

from fer_lit.faces.augmentation import Augmentation
from fer_lit.faces.decoding import load_photographs
from fer_lit.faces.duplicates import find_duplicates
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank.bank import FeatureBank
from fer_lit.networks.reader import FrozenReader

FACES = np.arange(9)


@pytest.fixture(scope="module")
def backbone():
    return build_backbone("googlenet_caffe", None)


@pytest.fixture(scope="module")
def original(tmp_path_factory, backbone):
    """A folder of photographs and the cache that a job leaves, and what the job reads from it."""
    folder = tmp_path_factory.mktemp("original")
    for number in FACES:
        place = folder / "photographs" / CLASSES[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(number)).save(place / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_LIT_CACHE", str(folder / "cache"))
        return folder, job(folder / "photographs", backbone)


@pytest.fixture
def cache(original, tmp_path, monkeypatch):
    """A copy of the cache."""
    shutil.copytree(original[0] / "cache", tmp_path / "cache")
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def job(photographs: Path, backbone) -> dict[str, np.ndarray]:
    """Do what a job does with the cache, and return all that it reads from it."""
    faces = load_photographs(photographs, CLASSES, "error")
    duplicates = find_duplicates(faces)
    augmentation = Augmentation(flip=0.5, translate=30, scale=(0.9, 1.1), seed=0)
    views = FaceViews(faces.pixels, augmentation, 32)
    reader = FrozenReader(backbone, {"maxpool1": 2}, torch.float32, torch.device("cpu"), 32)
    bank = FeatureBank(views, {"data": faces.fingerprint}, reader)
    wanted = {0: FACES, 1: FACES[:6]}
    bank.fill(wanted)
    return {
        "pixels": faces.pixels,
        "labels": faces.labels,
        "names": np.array(faces.names),
        "exact": duplicates.exact,
        "near": duplicates.near,
        **{f"view {k}": bank.read(torch.from_numpy(f), k)["maxpool1"] for k, f in wanted.items()},
    }


def array(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Return a damage that leaves a file of numpy's."""
    return lambda path: np.save(path, change(np.load(path)))


def without_checksums(then: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return a damage to features that an earlier version kept, which had no checksums."""

    def earlier(path: Path) -> None:
        for checksums in path.parent.glob("*.checksums.npy"):
            checksums.unlink()
        then(path)

    return earlier


def with_nan(values: np.ndarray) -> np.ndarray:
    values[4, 7] = np.nan
    return values


FILES = ["features/*/view0*.features.npy", "features/*/view0*.present.npy"]
FILES += ["features/*/view1*.checksums.npy", "faces/*/pixels.npy", "faces/*/faces.json"]
FILES += ["duplicates/*.npz"]
READABLE = {
    "NaN": (FILES[0], array(with_nan)),
    "another type": (FILES[0], array(lambda values: values.astype("int16"))),
    "another shape": (FILES[0], array(lambda values: values.reshape(9, -1))),
    "fewer faces": (FILES[0], array(lambda values: values[:-1])),
    "another order": (FILES[0], array(lambda values: values[::-1].copy())),
    "another view": (
        FILES[0],
        lambda path: damage.replaced(path, next(path.parents[1].glob("*/view1*.features.npy"))),
    ),
    "present that is not": ("features/*/view1*.present.npy", array(np.ones_like)),
    "present, but not quite": (FILES[1], array(lambda values: values.view("uint8") * 3)),
    "other pixels": (FILES[3], array(lambda values: 255 - values)),
    "earlier, deleted": (FILES[0], without_checksums(damage.deleted)),
    "earlier, NaN": (FILES[0], without_checksums(array(with_nan))),
    "earlier, zeros": (FILES[0], without_checksums(array(np.zeros_like))),
    "other key": ("features/*/key.json", damage.garbage),
    "no key": ("features/*/key.json", damage.deleted),
}
CASES = [(pattern, harm) for pattern in FILES for harm in damage.KINDS.values()]
NAMES = [f"{pattern} {kind}" for pattern in FILES for kind in damage.KINDS]

HARMLESS = {
    (FILES[1], damage.flipped),  # a face that is not said to be present is computed again
    (FILES[2], damage.deleted),  # as in an earlier version
    (FILES[2], damage.flipped),  # of a face that is not present in view 1
    READABLE["present that is not"],  # and is not wanted
    (FILES[5], damage.deleted),
    *((pattern, damage.appended) for pattern in FILES),  # after the end of an array
    *((pattern, harm) for pattern, harm in READABLE.values() if pattern.endswith("key.json")),
}


@pytest.mark.parametrize(("pattern", "harm"), [*CASES, *READABLE.values()], ids=[*NAMES, *READABLE])
def test_a_damaged_file_is_made_again(pattern, harm, original, cache, backbone, caplog):
    folder, wanted = original
    for path in cache.glob(pattern):
        before = path.read_bytes()
        harm(path)
        assert not path.is_file() or path.read_bytes() != before, "nothing was damaged"
    found = job(folder / "photographs", backbone)
    for what, values in wanted.items():
        np.testing.assert_array_equal(found[what], values, err_msg=what)
    for path in cache.rglob("*.npy"):
        assert path.is_file()
    named = any("damaged" in line for line in caplog.messages)
    assert named or (pattern, harm) in HARMLESS
    caplog.clear()
    job(folder / "photographs", backbone)
    assert not [line for line in caplog.messages if "damaged" in line], "it was not mended"


def test_features_without_checksums_get_them_and_are_not_computed_again(
    original, cache, backbone, caplog
):
    kept = {path.relative_to(cache): path.read_bytes() for path in cache.rglob("*.*")}
    for path in cache.rglob("*.checksums.npy"):
        path.unlink()
    with caplog.at_level("INFO"):
        job(original[0] / "photographs", backbone)
    assert "15 of 15 views of faces found, 0 to compute" in caplog.text
    assert {path.relative_to(cache): path.read_bytes() for path in cache.rglob("*.*")} == kept


def test_a_face_that_is_damaged_is_the_only_one_to_be_computed(original, cache, backbone, caplog):
    damage.flipped(next(cache.glob(FILES[0])))
    with caplog.at_level("INFO"):
        job(original[0] / "photographs", backbone)
    assert "view 0 of maxpool1: 1 faces are damaged; computing them again" in caplog.text
    assert "14 of 15 views of faces found, 1 to compute" in caplog.text
