"""What is wrong in options, files and the environment: one line that says so, and nothing is made.

625 mistakes, counted below so that none gets lost:

- 532 values of options: of the wrong type, empty, out of range, not finite, misspelt, or of a class
  that cannot be used;
- 58 mistakes in how options are typed, and 18 in flags, as the command lines read them;
- 17 in the environment and in files.

A dozen of all kinds also go through `train.py` and `analyze.py` themselves.
"""

import os
import subprocess
import sys
from copy import deepcopy
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from helpers import warm
from helpers.command import CONF, ROOT, offline
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from fer_lit import options
from fer_lit.cache import cache_folder
from fer_lit.cli import analyze, train
from fer_lit.cli.flags import read_flags
from fer_lit.cli.overrides import parse
from fer_lit.errors import ConfigError
from fer_lit.faces.decoding import load_photographs
from fer_lit.faces.photographs import locate_photographs
from fer_lit.runs.tracking import WandbTracker

# Values ----------------------------------------------------------------------------------------

NO_NUMBER = ["", "null", "abc", "true", "[]", "[1]", "{a: 1}", "nan", "inf", "-inf", "1e+300"]
SEED = "a whole number of at least 0, at most 4,294,967,295"
SHARE = "a number from 0 up to, but not, 1"
NUMBERS = [
    # option, what it must be, values besides those that are no (finite) number
    ("seed", SEED, ["-1", "1.5", "1000000000.0", "4294967296"]),
    (
        "data.image_size",
        "a whole number of at least 32, at most 2,048",
        ["0", "31", "2049"],
    ),
    ("data.batch_size", "a whole number of at least 2, at most 1,000,000", ["-2", "1", "1000001"]),
    ("data.split.validation", "a number between 0 and 1", ["-0.1", "0", "1", "30"]),
    ("data.split.test", SHARE, ["-0.1", "1", "20"]),
    ("features.views", "a whole number of at least 0, at most 1,000,000", ["-1", "1000001"]),
    ("model.lr", "a number above 0, at most 100", ["-1", "0", "101"]),
    ("model.lr_decay", "a number above 0, at most 1", ["-1", "0", "1.1"]),
    ("model.weight_decay", "a number from 0 to 1,000", ["-0.1", "1001"]),
    ("model.dropout", SHARE, ["-0.1", "1"]),
    ("model.label_smoothing", SHARE, ["-0.1", "1"]),
    ("model.hidden", "a number of units from 1 to 65,536, or null", ["-1", "0", "65537", "1.5"]),
    ("augmentation.flip", "a probability from 0 to 1", ["-0.1", "1.1"]),
    ("augmentation.translate", "a number from 0 to 224", ["-1", "225"]),
    ("augmentation.seed", SEED, ["-1", "0.5", "4294967296"]),
    ("occlusion.noise_seed", SEED, ["-1", "0.5", "4294967296"]),
    ("occlusion.top", "a whole number", ["1.5"]),
    ("occlusion.height", "a whole number", ["1.5"]),
    ("occlusion.left", "a whole number", ["1.5"]),
    ("occlusion.width", "a whole number", ["1.5"]),
    ("trainer.max_epochs", "a whole number of at least 1, at most 1,000,000", ["0", "1000001"]),
    ("data.count", "a whole number of at least 20, at most 1,000,000", ["-1", "19", "1000001"]),
    ("data.seed", SEED, ["-1", "0.5", "4294967296"]),
]
NUMBERS_OF_ANALYSES = [
    ("samples", "a whole number of at least 2, at most 1,000,000", ["-1", "0", "1", "1000001"]),
    ("seed", SEED, ["-1", "1.5", "4294967296"]),
    ("margin", "a number above 0, at most 100", ["-1", "0", "100.1"]),
]
RIGHT = {"model.hidden": ["null"], "features.views": ["[1]"]}  # of those that are no number

