"""From faces to features and logits by the trunk that maps are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from fer_lit.analysis.cam import trunk
from fer_lit.analysis.networks import TrainedNetwork
from fer_lit.feature_bank.compilation import fastest
from fer_lit.networks.backbone import pool


def tapped_batches(
    network: TrainedNetwork, layer: str, pixels: np.ndarray
) -> Iterator[dict[str, Tensor]]:
    """Yield what the trunk reads of faces, uint8 or float32, (N, 48, 48), batch by batch."""
    read = fastest(trunk(network, layer), faces=0)  # compiled if it already is
    views = network.views(pixels)
    for part in torch.arange(len(views), device=network.reader.device).split(network.reader.batch):
        yield read(views(part, 0))


@torch.no_grad()
def read_on(network: TrainedNetwork, layer: str, tapped: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what the head reads, tap → (B, channels, grid, grid), for what the trunk has read."""
    taps = network.reader.taps
    later = [tap for tap in taps if tap not in tapped]
    outputs = tapped | network.reader.backbone.resume(layer, tapped[layer], later)
    return {tap: pool(outputs[tap], grid) for tap, grid in taps.items()}


class FromFaces(nn.Module):
    """A network from 48×48 faces, float32, (N, 1, 48, 48), 0–255, to logits, on the CPU."""

    def __init__(self, network: TrainedNetwork, layer: str):
        super().__init__()
        self._network = (network,)  # not a part: nothing in it is to be touched
        self._layer = layer

    @torch.no_grad()
    def forward(self, faces: Tensor) -> Tensor:
        """Return logits, (N, classes)."""
        network = self._network[0]
        batches = tapped_batches(network, self._layer, faces[:, 0].numpy())
        logits = [network.head(read_on(network, self._layer, tapped)) for tapped in batches]
        return torch.cat(logits).cpu()
