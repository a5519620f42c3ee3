"""Which arithmetic a run uses, decided by what the processor can do and never by timing."""

from dataclasses import dataclass

import torch

from fer_lit.errors import ConfigError

_BACKBONE = {"32": torch.float32, "16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


@dataclass(frozen=True)
class Precision:
    """Arithmetic of the head's training, by Lightning's name, and of the frozen backbone."""

    trainer: str
    backbone: torch.dtype


def choose_device(accelerator: str) -> torch.device:
    """Return the device for `trainer.accelerator`: `auto` is a GPU where there is one.

    Raises:
        ConfigError: a GPU is asked for, and there is none.
    """
    gpu = torch.cuda.is_available()
    if accelerator == "gpu" and not gpu:
        raise ConfigError("trainer.accelerator=gpu: PyTorch finds no CUDA GPU; use auto or cpu")
    return torch.device("cuda" if gpu and accelerator != "cpu" else "cpu")


def choose_precision(precision: str, device: torch.device) -> Precision:
    """Return the arithmetic for `trainer.precision` on a device.

    `auto` is mixed precision on a GPU: bfloat16 where the GPU has it, else float16. On a CPU it is
    bfloat16 for the frozen backbone where the processor has AMX or AVX512-BF16, else float32; the
    head, which costs next to nothing, trains in float32 there.

    Raises:
        ConfigError: float16 on a CPU.
    """
    if precision == "auto" and device.type == "cuda":
        # Older GPUs emulate bfloat16, which is slower than float16.
        real = torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16-mixed" if real else "16-mixed"
    elif precision == "auto":
        return Precision("32-true", torch.bfloat16 if _cpu_has_bfloat16() else torch.float32)
    if precision == "16-mixed" and device.type == "cpu":
        raise ConfigError("trainer.precision=16-mixed: a CPU has no float16; use bf16-mixed or 32")
    return Precision(str(precision), _BACKBONE[str(precision)])


def forbid_tf32() -> None:
    """Keep cuDNN from rounding the inputs of float32 convolutions to 10 bits."""
    torch.backends.cudnn.allow_tf32 = False


def _cpu_has_bfloat16() -> bool:
    # Without one of these units a CPU emulates bfloat16 and is slower than in float32. PyTorch
    # answers the question only under names with an underscore.
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