NO_TEXT = ["", "null", "5", "true", "[a]", "{a: 1}"]
FLAG = "true or false"
FOLDER = "a folder, without ~ for the home folder"
NAME = "of letters, digits, - and _, since it names "
SECTION = "options with values of their own"
TEXTS = [
    # option, how what it must be begins, values that are wrong
    ("recipe", f"{NAME}runs in tables", [*NO_TEXT, "a/b", "'a b'"]),
    ("occlusion.name", f"{NAME}folders", [*NO_TEXT, "a/b", "'$x'"]),
    ("data.name", f"{NAME}the data", ["", "null", "5", "[a]"]),
    ("model.network", f"{NAME}the network", ["", "null", "5", "[a]"]),
    (
        "logger.project",
        "a name of at most 128 characters",
        ["", "null", "5", "a/b", "'a#b'"],
    ),
    ("logger.entity", "the name of a W&B user or team, or null", ["", "5", "[a]", "a/b"]),
    ("data.root", "a folder or a CSV file", ["", "5", "[a, b]", "{a: 1}", "true", "1.5"]),
    ("output", FOLDER, ["", "' '", "null", "5", "[a]", "'~'", "'~/x'"]),
    ("data.download", FLAG, ["", "null", "perhaps", "1", "[true]"]),
    ("features.bank", FLAG, ["", "null", "on", "0", "[]"]),
    ("model.save_backbone", FLAG, ["", "null", "yes", "1", "[]"]),
    ("data.on_bad_image", "one of error, skip", ["", "null", "stop", "true", "[skip]"]),
    ("data.split.protocol", "one of paper, grouped, official", ["", "null", "mine", "1", "[]"]),
    ("occlusion.fill", "one of noise, black, gray, mean, blur", ["", "null", "grey", "0", "[]"]),
    ("model.optimizer", "one of adamw, sgd", ["", "null", "adam", "0", "[]"]),
    ("model.scheduler", "one of cosine, one_cycle, none", ["", "null", "step", "0", "[]"]),
    ("model.freeze", "one of all, stem, none", ["", "null", "some", "true", "[]"]),
    ("trainer.accelerator", "one of auto, cpu, gpu", ["", "null", "tpu", "1", "[]"]),
    ("trainer.devices", "one of 1", ["", "null", "0", "2", "auto", "true", "[1]"]),
    ("trainer.precision", "one of auto, 32, bf16-mixed, 16-mixed", ["", "null", "64", "[]"]),
]
TEXTS_OF_ANALYSES = [
    ("sweep", "a folder, or several: sweep=[A,B]", ["", "5", "[]", "[1]", "[A, null]", "{a: 1}"]),
    ("images", "a file, a folder or a glob", ["", "5", "[a]", "true"]),
    ("layer", "the name of a block", ["", "5", "[a]"]),
    ("weights", "a file of weights", ["", "5", "[a]"]),
    ("method", "one of auto, gradcam, gradcam++,", ["", "null", "gradcm", "1", "[gradcam]"]),
    ("target", "one of label, predicted", ["", "null", "labels", "1"]),
    ("score", "one of logit, probability", ["", "null", "logits", "1"]),
    ("colormap", "a colour map of matplotlib, such as jet", ["", "null", "jett", "1", "[jet]"]),
    ("band_map", FLAG, ["", "null", "on", "1"]),
    ("trust", FLAG, ["", "null", "on", "1"]),
]
EMOTIONS = "data.classes={}: must be a list of at least two different emotions"
UNCLEAR = [
    # what is typed, the beginning of what is said
    *(
        (f"data.classes={value}", EMOTIONS.format(value))
        for value in ("happy", "5", "null", "[]", "[happy]", "[happy, Happy]", "[happy, 5]")
    ),
    ("data.classes=[a, 'b/c']", EMOTIONS.format("[a, b/c]")),
    ("data.classes=[a, '']", EMOTIONS.format("[a, ]")),
    (
        "augmentation.scale=1.1",
        "augmentation.scale=1.1: must be [smallest, largest], both from",
    ),
    ("augmentation.scale=[1, inf]", "augmentation.scale=[1, inf]: must be [smallest, largest]"),
    ("augmentation.scale=[nan, 1]", "augmentation.scale=[nan, 1]: must be [smallest, largest]"),
    ("augmentation.scale=[1e-300, 1]", "augmentation.scale=[1e-300, 1]: must be [smallest, larg"),
    ("augmentation.scale=[2, 1]", "augmentation.scale=[2, 1]: must be [smallest, largest]"),
    ("features.test_views=[]", "features.test_views=[]: must be a list of one to three views"),
    ("features.test_views=0", "features.test_views=0: must be a list of one to three views"),
    ("features.test_views=[-1]", "features.test_views=[-1]: must be a list of one to three"),
    ("occlusion.top=-1", "occlusion.top=-1 occlusion.height=0: the band covers rows -1 to -2, but"),
    ("occlusion.height=49", "occlusion.top=0 occlusion.height=49: the band covers rows 0 to 48,"),
    ("occlusion.left=1000000000", "occlusion.left=1000000000 occlusion.width=48: the band covers"),
    ("model.taps=null", "model.taps=null: must be a list of at least one block"),
    ("model.taps=[null]", "model.taps: googlenet has no block 'None'"),
    ("model.taps=[conv1/x]", "model.taps: conv1/x is no tap; write block/grid"),
    ("model.weights=/no.pth", "model.weights=/no.pth: no such file; give a file of weights"),
    (
        "data.source.root=x",
        "data.source.root=x: is data.root, which is null; set that",
    ),
    ("data.source=abc", f"data.source=abc: must be {SECTION}"),
    ("model.head=null", f"model.head=null: must be {SECTION}"),
    ("model.backbone=5", f"model.backbone=5: must be {SECTION}"),
    ("logger.tracker=true", f"logger.tracker=true: must be {SECTION}, or null"),
    ("occlusion._target_=abc", "occlusion._target_=abc: Expected a callable target, got"),
    ("model.head._target_=no.Head", "model.head._target_=no.Head: Error loading 'no.Head'"),
    (
        "data.source={_target_: builtins.dict}",
        "data.source._target_=builtins.dict: what it makes has no 'is_there', so it cannot be",
    ),
]


