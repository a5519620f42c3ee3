"""The arithmetic that each kind of processor gets."""

from types import SimpleNamespace

import pytest
import torch

from fer_lit.errors import ConfigError
from fer_lit.precision import Precision, choose_device, choose_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def processor(monkeypatch):
    """Pretend what the processors of this machine can do."""

    def pretend(amx=False, avx512=False, gpu=False, gpu_bfloat16=False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *a, **k: gpu_bfloat16)

    return pretend


@pytest.mark.parametrize(
    ("units", "backbone"),
    [
        ({}, torch.float32),
        ({"amx": True}, torch.bfloat16),
        ({"avx512": True}, torch.bfloat16),
        ({"amx": True, "avx512": True}, torch.bfloat16),
    ],
)
def test_on_a_cpu_auto_is_bfloat16_for_the_backbone_where_there_is_a_unit_for_it(
    processor, units, backbone
):
    processor(**units)
    assert choose_precision("auto", CPU) == Precision("32-true", backbone)


@pytest.mark.parametrize(
    ("has_bfloat16", "wanted"),
    [
        (True, Precision("bf16-mixed", torch.bfloat16)),
        (False, Precision("16-mixed", torch.float16)),
    ],
)
def test_on_a_gpu_auto_is_mixed(processor, has_bfloat16, wanted):
    processor(gpu=True, gpu_bfloat16=has_bfloat16, amx=True)
    assert choose_precision("auto", GPU) == wanted


@pytest.mark.parametrize(
    ("named", "device", "backbone"),
    [
        (32, CPU, torch.float32),
        ("32", CPU, torch.float32),
        (32, GPU, torch.float32),
        ("bf16-mixed", CPU, torch.bfloat16),
        ("bf16-mixed", GPU, torch.bfloat16),
        ("16-mixed", GPU, torch.float16),
    ],
)
def test_a_precision_that_is_named_is_taken_whatever_the_processor(
    processor, named, device, backbone
):
    processor(amx=True, gpu=True, gpu_bfloat16=True)
    assert choose_precision(named, device) == Precision(str(named), backbone)


def test_float16_on_a_cpu_is_an_error():
    with pytest.raises(ConfigError, match=r"^trainer\.precision=16-mixed: .*bf16-mixed or 32$"):
        choose_precision("16-mixed", CPU)


@pytest.mark.parametrize(
    ("accelerator", "gpu", "wanted"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", False, "cpu"),
        ("cpu", True, "cpu"),
        ("gpu", True, "cuda"),
    ],
)
def test_auto_is_a_gpu_where_there_is_one(processor, accelerator, gpu, wanted):
    processor(gpu=gpu)
    assert choose_device(accelerator).type == wanted


def test_a_gpu_that_is_not_there_is_an_error(processor):
    processor(gpu=False)
    with pytest.raises(ConfigError, match=r"^trainer\.accelerator=gpu: .*use auto or cpu$"):
        choose_device("gpu")


def test_emulated_bfloat16_does_not_count(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    turing = SimpleNamespace(major=7, minor=5)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: turing)
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)
    assert choose_precision("auto", torch.device("cuda")) == Precision("16-mixed", torch.float16)
