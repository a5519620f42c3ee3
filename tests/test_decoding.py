"""Photographs to a FaceSet: decoded once, kept in the cache, never half-written."""

import json
import logging
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lit.errors import ConfigError
from fer_lit.faces import decoding, pictures
from fer_lit.faces.decoding import load_photographs

CLASSES = ("angry", "happy")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/faces"


@pytest.fixture
def root(tmp_path) -> Path:
    """Six different faces, three an emotion, in two parts."""
    for label, emotion in enumerate(CLASSES):
        for i, part in enumerate(("train", "train", "validation")):
            save(tmp_path / "faces", f"{part}/{emotion}/{i}.png", 10 * label + i)
    return tmp_path / "faces"


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The names of the files that are decoded, in no order."""
    names = []
    original = pictures.decode

    def count(file):
        names.append(file.name)
        return original(file)

    monkeypatch.setattr(pictures, "decode", count)
    return names


def face(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


def save(root: Path, name: str, seed: int) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(face(seed)).save(root / name)


def test_the_faces(root):
    faces = load_photographs(root, CLASSES, "error")
    assert faces.names == (
        "train/angry/0.png",
        "train/angry/1.png",
        "train/happy/0.png",
        "train/happy/1.png",
        "validation/angry/2.png",
        "validation/happy/2.png",
    )
    assert faces.parts == ("train",) * 4 + ("validation",) * 2
    assert faces.labels.dtype == np.int64
    assert faces.labels.tolist() == [0, 0, 1, 1, 0, 1]
    assert np.array_equal(faces.pixels, [face(i) for i in (0, 1, 10, 11, 2, 12)])
    assert faces.pixels.dtype == np.uint8
    assert isinstance(faces.pixels, np.memmap)
    assert not faces.pixels.flags.writeable
    assert (faces.classes, faces.origin, faces.source) == (CLASSES, "photographs", str(root))


def test_the_order_is_that_of_the_names_with_many_chunks(root, monkeypatch):
    expected = load_photographs(root, CLASSES, "error")
    monkeypatch.setattr(pictures, "CHUNK", 2)
    monkeypatch.setattr(decoding, "FORMAT", -1)
    again = load_photographs(root, CLASSES, "error")
    assert again.fingerprint == expected.fingerprint


def test_files_are_decoded_once(root, decoded):
    first = load_photographs(root, CLASSES, "error")
    assert len(decoded) == 6
    second = load_photographs(root, CLASSES, "error")
    assert len(decoded) == 6
    assert second.fingerprint == first.fingerprint


def add(root: Path) -> None:
    save(root, "train/happy/new.png", 99)


def remove(root: Path) -> None:
    (root / "train/happy/0.png").unlink()


def replace_at_the_same_size(root: Path) -> None:
    file = root / "train/happy/0.png"
    before = file.stat()
    Image.fromarray(face(99)).save(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def rename(root: Path) -> None:
    (root / "train/happy/0.png").rename(root / "train/happy/9.png")


@pytest.mark.parametrize("change", [add, remove, replace_at_the_same_size, rename])
def test_a_change_in_the_folder_is_noticed(root, decoded, change):
    before = load_photographs(root, CLASSES, "error")
    change(root)
    after = load_photographs(root, CLASSES, "error")
    assert after.fingerprint != before.fingerprint
    assert len(decoded) == 6 + len(after)


def test_other_classes_are_other_faces(root, decoded):
    assert load_photographs(root, ("happy", "angry"), "error").labels.tolist() == [1, 1, 0, 0, 1, 0]
    assert load_photographs(root, CLASSES, "error").labels.tolist() == [0, 0, 1, 1, 0, 1]
    assert len(load_photographs(root, ("happy",), "error")) == 3


def truncate(folder: Path) -> None:
    with (folder / "pixels.npy").open("r+b") as file:
        file.truncate(5000)


def empty(folder: Path) -> None:
    (folder / "pixels.npy").write_bytes(b"")


def truncate_record(folder: Path) -> None:
    text = (folder / "faces.json").read_text()
    (folder / "faces.json").write_text(text[: len(text) // 2])


def lose_a_key(folder: Path) -> None:
    kept = json.loads((folder / "faces.json").read_text())
    (folder / "faces.json").write_text(json.dumps(kept | {"report": {}} | {"names": []}))


def lose_a_file(folder: Path) -> None:
    (folder / "pixels.npy").unlink()


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "pixels.npy").read_bytes())
    content[-100] ^= 1
    (folder / "pixels.npy").write_bytes(content)


def exchange_labels(folder: Path) -> None:
    kept = json.loads((folder / "faces.json").read_text())
    kept["labels"][0], kept["labels"][-1] = kept["labels"][-1], kept["labels"][0]
    (folder / "faces.json").write_text(json.dumps(kept))


def change_a_part(folder: Path) -> None:
    kept = json.loads((folder / "faces.json").read_text())
    kept["parts"][0] = "test"
    (folder / "faces.json").write_text(json.dumps(kept))


def write_numbers_for_names(folder: Path) -> None:
    kept = json.loads((folder / "faces.json").read_text())
    (folder / "faces.json").write_text(json.dumps(kept | {"parts": list(range(12))}))


DAMAGE = [
    *(truncate, empty, truncate_record, lose_a_key, lose_a_file),
    *(flip_a_bit, exchange_labels, change_a_part, write_numbers_for_names),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed_and_mended(root, cache, decoded, damage, caplog):
    before = load_photographs(root, CLASSES, "error").fingerprint
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    damage(folder)
    assert load_photographs(root, CLASSES, "error").fingerprint == before
    assert len(decoded) == 12
    assert f"The decoded faces in {folder} are damaged; decoding them again" in caplog.messages
    load_photographs(root, CLASSES, "error")
    assert len(decoded) == 12


def test_an_interrupted_write_leaves_nothing(root, cache, monkeypatch):
    def interrupted(file, array):
        Path(file).write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_photographs(root, CLASSES, "error")
    assert not [path for path in cache.iterdir() if path.is_dir()]
    assert len(load_photographs(root, CLASSES, "error")) == 6


def test_what_a_killed_process_left_is_replaced(root, cache):
    load_photographs(root, CLASSES, "error")
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    (folder / "faces.json").unlink()
    folder.rename(folder.with_suffix(".partial"))
    assert len(load_photographs(root, CLASSES, "error")) == 6
    assert [path for path in cache.iterdir() if path.is_dir()] == [folder]


def load_slowly(root: Path, cache: Path, log: Path) -> None:
    os.environ["FER_LIT_CACHE"] = str(cache)
    original = pictures.decode

    def slow(file):
        with log.open("a") as lines:
            lines.write(f"{os.getpid()}\n")
        time.sleep(0.05)
        return original(file)

    pictures.decode = slow
    assert len(load_photographs(root, CLASSES, "error")) == 6


def test_two_processes_decode_once(root, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    log = tmp_path / "decoded.txt"
    both = [
        spawn.Process(target=load_slowly, args=(root, tmp_path / "cache", log)) for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert len(log.read_text().split()) == 6


@pytest.mark.parametrize("content", [b"", b"no picture", "truncated"])
def test_a_broken_picture_is_named(root, content):
    file = root / "train/happy/broken.png"
    whole = (root / "train/happy/0.png").read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content == "truncated" else content)
    with pytest.raises(ConfigError, match=r"data\.on_bad_image=skip") as caught:
        load_photographs(root, CLASSES, "error")
    message = str(caught.value)
    assert message.startswith(f"{file}: cannot be decoded (")
    assert message.count(str(file)) == 1
    assert "\n" not in message


def test_skipped_pictures_are_counted_and_named_each_time(root, caplog):
    for i in range(5):
        (root / f"train/happy/broken{i}.png").write_bytes(b"no picture")
    for _ in range(2):
        caplog.clear()
        faces = load_photographs(root, CLASSES, "skip")
        assert len(faces) == 6
        (record,) = (r for r in caplog.records if r.levelno == logging.WARNING)
        first = ", ".join(f"train/happy/broken{i}.png" for i in range(3))
        assert record.getMessage().startswith("5 broken pictures left out")
        assert record.getMessage().endswith(f": {first}, …")


def test_skipping_does_not_hide_a_broken_picture_from_error(root):
    (root / "train/happy/broken.png").write_bytes(b"no picture")
    load_photographs(root, CLASSES, "skip")
    with pytest.raises(ConfigError, match="broken"):
        load_photographs(root, CLASSES, "error")


def test_a_class_of_which_all_are_broken_is_an_error(root):
    for file in root.glob("*/happy/*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=r"no photographs of 'happy' .*3 left out as broken"):
        load_photographs(root, CLASSES, "skip")


def test_everything_unusual_is_counted_also_from_the_cache(root, caplog):
    blank = Image.new("L", (48, 48), 9)
    blank.save(root / "train/happy/blank1.png")
    blank.save(root / "train/happy/blank2.png")
    Image.fromarray(face(0)).save(root / "train/happy/twin.png")
    Image.new("L", (1000, 60), 8).save(root / "train/happy/large.png")
    Image.fromarray(face(5)).convert("RGB").save(root / "train/happy/colour.png")
    for emotion in CLASSES:
        for file in root.glob(f"train/{emotion}/*.png"):
            nested = root / "train/train" / emotion / file.name
            nested.parent.mkdir(parents=True, exist_ok=True)
            nested.write_bytes(file.read_bytes())
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            load_photographs(root, CLASSES, "error")
    lines = [r.getMessage() for r in caplog.records if r.name == decoding.__name__]
    assert lines[:2] == [
        f"11 photographs from {root}: angry 3, happy 8; "
        "3 blank, 2 duplicates, 1 resized, 1 made grey",
        "9 second copies of photographs left out",
    ]
    assert lines[2:] == lines[:2]


def write_csv(file: Path, *rows: tuple[str, int]) -> Path:
    lines = [f"{code},{' '.join(map(str, face(seed).ravel()))},Training" for code, seed in rows]
    file.write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    return file


def test_csv(tmp_path, caplog):
    file = write_csv(tmp_path / "fer2013.csv", ("3", 1), ("5", 2), ("0", 3))
    with caplog.at_level(logging.INFO):
        faces = load_photographs(tmp_path, CLASSES, "error")
    assert (faces.names, faces.parts) == (("fer2013.csv:2", "fer2013.csv:4"), ("train", "train"))
    assert faces.labels.tolist() == [1, 0]
    assert np.array_equal(faces.pixels, [face(1), face(3)])
    assert f"2 photographs from {file}: angry 1, happy 1; 0 blank" in caplog.text
    assert load_photographs(file, CLASSES, "error").fingerprint == faces.fingerprint
    assert load_photographs(file, CLASSES[::-1], "error").labels.tolist() == [0, 1]


def test_a_changed_csv_is_noticed(tmp_path):
    file = write_csv(tmp_path / "fer2013.csv", ("3", 1), ("0", 3))
    assert len(load_photographs(file, CLASSES, "error")) == 2
    write_csv(file, ("3", 1), ("0", 3), ("0", 4))
    assert len(load_photographs(file, CLASSES, "error")) == 3


def test_a_bad_csv_row_is_named_or_skipped(tmp_path, caplog):
    file = write_csv(tmp_path / "fer2013.csv", ("3", 1), ("0", 3))
    with file.open("a") as lines:
        lines.write("3,1 2 3,Training\n")
    with pytest.raises(ConfigError, match=r"fer2013\.csv:4: cannot be decoded \(3 pixels"):
        load_photographs(file, CLASSES, "error")
    assert len(load_photographs(file, CLASSES, "skip")) == 2
    assert "1 broken pictures left out (data.on_bad_image=skip): fer2013.csv:4" in caplog.text


def test_a_class_that_no_csv_row_has(tmp_path):
    write_csv(tmp_path / "fer2013.csv", ("3", 1), ("3", 2))
    with pytest.raises(ConfigError, match=r"data\.classes: .*'angry' .*no row has its code"):
        load_photographs(tmp_path, CLASSES, "error")


def test_no_progress_bar_where_nobody_looks(root, capfd):
    load_photographs(root, CLASSES, "error")
    seen = capfd.readouterr()
    assert (seen.out.strip(), seen.err) == ("", "")