def _written(table, others=()):
    return [
        (f"{option}={value}", f"{option}={value.strip(chr(39))}: must be {wanted}")
        for option, wanted, values in table
        for value in (*others, *values)
        if value not in RIGHT.get(option, ())
    ]


VALUES = [
    *(("config", *case) for case in _written(NUMBERS, NO_NUMBER)),
    *(("analyze", *case) for case in _written(NUMBERS_OF_ANALYSES, NO_NUMBER)),
    *(("config", *case) for case in _written(TEXTS)),
    *(("analyze", *case) for case in _written(TEXTS_OF_ANALYSES)),
    *(("config", *case) for case in UNCLEAR),
]
CHECKS = {"config": options.check, "analyze": analyze.check}


@cache
def _composed(config, *groups):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(config, list(groups))


@pytest.mark.parametrize(("config", "typed", "message"), VALUES)
def test_a_wrong_value_is_one_line(config, typed, message):
    drawn = typed.startswith(("data.count", "data.seed"))
    cfg = deepcopy(_composed(config, *(["data=synthetic"] if drawn else [])))
    (override,) = parse([typed])
    OmegaConf.update(cfg, override.key_or_group, override.value(), merge=False)
    with pytest.raises(ConfigError) as caught:
        CHECKS[config](cfg)
    _one_line(caught.value, message)


def _one_line(error, message):
    (line,) = str(error).splitlines()
    assert line.startswith(message)


# Ways to type ----------------------------------------------------------------------------------

