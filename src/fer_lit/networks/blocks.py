"""The named blocks of both GoogLeNets, readable without importing torch."""

from __future__ import annotations

from collections.abc import Iterable

CHANNELS = {
    "conv1": 64,
    "maxpool1": 64,
    "conv2": 64,
    "conv3": 192,
    "maxpool2": 192,
    "inception3a": 256,
    "inception3b": 480,
    "maxpool3": 480,
    "inception4a": 512,
    "inception4b": 512,
    "inception4c": 512,
    "inception4d": 528,
    "inception4e": 832,
    "maxpool4": 832,
    "inception5a": 832,
    "inception5b": 1024,
}
"""How many channels each block puts out, in the order in which the blocks run."""

BLOCKS = tuple(CHANNELS)
"""The names of the blocks, in the order in which they run: what `model.taps` may name."""

FROZEN = {"all": BLOCKS, "stem": BLOCKS[: BLOCKS.index("inception3a")], "none": ()}
"""The blocks that each choice of `model.freeze` leaves as they are.

`stem` is what MATLAB's example of transfer learning with GoogLeNet freezes.
"""


def trained_blocks(freeze: str, taps: Iterable[str]) -> tuple[str, ...]:
    """Return the blocks that are trained: those not frozen, as deep as the deepest tap.

    Nothing after it is computed, so nothing after it can learn.

    Args:
        freeze: a key of `FROZEN`.
        taps: at least one of `BLOCKS`.
    """
    deepest = max(map(BLOCKS.index, taps))
    return tuple(name for name in BLOCKS[: deepest + 1] if name not in FROZEN[freeze])


def map_size(network: str, block: str, image_size: int) -> int:
    """Return the height and width of a block's output.

    Args:
        network: `googlenet` or `googlenet_caffe`, whose last pooling differs.
        block: one of `BLOCKS`.
        image_size: height and width of the input in pixels, 32 or more.
    """
    size = image_size
    for name in BLOCKS[: BLOCKS.index(block) + 1]:
        if name == "conv1" or (name == "maxpool4" and network == "googlenet"):
            size = (size + 1) // 2
        elif name.startswith("maxpool"):
            size = size // 2
    return size
