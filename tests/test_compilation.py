"""When the network is compiled, and that it then computes the same."""

import logging
import os
import shutil
from functools import partial

import pytest
import torch
from helpers.backbones import build_backbone
from torch._inductor import config as inductor

from fer_lit.feature_bank import compilation
from fer_lit.feature_bank.compilation import WORTHWHILE_PIXELS, fastest
from fer_lit.networks import reader as reading
from fer_lit.networks.backbone import Backbone
from fer_lit.networks.reader import FrozenReader, extract_features

CPU = torch.device("cpu")
TAPS = {"maxpool1": 2}
BATCH = 4  # faces
IMAGE = 32  # pixels
ENOUGH = WORTHWHILE_PIXELS["cpu"] // IMAGE**2  # faces

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build_backbone("googlenet_caffe", None)


@pytest.fixture(autouse=True)
def nothing_compiled(monkeypatch, caplog):
    monkeypatch.setattr(compilation, "_compiled", {})
    monkeypatch.setattr(reading, "_PASS_PIXELS", dict.fromkeys(("cpu", "cuda"), BATCH * IMAGE**2))
    caplog.set_level(logging.INFO)


@pytest.fixture
def compiler(monkeypatch):
    """Pretend that there is a C++ compiler."""
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def reader(backbone, taps=TAPS, arithmetic=torch.float32, device=CPU) -> FrozenReader:
    return FrozenReader(backbone, taps, arithmetic, device, IMAGE)


def is_compiled(read) -> bool:
    return not isinstance(read, FrozenReader)


def test_few_pixels_are_not_worth_compiling(backbone, compiler, caplog):
    make = partial(fastest, reader(backbone))
    assert not is_compiled(make(ENOUGH - 1))
    assert caplog.messages == []
    assert is_compiled(make(ENOUGH))
    assert len(caplog.messages) == 1
    assert "Compiling" in caplog.text


def test_a_gpu_needs_more_to_do(backbone, compiler):
    make = partial(fastest, reader(backbone, device=torch.device("cuda")))
    enough = WORTHWHILE_PIXELS["cuda"] // IMAGE**2
    assert not is_compiled(make(enough - 1))
    assert is_compiled(make(enough))


def test_without_a_compiler_the_log_says_so_and_the_numbers_are_the_same(
    backbone, monkeypatch, caplog
):
    monkeypatch.setenv("CXX", "no-such-compiler")
    read = fastest(reader(backbone), ENOUGH)
    assert not is_compiled(read)
    assert "not compiled" in caplog.text
    assert "no C++ compiler" in caplog.text
    pixels = torch.rand(2, 1, 32, 32) * 255
    wanted = extract_features(backbone, pixels, TAPS, torch.float32)
    assert torch.equal(read(pixels)["maxpool1"], wanted["maxpool1"])


def test_what_was_compiled_serves_the_next_job_with_the_same_network(backbone, compiler):
    same = build_backbone("googlenet_caffe", None)
    other = build_backbone("googlenet_caffe", None, seed=1)

    def make(network=backbone, taps=TAPS, arithmetic=torch.float32):
        return fastest(reader(network, taps, arithmetic), ENOUGH)

    first = make()
    assert make() is first
    assert make(network=same) is first
    for change in ({"network": other}, {"taps": {"maxpool1": 1}}, {"arithmetic": torch.bfloat16}):
        assert make(**change) is not first
        assert len(compilation._compiled) == 1  # one network at a time stays in memory
        first = make()


@pytest.mark.skipif(
    not shutil.which(os.environ.get("CXX", "g++")), reason="compiling needs a C++ compiler (g++)"
)
# Python 3.13.0 alone: github.com/python/cpython/issues/125608
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
def test_compiled_computes_the_same(backbone, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    # Else inductor compiles a program for each set of vector instructions, to see whether it runs.
    trusting = inductor.patch({"cpp.vec_isa_ok": True})
    read = fastest(reader(backbone), ENOUGH)
    assert is_compiled(read)
    for faces in (3, BATCH):  # a batch need not be whole
        pixels = torch.rand(faces, 1, 32, 32) * 255
        with trusting:
            found = read(pixels)["maxpool1"]
        wanted = extract_features(backbone, pixels, TAPS, torch.float32)["maxpool1"]
        assert found.shape == wanted.shape == (faces, 64, 2, 2)
        assert found.dtype == torch.float32
        assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    # The weights are frozen into it, and nothing done to the backbone has it compiled again.
    for weight in read._reader.backbone.state_dict().values():
        weight.zero_()
    backbone.preprocessing.mean = backbone.preprocessing.mean.clone()
    with torch._dynamo.config.patch(error_on_recompile=True):
        assert torch.equal(read(pixels)["maxpool1"], found)


def test_a_compiler_that_fails_is_announced_and_done_without(
    backbone, compiler, monkeypatch, caplog
):
    def failing(pixels):
        raise RuntimeError("Python.h: No such file")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: failing)
    monkeypatch.setattr(compilation, "_compiled", {})
    read = fastest(reader(backbone), ENOUGH)
    pixels = torch.rand(2, 1, 32, 32) * 255
    wanted = extract_features(backbone, pixels, TAPS, torch.float32)
    for _ in range(2):
        assert torch.equal(read(pixels)["maxpool1"], wanted["maxpool1"])
    assert caplog.text.count("Compiling failed") == 1
    assert "Python.h" in caplog.text
