"""Where the photographs come from, and in which order the places are tried."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import kagglehub
import pytest
import requests

from fer_lit.errors import ConfigError
from fer_lit.faces.photographs import DATASET, locate_photographs

CLASSES = ("angry", "happy")


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """An empty working folder, an empty cache, and no network."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FER2013_ROOT", raising=False)
    monkeypatch.delenv("KAGGLEHUB_CACHE", raising=False)

    def unreachable(*args, **kwargs):
        raise requests.ConnectionError("a long story\nin two lines")

    monkeypatch.setattr(requests, "head", unreachable)
    monkeypatch.setattr(kagglehub, "dataset_download", unreachable)


def fill(root: Path) -> Path:
    for emotion in CLASSES:
        (root / emotion).mkdir(parents=True)
        (root / emotion / "1.jpg").touch()
    return root


def test_the_order(tmp_path, monkeypatch):
    working = fill(Path("data/fer2013").absolute())
    assert locate_photographs(None, CLASSES, download=True) == working
    variable = fill(tmp_path / "variable")
    monkeypatch.setenv("FER2013_ROOT", str(variable))
    assert locate_photographs(None, CLASSES, download=True) == variable
    root = fill(tmp_path / "root")
    assert locate_photographs(str(root), CLASSES, download=True) == root


def test_a_relative_root_is_made_absolute():
    fill(Path("faces"))
    assert locate_photographs("faces", CLASSES, download=False) == Path("faces").absolute()


def test_a_named_root_without_faces_is_an_error_whatever_else_is_there(tmp_path, monkeypatch):
    fill(Path("data/fer2013"))
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("FER2013_ROOT", str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match=r"^FER2013_ROOT=.*empty: .*looked for.*no files at all"):
        locate_photographs(None, CLASSES, download=True)
    with pytest.raises(ConfigError, match=r"^data\.root=nosuch: no such folder"):
        locate_photographs("nosuch", CLASSES, download=True)


def test_an_empty_data_fer2013_is_an_error():
    Path("data/fer2013").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"^data/fer2013 \(.*\): no photographs"):
        locate_photographs(None, CLASSES, download=True)


def test_an_empty_variable_names_nothing(monkeypatch):
    monkeypatch.setenv("FER2013_ROOT", "")
    assert locate_photographs(None, CLASSES, download=False) is None


def test_nothing_and_no_download(caplog):
    assert locate_photographs(None, CLASSES, download=False) is None
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert caplog.text.rstrip().endswith("data/fer2013 does not exist, and data.download=false")


def test_an_unreachable_kaggle_is_one_short_line(caplog):
    assert locate_photographs(None, CLASSES, download=True) is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    message = record.getMessage()
    assert message.endswith("Kaggle failed (ConnectionError: api.kaggle.com cannot be reached)")


def test_a_failing_download_is_one_short_line(monkeypatch, caplog):
    def fails(handle):
        raise RuntimeError("line one\nline two " + "x" * 1000)

    monkeypatch.setattr(requests, "head", lambda *args, **kwargs: None)
    monkeypatch.setattr(kagglehub, "dataset_download", fails)
    assert locate_photographs(None, CLASSES, download=True) is None
    message = caplog.records[-1].getMessage()
    assert "RuntimeError: line one line two xxx" in message
    assert len(message) < 350
    assert "\n" not in message


def test_the_download_is_announced_bounded_and_below_our_cache(tmp_path, monkeypatch, caplog):
    asked = {}

    def download(handle):
        asked["handle"] = handle
        folder = Path(os.environ["KAGGLEHUB_CACHE"], "datasets", DATASET, "versions/1")
        return str(fill(folder / "images/train").parents[1])

    monkeypatch.setattr(requests, "head", lambda url, timeout: asked.update(timeout=timeout))
    monkeypatch.setattr(kagglehub, "dataset_download", download)
    with caplog.at_level(logging.INFO):
        found = locate_photographs(None, CLASSES, download=True)
    assert found == tmp_path / "cache/kagglehub/datasets" / DATASET / "versions/1"
    assert asked == {"handle": f"{DATASET}/versions/1", "timeout": 5}
    assert f"{DATASET} (about 120 MB) from Kaggle" in caplog.text
    assert "KAGGLEHUB_CACHE" not in os.environ


@pytest.mark.parametrize("download", [True, False])
def test_an_earlier_download_needs_no_network(tmp_path, monkeypatch, download):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "mine"))
    folder = fill(tmp_path / "mine/datasets" / DATASET / "versions/1")
    assert locate_photographs(None, CLASSES, download) is None, "it is not marked as complete"
    (tmp_path / "mine/datasets" / DATASET / "1.complete").touch()
    assert locate_photographs(None, CLASSES, download) == folder
    assert kagglehub.cache.Cache().load_from_cache(
        kagglehub.handle.parse_dataset_handle(f"{DATASET}/versions/1")
    ) == str(folder), "where kagglehub itself looks"


def test_a_class_that_the_download_has_not_is_an_error(tmp_path):
    versions = tmp_path / "cache/kagglehub/datasets" / DATASET
    fill(versions / "versions/1")
    (versions / "1.complete").touch()
    with pytest.raises(ConfigError, match=r"data\.classes: .*'calm' in the download of"):
        locate_photographs(None, ["angry", "calm"], download=False)


def test_nothing_heavy_is_imported():
    code = (
        "import sys, fer_lit.faces.photographs\n"
        "print(sorted({'torch', 'PIL', 'kagglehub', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
