"""Whether compiling the backbone pays, and the compiled extractor if it does."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from fer_lit.networks.backbone import Backbone
from fer_lit.networks.features import extract_features

WORTHWHILE_PIXELS = 6_000 * 224**2
"""Input pixels from which compiling on a CPU saves more time than the minute that it costs."""

Extractor = Callable[[Tensor], dict[str, Tensor]]
"""`extract_features` of pixels alone."""

_compiled: dict[tuple, Extractor] = {}

log = logging.getLogger(__name__)


def feature_extractor(
    backbone: Backbone,
    taps: Mapping[str, int],
    arithmetic: torch.dtype,
    device: torch.device,
    pixels: int,
) -> Extractor:
    """Return `extract_features` of pixels alone, compiled if that pays.

    A compiled one takes batches of one size only. It is kept for the other jobs of a sweep.

    Args:
        backbone: the network, on `device`.
        taps: block → grid.
        arithmetic: dtype the convolutions compute in.
        device: where.
        pixels: input pixels of all faces to come, which decide whether compiling pays.
    """
    extract = partial(extract_features, backbone, taps=dict(taps), arithmetic=arithmetic)
    if device.type != "cpu" or pixels < WORTHWHILE_PIXELS:
        return extract
    if not shutil.which(os.environ.get("CXX", "g++")):
        log.info("The network is not compiled, which would be twice as fast: no C++ compiler (g++)")
        return extract
    key = (backbone.digest(), tuple(taps.items()), arithmetic)
    if key not in _compiled:
        log.info("Compiling the network, which takes about a minute and doubles its speed")
        _compiled.clear()
        _compiled[key] = _Compiled(extract)
    return _compiled[key]


class _Compiled:
    """The compiled extractor, or the given one if compiling it fails at the first batch."""

    def __init__(self, extract: Extractor):
        self._extract = extract
        self._chosen: Extractor | None = None

    def __call__(self, pixels: Tensor) -> dict[str, Tensor]:
        if self._chosen is None:
            return self._first(pixels)
        return self._chosen(pixels)

    def _first(self, pixels: Tensor) -> dict[str, Tensor]:
        compiled = torch.compile(self._extract, dynamic=False, options={"freezing": True})
        try:
            features, self._chosen = compiled(pixels), compiled
        # Headers or OpenMP may be missing, and inductor passes on whatever its callees raise.
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            log.warning(
                f"Compiling failed, so the network runs uncompiled, which is slower: {reason}"
            )
            features, self._chosen = self._extract(pixels), self._extract
        return features
