"""Whether compiling the backbone pays, and the compiled reader if it does."""

import copy
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from fer_lit.networks.reader import FrozenReader

WORTHWHILE_PIXELS = {"cpu": 2_000 * 224**2, "cuda": 500_000 * 224**2}
"""Input pixels from which compiling saves more time than it costs, by type of device.

From measurements on a CPU: 20 to 36 s, for twice the speed at 224 pixels and three times at 64, and
the other conditions of a sweep need no compilation. Estimated on a GPU.
"""

Read = Callable[[Tensor], dict[str, Tensor]]
"""Returns the features of pixels, as a `FrozenReader` does."""

_compiled: dict[tuple, Read] = {}

log = logging.getLogger(__name__)


def fastest(reader: FrozenReader, faces: int) -> Read:
    """Return a compiled reader if that pays for the faces that are to come, else the one given.

    A compiled one is kept for the other jobs of a sweep.
    """
    key = (reader.backbone.digest(), *reader.key[1:])
    if key in _compiled:
        return _compiled[key]
    if faces * reader.image_size**2 < WORTHWHILE_PIXELS[reader.device.type]:
        return reader
    if not shutil.which(os.environ.get("CXX", "g++")):
        log.info("The network is not compiled, which would be twice as fast: no C++ compiler (g++)")
        return reader
    log.info("Compiling the network, which takes up to a minute and at least doubles its speed")
    _compiled.clear()
    _compiled[key] = _Compiled(reader)
    return _compiled[key]


class _Compiled:
    """The compiled reader, or the given one if compiling it fails at the first batch.

    Its weights are frozen into it: BatchNorm is folded into the convolutions, and weights are
    converted and laid out once instead of for each batch.
    """

    def __init__(self, reader: FrozenReader):
        # Of its own: what is traced must stay where it is, and Lightning moves the backbone about.
        self._reader = replace(reader, backbone=copy.deepcopy(reader.backbone))
        self._batch = reader.batch
        self._chosen: Read | None = None

    @torch.no_grad()  # outside of it nothing is frozen
    def __call__(self, pixels: Tensor) -> dict[str, Tensor]:
        # Repeated up to a whole batch, since another size would be compiled anew.
        whole = pixels[torch.arange(self._batch, device=pixels.device) % len(pixels)]
        features = self._chosen(whole) if self._chosen else self._first(whole)
        return {tap: values[: len(pixels)] for tap, values in features.items()}

    def _first(self, pixels: Tensor) -> dict[str, Tensor]:
        from torch._inductor import config as inductor  # takes a second to import

        # Says that no GPU is found where there is none.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        compiled = torch.compile(self._reader.__call__, dynamic=False)
        try:
            # As an option of `torch.compile` it would come too late: tracing asks for it, too.
            with inductor.patch(freezing=True):
                features, self._chosen = compiled(pixels), compiled
        # Headers or OpenMP may be missing, and inductor passes on whatever its callees raise.
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            consequence = "the network runs uncompiled, which is slower"
            log.warning(f"Compiling failed, so {consequence}: {reason}")
            features, self._chosen = self._reader(pixels), self._reader
        return features
