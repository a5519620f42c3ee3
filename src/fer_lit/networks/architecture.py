"""What a network is like, known before it is built: torch is not imported here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from fer_lit.networks.backbone import Backbone

FREEZE = ("all", "stem", "none")
"""What `model.freeze` may be: the blocks that stay as they are."""


class Layer(NamedTuple):
    """A convolution or pooling as far as it changes the size of a map; lengths in its input."""

    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = False  # whether a last, incomplete window counts

    def side(self, side: int) -> int:
        """Return the side of the output for an input of `side` cells."""
        windows = (side + 2 * self.padding - self.kernel) / self.stride
        return (math.ceil(windows) if self.ceil else math.floor(windows)) + 1


@dataclass(frozen=True)
class Published:
    """The file of a network's ImageNet weights.

    Attributes:
        file: its name in the cache.
        algorithm: `sha256` or `sha1`.
        digest: its beginning, as hex.
        downloadable: whether `source` is the address of the file itself, not of a page that links
            to it.
        content: the `Backbone.digest` of its weights, by which a copy that was converted to
            `.safetensors` is known, whose bytes depend on the converter; None: no copy will do.
    """

    file: str
    algorithm: str
    digest: str
    source: str
    downloadable: bool
    content: str | None = None


class Architecture(Protocol):
    """What options, layers of maps and stored features ask of a network.

    Attributes:
        channels: of the output of each block, in the order in which the blocks run.
        stem: the blocks that `model.freeze=stem` leaves as they are.
        ignored: beginnings of the published names of what is not used, such as classifiers.
        other_networks: names that only the weights of another network have, and the `model=…` that
            reads those.
    """

    name: str
    channels: Mapping[str, int]
    stem: Sequence[str]
    imagenet: Published
    ignored: tuple[str, ...]
    other_networks: Mapping[str, str]

    def layers(self, block: str) -> Sequence[Layer]:
        """Return the layers of a block that change a map's size."""

    def build(self) -> Backbone:
        """Return the network with untrained weights (torch's initialisation)."""

    def published_name(self, name: str) -> str:
        """Return the published name of the weight `block.layer.weight`."""


def blocks_to(architecture: Architecture, block: str) -> tuple[str, ...]:
    """Return the names of the blocks up to and including one."""
    names = tuple(architecture.channels)
    return names[: names.index(block) + 1]


def _layers(architecture: Architecture, block: str) -> Iterator[Layer]:
    return chain.from_iterable(map(architecture.layers, blocks_to(architecture, block)))


def map_side(architecture: Architecture, block: str, image_size: int) -> int:
    """Return the side of a block's output in cells for inputs of a side in pixels, 32 or more."""
    return reduce(lambda side, layer: layer.side(side), _layers(architecture, block), image_size)


def trained_blocks(architecture: Architecture, freeze: str, taps: Iterable[str]) -> tuple[str, ...]:
    """Return the blocks that are trained: those not frozen, as deep as the deepest tap.

    Nothing after it is computed, so nothing after it can learn. `freeze` is one of `FREEZE`.
    """
    names = list(architecture.channels)
    frozen = {"all": names, "stem": architecture.stem, "none": ()}[freeze]
    read = blocks_to(architecture, max(taps, key=names.index))
    return tuple(name for name in read if name not in frozen)