CANNOT_BE_READ = "cannot be read; options are written name=value, and a value with special"
NO_SWEEP = "several values need -m (--multirun)"
TYPED = [
    # program, what is typed, the beginning of what is said
    *(
        (program, text, f"{text}: {CANNOT_BE_READ}")
        for program, text in [
            (train, "seed"),
            (train, "data.classes=[a"),
            (train, "data.classes='a"),
            (train, "data.root=ä"),
            (train, "{}"),
            (train, "seed=tag(a,1)"),
            (analyze, "sweep=[A"),
        ]
    ),
    (train, "=1", "=1: options are written name=value, and none can be taken away"),
    (train, "~seed", "~seed: options are written name=value, and none can be taken away"),
    (train, "~model", "~model: options are written name=value, and none can be"),
    (train, "data@x=fer2013", "data@x=fer2013: options are written name=value"),
    (analyze, "~samples", "~samples: options are written name=value, and none can be taken away"),
    (train, "sede=1", "sede=1: there is no option 'sede'; did you mean 'seed'?"),
    (train, "seed.x=1", "seed.x=1: there is no option 'seed.x'"),
    (train, "data.count=30", "data.count=30: there is no option 'data.count'"),
    (train, "+foo=1", "+foo=1: there is no option 'foo'"),
    (train, "++sede=1", "++sede=1: there is no option 'sede'; did you mean 'seed'?"),
    (train, "+model.drop=1", "+model.drop=1: there is no option 'model.drop'; did you mean 'mo"),
    (analyze, "sample=9", "sample=9: there is no option 'sample'; did you mean 'samples'?"),
    (analyze, "+sample=9", "+sample=9: there is no option 'sample'; did you mean 'samples'?"),
    (analyze, "data=fer2013", "data=fer2013: the value does not fit; --cfg job"),
    *(
        (train, f"{group}={value}", f"{group}={value}: must be one of {known}")
        for group, known in [("data", "fer2013, synthetic"), ("trainer", "default")]
        for value in ("", "null", "5", "[a,b]", "{a:1}", "${x}")
    ),
    (
        train,
        "occlusion=moth",
        "occlusion=moth: must be one of band, eyes, forehead, mask, mouth, none",
    ),
    (train, "model/head=mpl", "model/head=mpl: must be one of linear, mlp; did you mean 'mlp'?"),
    (train, "experiment=", "experiment=: must be one of band_map, demo, finetune, multiscale"),
    (analyze, "logger=null", "logger=null: must be one of csv, none, wandb"),
    (train, "data.split={a:1}", "data.split={a:1}: the value does not fit; --cfg job shows"),
    (train, "seed=???", "seed=???: stands for a value that is missing; give one"),
    (train, "seed=${x}", "seed=${x}: Interpolation key 'x' not found; ${…} stands for another"),
    (train, "recipe=\\${x}", "recipe=${x}: '${' stands for another option's value; use another"),
    (train, "data.root='\udcff'", "data.root=\\xff: a name that is not UTF-8, or has characters"),
    (train, "seed=0 seed=1", "seed=0 seed=1: 'seed' is given twice; give it once"),
    (train, "data=fer2013 data=synthetic", "data=fer2013 data=synthetic: 'data' is given twice"),
    (analyze, "seed=0 +seed=1", "seed=0 +seed=1: 'seed' is given twice; give it once"),
    (train, "seed=0,1", f"seed=0,1: {NO_SWEEP}"),
    (train, "seed=range(3)", f"seed=range(3): {NO_SWEEP}"),
    (analyze, "seed=0,1", "seed=0,1: give one value; several sweeps are written sweep=[A,B]"),
    (analyze, "-m", "-m: analyze.py runs once; give several sweeps as sweep=[A,B]"),
    (train, "-m seed=range(3,1)", "seed=range(3,1): has no values; list the values"),
    (train, "-m seed=range(1,3,0)", "seed=range(1,3,0): cannot be swept (range() arg 3"),
    (train, "-m seed=interval(1,2)", "seed=interval(1,2): cannot be swept (BasicSweeper does"),
    (train, "-m seed=0,x", "seed=x: must be a whole number of at least 0"),
    (train, "-m seed=0,1 hydra.sweep.subdir=a", "hydra.sweep.subdir=a: all jobs would have this"),
    (train, "hydra.job.name=a/b", "hydra.job.name=a/b: must be of letters, digits, - and _, since"),
    (train, "hydra.mode=MULTIRUN", "hydra.mode=MULTIRUN: write -m (--multirun) for several jobs"),
    (train, "hydra.foo=1", "hydra.foo=1: there is no option 'hydra.foo'"),
    (train, "hydra/launcher=foo", "hydra/launcher=foo: must be one of basic"),
]


@pytest.mark.parametrize(("program", "typed", "message"), TYPED)
def test_what_is_typed_wrong_is_one_line(program, typed, message, monkeypatch):
    monkeypatch.setattr(train, "_have_faces", lambda configs: pytest.fail("it went on"))
    with (
        initialize_config_dir(str(CONF), version_base="1.3"),
        pytest.raises(ConfigError) as caught,
    ):
        program.checked(typed.split(" "))
    _one_line(caught.value, message)


