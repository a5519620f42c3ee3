"""The weights in a `.caffemodel` file, a protobuf, without Caffe and without its schema.

The field numbers are those of Caffe's `caffe.proto`; the encoding is protobuf's
(https://protobuf.dev/programming-guides/encoding/). Only what weights need is read.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fer_lit.errors import ConfigError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


# The fields of NetParameter that hold layers, `layer` and the older `layers`, and within them the
# fields of LayerParameter and V1LayerParameter that are the name and the weights.
_LAYERS = {100: (1, 7), 2: (4, 6)}

_LEGACY_SHAPE, _DATA, _SHAPE = (1, 2, 3, 4), 5, 7


def read_caffemodel(path: Path) -> dict[str, Tensor]:
    """Read `<layer>.weight` and `<layer>.bias` of every layer of a NetParameter with weights.

    All float32: convolutions (out, in, h, w), linear layers (out, in), biases (out,).

    Raises:
        ConfigError: the file is cut off or is no such protobuf.
    """
    tensors = {}
    try:
        for field, _, message in _fields(memoryview(path.read_bytes())):
            if field in _LAYERS:
                tensors |= _layer(message, *_LAYERS[field])
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{path} is no complete Caffe model ({error}): fetch or copy it again"
        ) from None
    if not tensors:
        raise ConfigError(f"{path} holds no Caffe layers with weights: give a .caffemodel file")
    return tensors


def _layer(message: memoryview, name_field: int, blobs_field: int) -> dict[str, Tensor]:
    name, blobs = "", []
    for field, _, value in _fields(message):
        if field == name_field:
            name = str(value, "utf-8")
        elif field == blobs_field:
            blobs.append(value)
    kinds = zip(("weight", "bias"), blobs, strict=False)
    return {f"{name}.{kind}": _blob(blob) for kind, blob in kinds}


def _blob(message: memoryview) -> Tensor:
    legacy, shape, parts = dict.fromkeys(_LEGACY_SHAPE, 1), None, []
    for field, kind, value in _fields(message):
        if field in legacy:
            legacy[field] = value
        elif field == _SHAPE:
            shape = tuple(_dimensions(value))
        elif field == _DATA and kind in (BYTES, FIXED32):
            parts.append(value)
    data = np.frombuffer(b"".join(parts), "<f4").astype(np.float32)
    if shape is None:
        shape = _without_padding(tuple(legacy.values()))
    if math.prod(shape) != data.size:
        raise ValueError(f"{data.size} numbers for the shape {shape}")
    return torch.from_numpy(data).reshape(shape)


def _dimensions(message: memoryview) -> Iterator[int]:
    for field, kind, value in _fields(message):
        if field == 1:
            yield from _varints(value) if kind == BYTES else [value]


def _without_padding(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Older files give every blob four dimensions: linear 1, 1, out, in and bias 1, 1, 1, out."""
    if shape[:3] == (1, 1, 1):
        return shape[3:]
    return shape[2:] if shape[:2] == (1, 1) else shape


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Yield (field number, wire type, value): a number for VARINT, else the bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, kind, value
            continue
        if kind == BYTES:
            size, at = _varint(message, at)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(message):
            raise ValueError(f"cut off: {at + size - len(message):,} bytes are missing")
        yield key >> 3, kind, message[at : at + size]
        at += size


def _varints(message: memoryview) -> Iterator[int]:
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("cut off within a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number longer than ten bytes")
