"""What a folder of photographs holds, found without opening a picture."""

from pathlib import Path

import pytest

from fer_lit.errors import ConfigError
from fer_lit.faces.listing import list_photographs

CLASSES = ("angry", "happy", "neutral")


def touch(root: Path, *names: str, content: bytes = b"not looked at") -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def rows(listing) -> list[tuple[str, int, str]]:
    return [(p.name, p.label, p.part) for p in listing.photographs]


def test_folders_without_parts(tmp_path):
    touch(tmp_path, "happy/b.jpg", "happy/a.png", "angry/z.jpeg", "neutral/n.jpg", "fear/f.jpg")
    assert rows(list_photographs(tmp_path, CLASSES)) == [
        ("angry/z.jpeg", 0, ""),
        ("happy/a.png", 1, ""),
        ("happy/b.jpg", 1, ""),
        ("neutral/n.jpg", 2, ""),
    ]


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("validation", "validation"),
        ("val", "validation"),
        ("valid", "validation"),
        ("PublicTest", "validation"),
        ("PrivateTest", "test"),
        ("test", "test"),
        ("images/train/batch1", "train"),
        ("test/train", "train"),
        ("somewhere", ""),
    ],
)
def test_the_part_is_the_nearest_folder_called_like_one(tmp_path, folder, part):
    touch(tmp_path, f"{folder}/happy/1.jpg")
    assert rows(list_photographs(tmp_path, ["happy"])) == [(f"{folder}/happy/1.jpg", 0, part)]


def test_labels_follow_the_order_of_the_classes_and_case_does_not_matter(tmp_path):
    touch(tmp_path, "Happy/1.JPG", "ANGRY/2.Png")
    assert rows(list_photographs(tmp_path, ["happy", "Angry"])) == [
        ("ANGRY/2.Png", 1, ""),
        ("Happy/1.JPG", 0, ""),
    ]


def test_other_and_hidden_files_are_ignored(tmp_path):
    touch(tmp_path, "happy/1.jpg", "happy/._1.jpg", "happy/notes.txt", ".trash/happy/2.jpg")
    touch(tmp_path, "__MACOSX/happy/1.jpg", "loose.jpg", "happy/deeper/3.jpg")
    (tmp_path / "happy/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert rows(list_photographs(tmp_path, ["happy"])) == [("happy/1.jpg", 0, "")]


def test_links_are_followed_and_loops_end(tmp_path):
    touch(tmp_path, "elsewhere/1.jpg", "root/happy/2.jpg")
    (tmp_path / "root/angry").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "root/loop").symlink_to(tmp_path / "root", target_is_directory=True)
    listing = list_photographs(tmp_path / "root", ["angry", "happy"])
    assert rows(listing) == [("angry/1.jpg", 0, ""), ("happy/2.jpg", 1, "")]


@pytest.mark.parametrize("root", [".", "images"])
def test_the_second_copy_in_the_kaggle_download_is_left_out(tmp_path, root):
    touch(tmp_path, "images/train/happy/1.jpg", "images/validation/happy/2.jpg")
    touch(tmp_path, "images/images/train/happy/1.jpg", "images/images/validation/happy/2.jpg")
    touch(tmp_path, "images/images/train/happy/only_here.jpg")
    touch(tmp_path, "images/train/happy/other.jpg", content=b"one")
    touch(tmp_path, "images/images/train/happy/other.jpg", content=b"another")
    listing = list_photographs(tmp_path / root, ["happy"])
    assert sorted(name.split("images/")[-1] for name, _, _ in rows(listing)) == [
        "train/happy/1.jpg",
        "train/happy/only_here.jpg",
        "train/happy/other.jpg",
        "train/happy/other.jpg",
        "validation/happy/2.jpg",
    ]
    assert listing.copies == 2


def test_a_class_without_photographs_is_named_with_what_is_there(tmp_path):
    touch(tmp_path, "happy/1.jpg", "happy/2.jpg", "angry/1.jpg")
    message = r"data\.classes: .*'hapy' \(did you mean happy\?\).*there are angry 1, happy 2$"
    with pytest.raises(ConfigError, match=message):
        list_photographs(tmp_path, ["angry", "hapy"])


def test_many_other_classes_are_not_all_named(tmp_path):
    touch(tmp_path, *(f"person{i:02}/1.jpg" for i in range(15)))
    with pytest.raises(ConfigError, match=r"person11 1 and 3 more$"):
        list_photographs(tmp_path, CLASSES)


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.root=faces: no such folder.*looked for"):
        list_photographs(tmp_path / "faces", CLASSES, "data.root=faces")


def test_a_root_without_photographs_says_what_was_looked_for_and_found(tmp_path):
    with pytest.raises(ConfigError, match=r"looked for .*angry, happy, neutral.*no files at all"):
        list_photographs(tmp_path, CLASSES)
    touch(tmp_path, "archive.zip", "happy/1.gif", "2.gif", "loose.jpg", "README")
    found = r"found 5 other files \(2 \.gif, 1 [^,]+, 1 [^,]+, 1 [^,]+\)"
    with pytest.raises(ConfigError, match=found):
        list_photographs(tmp_path, CLASSES)


def test_a_root_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def denied(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("os.scandir", denied)
    with pytest.raises(ConfigError, match=r"cannot be read .*Permission denied"):
        list_photographs(tmp_path, CLASSES)


def test_csv_in_the_folder_or_given_itself(tmp_path):
    touch(tmp_path, "a/icml_face_data.csv", "fer2013.csv", "b.csv")
    assert list_photographs(tmp_path, CLASSES).csv == tmp_path / "fer2013.csv"
    assert list_photographs(tmp_path / "a", CLASSES).csv == tmp_path / "a/icml_face_data.csv"
    given = list_photographs(tmp_path / "b.csv", CLASSES)
    assert (given.csv, given.root) == (tmp_path / "b.csv", tmp_path)


def test_pictures_come_before_a_csv(tmp_path):
    touch(tmp_path, "fer2013.csv", "happy/1.jpg")
    listing = list_photographs(tmp_path, ["happy"])
    assert listing.csv is None
    assert len(listing.photographs) == 1


def test_the_csv_has_seven_emotions(tmp_path):
    touch(tmp_path, "fer2013.csv")
    with pytest.raises(ConfigError, match=r"data\.classes: .*'calm'.*there are angry, disgust, fe"):
        list_photographs(tmp_path, ["happy", "calm"])


def test_a_file_that_is_no_csv(tmp_path):
    touch(tmp_path, "faces.zip")
    with pytest.raises(ConfigError, match="neither a folder nor a CSV file"):
        list_photographs(tmp_path / "faces.zip", CLASSES)


def test_the_real_photographs(shared):
    listing = list_photographs(shared / "data/fer2013", CLASSES)
    counts = {
        (part, CLASSES[label]): sum((p.part, p.label) == (part, label) for p in listing.photographs)
        for part in ("train", "validation")
        for label in range(3)
    }
    assert counts == {
        ("train", "angry"): 3995,
        ("train", "happy"): 7215,
        ("train", "neutral"): 4965,
        ("validation", "angry"): 467,
        ("validation", "happy"): 895,
        ("validation", "neutral"): 607,
    }
    assert listing.copies == 0
