"""A frozen network as an ordered list of named blocks, read at taps."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from fer_lit.networks.blocks import BLOCKS, CHANNELS


class Backbone(nn.Module):
    """The two GoogLeNets up to `inception5b`, frozen: no gradients, always in eval mode.

    Args:
        blocks: the modules of all `BLOCKS`, by name, in that order.
        preprocessing: turns pixels of 0 to 255, (B, 1, H, W) grey or (B, 3, H, W) RGB, into what
            the first block expects; its `repr` says what it does.
    """

    def __init__(self, blocks: OrderedDict[str, nn.Module], preprocessing: nn.Module) -> None:
        if tuple(blocks) != BLOCKS:
            raise ValueError(f"a backbone has the blocks {BLOCKS}, in this order")
        super().__init__()
        self.preprocessing = preprocessing
        self.blocks = nn.ModuleDict(blocks)
        self.channels = dict(CHANNELS)
        self.requires_grad_(False)
        self.train()

    def forward(self, x: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """What the tapped blocks put out; nothing after the deepest tap is computed.

        Args:
            x: (B, 1, H, W) grey or (B, 3, H, W) RGB pixels, float32, 0 to 255.
            taps: names of blocks.

        Returns:
            For each tap, in the order of the network, (B, `channels[tap]`, h, w).
        """
        return self._run(0, self.preprocessing(x), taps)

    def resume(self, block: str, activation: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """Goes on after `block` from what it put out, as `forward` would have.

        Args:
            block: the name of the block that gave `activation`.
            activation: (B, `channels[block]`, h, w).
            taps: names of later blocks.
        """
        return self._run(BLOCKS.index(block) + 1, activation, taps)

    def _run(self, start: int, x: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        waiting = set(taps)
        if not waiting <= set(BLOCKS[start:]):
            raise ValueError(f"taps {sorted(waiting)} are not all among {BLOCKS[start:]}")
        activations = {}
        for name in BLOCKS[start:]:
            if not waiting:
                break
            x = self.blocks[name](x)
            if name in waiting:
                activations[name] = x
                waiting.remove(name)
        return activations

    def train(self, mode: bool = True) -> Backbone:
        """Stays in eval mode whatever `mode` is, so that BatchNorm statistics never move."""
        return super().train(False)

    def digest(self) -> str:
        """The sha256, as hex, of all weights and buffers: names, types, shapes and bytes."""
        sha = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            sha.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            sha.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return sha.hexdigest()


def pool(activation: Tensor, grid: int) -> Tensor:
    """Averages (B, C, h, w) of any float type over a grid: (B, C, grid, grid), float32.

    The sum is taken in float32, also under autocast.
    """
    return nn.functional.adaptive_avg_pool2d(activation.float(), grid)
