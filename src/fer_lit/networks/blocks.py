"""The named blocks of both GoogLeNets, readable without importing torch."""

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
