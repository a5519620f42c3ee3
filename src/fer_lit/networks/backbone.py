"""A network as an ordered list of named blocks, read at taps, frozen but for those to train."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from fer_lit.networks.architecture import Architecture, Layer, blocks_to, map_side


class Backbone(nn.Module):
    """A network up to its last block before the classifier, at first frozen.

    A frozen block has no gradients and is always in eval mode.

    Args:
        blocks: the modules of all its blocks, in the order in which they run.
        preprocessing: turns pixels of 0 to 255, (B, 1, H, W) grey or (B, 3, H, W) RGB, into what
            the first block expects; its `repr` says what it does.

    Attributes:
        names: of the blocks, in the order in which they run.
        trained: names of the blocks that are not frozen, in the order of the network.
    """

    def __init__(
        self,
        architecture: Architecture,
        blocks: OrderedDict[str, nn.Module],
        preprocessing: nn.Module,
    ) -> None:
        if list(blocks) != list(architecture.channels):
            names = ", ".join(architecture.channels)
            raise ValueError(f"{architecture.name} has the blocks {names}, in this order")
        super().__init__()
        self.architecture = architecture
        self.preprocessing = preprocessing
        self.blocks = nn.ModuleDict(blocks)
        self.names = tuple(blocks)
        self.channels = dict(architecture.channels)
        self.freeze_all_but(())

    def freeze_all_but(self, trained: Iterable[str]) -> None:
        """Freeze all blocks except `trained`, which get gradients and go into training mode."""
        self.trained = tuple(name for name in self.names if name in set(trained))
        self.requires_grad_(False)
        for name in self.trained:
            self.blocks[name].requires_grad_()
        self.train()

    def side(self, block: str, image_size: int) -> int:
        """Return the height and width of a block's output in cells."""
        return map_side(self.architecture, block, image_size)

    def centres(self, block: str, image_size: int) -> list[float]:
        """Return where the receptive fields of a block's cells have their centres, along one axis.

        In pixels of the input, whose first pixel has its centre at 0.5. Without padding of the same
        size on both sides of every layer, cells do not tile the input evenly (Araujo, Norris & Sim,
        "Computing receptive fields of convolutional neural networks", Distill 2019).
        """
        first, step = 0.5, 1
        for name in blocks_to(self.architecture, block):
            for layer in moving_layers(self.blocks[name]):
                first += ((layer.kernel - 1) / 2 - layer.padding) * step
                step *= layer.stride
        return [first + step * cell for cell in range(self.side(block, image_size))]

    def numbers(self, taps: Mapping[str, int]) -> int:
        """Return how many numbers a face has at taps, block → grid, all together."""
        return sum(self.channels[tap] * grid**2 for tap, grid in taps.items())

    def forward(self, x: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """Return what the tapped blocks put out; nothing after the deepest tap is computed.

        Pixels are float32, 0 to 255, (B, 1, H, W) grey or (B, 3, H, W) RGB; outputs are
        (B, `channels[tap]`, h, w), in the order of the network.
        """
        return self._run(0, self.preprocessing(x), taps)

    def resume(self, block: str, activation: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """Go on after `block` from its output, (B, `channels[block]`, h, w), to later taps."""
        return self._run(self.names.index(block) + 1, activation, taps)

    def _run(self, start: int, x: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        waiting = set(taps)
        if not waiting <= set(self.names[start:]):
            raise ValueError(f"taps {sorted(waiting)} are not all among {self.names[start:]}")
        activations = {}
        for name in self.names[start:]:
            if not waiting:
                break
            x = self.blocks[name](x)
            if name in waiting:
                activations[name] = x
                waiting.remove(name)
        return activations

    def train(self, mode: bool = True) -> Backbone:
        """Set the mode of trained blocks; BatchNorm statistics of frozen ones never move."""
        super().train(False)
        for name in self.trained:
            self.blocks[name].train(mode)
        return self

    def digest(self) -> str:
        """Return the sha256, as hex, of all weights and buffers: names, types, shapes and bytes."""
        return _digest(self.state_dict())

    def frozen_digest(self) -> str:
        """Return the digest of the frozen blocks alone; `digest` if all are frozen."""
        state, trained = self.state_dict(), self.trained_state()
        return _digest({name: state[name] for name in state if name not in trained})

    def trained_state(self) -> dict[str, Tensor]:
        """Return the part of the state dictionary that training changes, statistics included."""
        beginnings = tuple(f"blocks.{name}." for name in self.trained)
        state = self.state_dict()
        return {name: value for name, value in state.items() if name.startswith(beginnings)}


def moving_layers(block: nn.Module) -> list[Layer]:
    """Return the convolutions and poolings of a block that shift its cells or change their number.

    Those of branches that are concatenated do neither, so that the others run one after another.
    """
    kinds = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    modules = [module for module in block.modules() if isinstance(module, kinds)]
    layers = [
        Layer(
            *(_length(getattr(module, name)) for name in ("kernel_size", "stride", "padding")),
            ceil=getattr(module, "ceil_mode", False),
        )
        for module in modules
    ]
    return [one for one in layers if one.stride > 1 or one.kernel != 2 * one.padding + 1]


def _length(value: int | tuple[int, int]) -> int:
    return value if isinstance(value, int) else value[0]


def _digest(state: Mapping[str, Tensor]) -> str:
    sha = hashlib.sha256()
    for name, value in sorted(state.items()):
        sha.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        sha.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return sha.hexdigest()


def pool(activation: Tensor, grid: int) -> Tensor:
    """Average (B, C, h, w) of any float type over a grid: (B, C, grid, grid), float32.

    The sum is taken in float32, also under autocast.
    """
    return nn.functional.adaptive_avg_pool2d(activation.float(), grid)