CONFIGURATION = "the options are those of conf/"
FLAGS = [
    ("--foo", "--foo: there is no such flag; --hydra-help lists the flags"),
    ("-x", "-x: there is no such flag"),
    ("--multi", "--multi: there is no such flag"),
    ("-1", "-1: there is no such flag"),
    ("seed=0 -m model.lr=1,2", "model.lr=1,2: flags such as -m come before all options"),
    ("--cfg", "argument --cfg/-c: expected one argument"),
    ("-c", "argument --cfg/-c: expected one argument"),
    ("--cfg jbo", "argument --cfg/-c: invalid choice: 'jbo' (choose from"),
    ("--info x", "argument --info/-i: invalid choice: 'x' (choose from"),
    ("--resolve", "--resolve: belongs to --cfg job"),
    ("--package data", "--package: belongs to --cfg job"),
    ("-m --cfg job", "--multirun --cfg: give one of them"),
    ("--run -m", "--run --multirun: give one of them"),
    ("--config-name=x", f"--config-name=x: {CONFIGURATION}"),
    ("-cn x", f"--config-name=x: {CONFIGURATION}"),
    ("--config-path x", f"--config-path=x: {CONFIGURATION}"),
    ("-cd x", f"--config-dir=x: {CONFIGURATION}"),
    ("--experimental-rerun x", f"--experimental-rerun=x: {CONFIGURATION}"),
]


@pytest.mark.parametrize(("typed", "message"), FLAGS)
def test_a_wrong_flag_is_one_line(typed, message):
    with pytest.raises(ConfigError) as caught:
        read_flags(typed.split(" "))
    _one_line(caught.value, message)


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


# Environment and files -------------------------------------------------------------------------


def _pictures(*names):
    """Make pictures in the working folder, and return what reads it."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((48, 48), np.uint8)).save(os.fsencode(name), "PNG")
    return lambda: load_photographs(Path.cwd(), ["happy", "sad"], "error")


def _file(name, content):
    """Make a file in the working folder, and return what reads it as photographs."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content)
    return lambda: load_photographs(Path(name), ["happy", "sad"], "error")


def _environment(monkeypatch, variable, value, then):
    monkeypatch.setenv(variable, value)
    return then


def _found():
    return locate_photographs(None, ["happy", "sad"], download=False)


