"""What is typed by mistake: one line that names it and the fix, before anything runs."""

import os
import subprocess
import sys

import pytest
from helpers.command import CONF, ROOT, offline
from hydra import initialize_config_dir

from fer_lit.cli import analyze, train
from fer_lit.errors import ConfigError

TRAIN = [
    ("data.root=5", "data.root=5: must be a folder or a CSV file"),
    ("data.root=[a,b]", "data.root=[a, b]: must be a folder or a CSV file"),
    ("data.root=", "data.root=: must be a folder or a CSV file"),
    ("data.image_size=100000", "data.image_size=100000: must be a whole number of at least 32, at"),
    ("data.batch_size=9999999999", "data.batch_size=9999999999: must be a whole number of at"),
    ("model.hidden=1000000000", "model.hidden=1000000000: must be a number of units from"),
    ("data.classes={a: 1}", "data.classes={a:1}: the value does not fit"),
    ("data.split=5", "data.split=5: must be options with values of their own"),
    ("features=1", "features=1: must be options with values of their own"),
    ("trainer=5", "trainer=5: must be one of default"),
    ("experiment=", "experiment=: must be one of band_map, demo, finetune, multiscale"),
    ("data=", "data=: must be one of fer2013, synthetic"),
    ("~seed", "~seed=null: options are written name=value, and none can be taken away"),
    ("~data.classes", "~data.classes=null: options are written name=value, and none"),
    ("~model", "~model=null: options are written name=value, and none"),
    ("=1", "=1: options are written name=value"),
    ("+foo=1", "+foo=1: there is no option 'foo'"),
    (
        "+model.drop=1",
        "+model.drop=1: there is no option 'model.drop'; did you mean 'model.dropout'?",
    ),
    ("++sede=1", "++sede=1: there is no option 'sede'; did you mean 'seed'?"),
]
ANALYZE = [
    ("sweep=", "sweep=: must be a folder, or several: sweep=[A,B]"),
    ("sweep=[A,'']", "sweep=[A, ]: must be a folder, or several: sweep=[A,B]"),
    ("layer=5", "layer=5: must be the name of a block"),
    ("data.root=", "data.root=: must be a folder or a CSV file"),
    ("~samples", "~samples: options are written name=value, and none can be taken away"),
    ("+sample=9", "+sample=9: there is no option 'sample'; did you mean 'samples'?"),
]
CASES = [(train, *case) for case in TRAIN] + [(analyze, *case) for case in ANALYZE]


@pytest.mark.parametrize(
    ("program", "argument", "message"), CASES, ids=lambda value: str(value)[:40]
)
def test_a_mistake_is_one_line(program, argument, message, monkeypatch):
    monkeypatch.setattr(train, "_have_faces", lambda configs: pytest.fail("it went on"))
    with (
        initialize_config_dir(str(CONF), version_base="1.3"),
        pytest.raises(ConfigError) as caught,
    ):
        program.checked([argument])
    (line,) = str(caught.value).splitlines()
    assert line.startswith(message)


@pytest.mark.parametrize(
    "argument",
    ["+trainer.limit_val_batches=1", "+model.head.own=1", "++seed=1", "hydra.verbose=true"],
)
def test_what_lightning_hydra_or_a_class_of_ones_own_takes_may_be_added(argument, monkeypatch):
    monkeypatch.setattr(train, "_have_faces", lambda configs: True)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        if "own" in argument:  # which Perceptron does not take
            with pytest.raises(ConfigError, match="unexpected keyword argument 'own'"):
                train.checked([argument])
        else:
            assert train.checked([argument]) == [argument]


def test_an_output_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    command = [sys.executable, str(ROOT / "train.py"), "experiment=demo", "output=file"]
    options = {"cwd": tmp_path, "env": offline(tmp_path), "capture_output": True, "text": True}
    done = subprocess.run(command, **options)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("train.py: output: file/runs/")
    assert line.endswith("cannot be created (Not a directory); name a folder to write to")


@pytest.mark.skipif(os.name != "posix", reason="needs a shell with pipes")
def test_a_reader_that_leaves_is_no_error(tmp_path):
    command = f"{sys.executable} {ROOT / 'train.py'} --help | head -n 1"
    options = {"cwd": tmp_path, "env": offline(tmp_path), "capture_output": True, "text": True}
    done = subprocess.run(command, shell=True, **options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Which part of a face")
