"""The cache is listed and cleared, and what killed processes left in it goes away."""

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from fer_lit.cache.__main__ import cached_items, main
from fer_lit.cache.leftovers import remove_leftovers
from fer_lit.files import write_json

DAY = 24 * 60 * 60


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache as a sweep leaves it, not used for ten days."""
    for name, height in (("whole", 0), ("mouth", 10)):
        folder = tmp_path / "features" / name
        folder.mkdir(parents=True)
        occlusion = {"top": 30 * (height > 0), "height": height, "fill": "noise"}
        key = {"occlusion": occlusion, "augmentation": None}
        write_json(folder / "key.json", key | {"image_size": 64, "arithmetic": "bfloat16"})
        (folder / "view0_maxpool1_8.features.npy").write_bytes(bytes(700_000))
        (folder / "lock").touch()
    (tmp_path / "duplicates").mkdir()
    (tmp_path / "duplicates" / "abc_1.npz").write_bytes(bytes(9_000))
    for path in tmp_path.rglob("*"):
        age(path, 10)
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def test_the_cache_is_listed(cache, capsys):
    main([])
    lines = capsys.readouterr().out.splitlines()
    used = time.strftime("%Y-%m-%d", time.localtime(time.time() - 10 * DAY))
    for what in (
        "groups of duplicates",
        "features of whole faces, faces as they are, 64 pixels",
        "features of rows 30–39 under noise, faces as they are, 64 pixels",
    ):
        (line,) = [line for line in lines if what in line]
        assert line.strip().endswith(used) and " MB " in line
    assert lines[-1].startswith("3 items, ") and str(cache) in lines[-1]


def test_what_was_not_used_for_long_is_deleted(cache, capsys):
    (recent,) = (item.path for item in cached_items(cache) if "whole" in item.what)
    age(next(recent.glob("*.features.npy")), 3)
    main(["--delete", "1w"])
    assert [item.path for item in cached_items(cache)] == [recent]
    assert capsys.readouterr().out.endswith(" MB deleted\n")
    weights, others = cache / "weights" / "mine.safetensors", cache / "projects" / "mine.py"
    for path in (weights, others):  # as where FER_LIT_CACHE is not a folder of its own
        path.parent.mkdir()
        path.touch()
    main(["--delete", "0d"])
    assert [item.what for item in cached_items(cache)] == ["weights of mine.safetensors"]
    assert weights.exists() and others.exists()


def test_what_is_being_filled_is_kept(cache, capsys):
    (busy,) = (item.path for item in cached_items(cache) if "whole" in item.what)
    with FileLock(busy / "lock"):
        main(["--delete", "1h"])
    assert [item.path for item in cached_items(cache)] == [busy]
    assert "Kept, since a process is filling it: features of whole faces" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["30", "x", "-1d", "d"])
def test_a_time_that_is_none_is_an_error(text, cache, capsys):
    with pytest.raises(SystemExit) as caught:
        main([f"--delete={text}"])
    assert caught.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith(f"argument --delete: {text!r} is no time such as 12h, 30d or 4w")
    assert len(cached_items(cache)) == 3


def test_what_killed_processes_left_a_day_ago_is_removed(tmp_path):
    aside = ".0123456789abcdef.pixels.npy"
    left = [tmp_path / "faces" / aside, tmp_path / "features" / "key" / aside]
    left += [tmp_path / "faces" / "a.lock"]
    new = tmp_path / "faces" / ".fedcba9876543210.new.npy"
    own = [tmp_path / "project" / "poetry.lock", tmp_path / "faces" / ".mine"]
    held = tmp_path / "features" / "key" / "lock"
    for path in (*left, *own, new, held):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
        age(path, 0.5 if path == new else 2)
    (tmp_path / "faces" / "b.partial").mkdir()
    age(tmp_path / "faces" / "b.partial", 2)
    with FileLock(held):
        age(held, 2)
        remove_leftovers(tmp_path)
    kept = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert kept == {new, *own, held}
    assert not (tmp_path / "faces" / "b.partial").exists()