CACHE = "FER_LIT_CACHE={}: the cache cannot be written ("
FILES = {
    "a cache that cannot be": (
        lambda patch: _environment(patch, "FER_LIT_CACHE", "/dev/null/x", cache_folder),
        CACHE.format("/dev/null/x"),
    ),
    "a cache that is a file": (
        lambda patch: (
            Path("file").touch(),
            _environment(patch, "FER_LIT_CACHE", "file", cache_folder),
        )[1],
        CACHE.format("file"),
    ),
    "a cache of nobody": (
        lambda patch: _environment(patch, "FER_LIT_CACHE", "~nobody-at-all/x", cache_folder),
        CACHE.format("~nobody-at-all/x"),
    ),
    "a read-only cache": (
        lambda patch: (
            patch.setattr(os, "access", lambda *_: False),
            _environment(patch, "FER_LIT_CACHE", "folder", cache_folder),
        )[1],
        CACHE.format("folder") + "it is read-only)",
    ),
    "no such root": (
        lambda patch: _environment(patch, "FER2013_ROOT", "/no", _found),
        "FER2013_ROOT=/no: no such folder or file; looked for pictures",
    ),
    "an empty root": (
        lambda patch: _environment(patch, "FER2013_ROOT", ".", _found),
        "FER2013_ROOT=.: no photographs; looked for pictures",
    ),
    "a root that is not UTF-8": (
        lambda patch: _environment(patch, "FER2013_ROOT", "/\udcff", _found),
        "FER2013_ROOT=/\\xff: /\\xff is a name that is not UTF-8",
    ),
    "a mode W&B has not": (
        lambda patch: _environment(
            patch, "WANDB_MODE", "of", lambda: WandbTracker(project="a", entity=None)
        ),
        "WANDB_MODE=of: must be one of online, offline, shared, disabled, dryrun, run",
    ),
    "an emotion without photographs": (
        lambda patch: _pictures("happy/1.png"),
        "data.classes: no photographs of 'sad' in",
    ),
    "a picture's name that is not UTF-8": (
        lambda patch: _pictures("happy/1.png", "sad/\udcff.png"),
        "{}/sad/\\xff.png: cannot be decoded (a name that is not UTF-8, or has characters that",
    ),
    "a picture's name in two lines": (
        lambda patch: _pictures("happy/a\nb.png", "sad/1.png"),
        "{}/happy/a\\nb.png: cannot be decoded (a name that is not UTF-8, or has characters that",
    ),
    "a picture that is none": (
        lambda patch: (_pictures("sad/1.png"), _file("happy/1.png", b"x"))[0],
        "{}/happy/1.png: cannot be decoded (UnidentifiedImageError",
    ),
    "an empty picture": (
        lambda patch: (_pictures("sad/1.png"), _file("happy/1.png", b""))[0],
        "{}/happy/1.png: cannot be decoded (UnidentifiedImageError",
    ),
    "an empty CSV file": (
        lambda patch: _file("a.csv", b""),
        "{}/a.csv: needs columns emotion, pixels, Usage; found nothing",
    ),
    "a CSV file of something else": (
        lambda patch: _file("a.csv", b"a,b\n1,2\n"),
        "{}/a.csv: needs columns emotion, pixels, Usage; found a, b",
    ),
    "a CSV file with too few pixels": (
        lambda patch: _file("a.csv", b"emotion,pixels\n3,1 2\n"),
        "{}/a.csv:2: cannot be decoded (2 pixels instead of 2,304)",
    ),
    "a file that is no CSV file": (
        lambda patch: _file("a.txt", b"x"),
        "{}/a.txt: neither a folder nor a CSV file",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know such names and files not")
@pytest.mark.parametrize("case", FILES)
def test_what_is_wrong_around_it_is_one_line(case, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    prepare, message = FILES[case]
    read = prepare(monkeypatch)
    with pytest.raises(ConfigError) as caught:
        read()
    _one_line(caught.value, message.format(tmp_path / "here"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf_8_may_be_left_out(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("FER_LIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "faces").mkdir()
    monkeypatch.chdir(tmp_path / "faces")
    _pictures("happy/1.png", "sad/1.png", "sad/\udcff.png")
    faces = load_photographs(Path.cwd(), ["happy", "sad"], "skip")
    assert faces.names == ("happy/1.png", "sad/1.png")
    assert "1 broken pictures left out (data.on_bad_image=skip): sad/\\xff.png" in caplog.text


# The programs themselves -----------------------------------------------------------------------


def test_none_got_lost():
    counts = [len(chain_) for chain_ in (VALUES, TYPED, FLAGS, FILES)]
    assert sum(counts) == int(__doc__.partition("\n\n")[2].split()[0]) > 300
    assert all(f" {count} " in __doc__ for count in counts)
    assert len({case[:2] for case in chain(VALUES, TYPED)}) == len(VALUES) + len(TYPED)


PROGRAMS = {
    "train.py": [
        *("model.lr=nan", "sede=1", "experiment=dmo", "seed=0,1", "recipe=\\${x}", "--foo"),
        *("hydra.run.dir=", "output=/dev/null"),
    ],
    "analyze.py": ["samples=1", "sweep=none", "-m", "--cfg"],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_programs_end_with_one_line_and_make_nothing(program, tmp_path):
    commands = [("data=synthetic", text) for text in PROGRAMS[program]]
    if program == "analyze.py":
        commands = [(text,) for text in PROGRAMS[program]]
    for (*_, text), done in zip(
        commands, warm.together(ROOT / program, tmp_path, *commands), strict=True
    ):
        assert (done.returncode, done.stdout) == (1, ""), text
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"{program}: ") and text.split("=")[0].strip("-") in line
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}


def test_an_output_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    done = warm.train(tmp_path, "experiment=demo", "output=file")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("train.py: output: file/runs/")
    assert line.endswith("cannot be created (Not a directory); name a folder to write to")


@pytest.mark.parametrize("value", ["/dev/null/x", "file"])
def test_a_cache_that_cannot_be_is_named_before_a_run(value, tmp_path):
    (tmp_path / "file").touch()
    done = warm.train(tmp_path, "experiment=demo", FER_LIT_CACHE=value)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"train.py: FER_LIT_CACHE={value}: the cache cannot be written (")
    assert not (tmp_path / "outputs").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs a shell with pipes")
def test_a_reader_that_leaves_is_no_error(tmp_path):
    command = f"{sys.executable} {ROOT / 'train.py'} --help | head -n 1"
    options = {"cwd": tmp_path, "env": offline(tmp_path), "capture_output": True, "text": True}
    done = subprocess.run(command, shell=True, **options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Which part of a face")
