"""Whether compiling the backbone pays, and the compiled extractor if it does."""

from __future__ import annotations

import copy
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from fer_lit.networks.backbone import Backbone
from fer_lit.networks.features import extract_features

WORTHWHILE_PIXELS = {"cpu": 2_000 * 224**2, "cuda": 500_000 * 224**2}
"""Input pixels from which compiling saves more time than it costs, by type of device.

From measurements on a CPU: 20 to 36 s, for twice the speed at 224 pixels and three times at 64, and
the other conditions of a sweep need no compilation. Estimated on a GPU.
"""

Extractor = Callable[[Tensor], dict[str, Tensor]]
"""`extract_features` of pixels alone."""

_compiled: dict[tuple, Extractor] = {}

log = logging.getLogger(__name__)


def feature_extractor(
    backbone: Backbone,
    taps: Mapping[str, int],
    arithmetic: torch.dtype,
    device: torch.device,
    batch: int,
    image_size: int,
    pixels: int,
) -> Extractor:
    """Return `extract_features` of pixels alone, compiled if that pays.

    A compiled one is kept for the other jobs of a sweep.

    Args:
        backbone: the network, on `device`.
        taps: block → grid.
        arithmetic: dtype the convolutions compute in.
        device: where.
        batch: largest number of faces in a batch.
        image_size: height and width of the input in pixels.
        pixels: input pixels of all faces to come, which decide whether compiling pays.
    """
    extract = partial(extract_features, backbone, taps=dict(taps), arithmetic=arithmetic)
    key = (backbone.digest(), tuple(taps.items()), arithmetic, device, batch, image_size)
    if key in _compiled:
        return _compiled[key]
    if pixels < WORTHWHILE_PIXELS[device.type]:
        return extract
    if not shutil.which(os.environ.get("CXX", "g++")):
        log.info("The network is not compiled, which would be twice as fast: no C++ compiler (g++)")
        return extract
    log.info("Compiling the network, which takes up to a minute and at least doubles its speed")
    _compiled.clear()
    # Of its own: what is traced must stay where it is, and Lightning moves the backbone about.
    kept = partial(extract_features, copy.deepcopy(backbone), **extract.keywords)
    _compiled[key] = _Compiled(kept, batch)
    return _compiled[key]


class _Compiled:
    """The compiled extractor, or the given one if compiling it fails at the first batch.

    Its weights are frozen into it: BatchNorm is folded into the convolutions, and weights are
    converted and laid out once instead of for each batch.
    """

    def __init__(self, extract: Extractor, batch: int):
        self._extract = extract
        self._batch = batch
        self._chosen: Extractor | None = None

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
        compiled = torch.compile(self._extract, dynamic=False)
        try:
            # As an option of `torch.compile` it would come too late: tracing asks for it, too.
            with inductor.patch(freezing=True):
                features, self._chosen = compiled(pixels), compiled
        # Headers or OpenMP may be missing, and inductor passes on whatever its callees raise.
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            log.warning(
                f"Compiling failed, so the network runs uncompiled, which is slower: {reason}"
            )
            features, self._chosen = self._extract(pixels), self._extract
        return features
