"""How finely a map can tell places of the face apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from fer_lit.analysis.averages import mean_known
from fer_lit.faces.face_set import SIZE
from fer_lit.faces.occlusion import occlude

if TYPE_CHECKING:
    from fer_lit.analysis.networks import Networks, TrainedNetwork

_FACES = 8
_CELLS = 3
"""Of the middle half of the face, where edges do not matter."""


def resolution_table(networks: Networks, layer: str, indices: np.ndarray) -> pd.DataFrame:
    """Return how finely the maps of a block can tell rows of the face apart.

    Args:
        networks: and their photographs.
        layer: the mapped block.
        indices: int64, (P,): photographs to choose from.

    Returns:
        One row per condition: `condition`, `layer`, `cells` (a side), `spacing` (rows of the face
        from one cell to the next), `top` and `bottom` (rows of the outermost centres, beyond which
        a map is constant), `blur` (see `blur`, in rows).
    """
    chosen = indices[np.linspace(0, len(indices) - 1, min(_FACES, len(indices)), dtype=int)]
    known: dict[tuple, float] = {}
    rows = []
    for label, condition in networks.conditions.items():
        network = networks.trained[networks.keys(label)[0]]
        centres, alike = network.centres(layer), network.reader.at({}).key
        if alike not in known:  # the occlusion changes it little
            faces = occlude(networks.faces.pixels[chosen], condition.occlusion)
            known[alike] = blur(network, layer, faces)
        rows.append(
            {
                "condition": label,
                "layer": layer,
                "cells": len(centres),
                "spacing": centres[1] - centres[0],
                "top": centres[0],
                "bottom": centres[-1],
                "blur": known[alike],
            }
        )
    return pd.DataFrame(rows)


def blur(network: TrainedNetwork, layer: str, pixels: np.ndarray) -> float:
    """Return how far around its centre a cell of a block answers to the face, in rows.

    It is the standard deviation over rows of the energy of the gradient: the squared derivatives of
    the cell's channels by the pixels, summed over channels (by random signs, whose expectation that
    is) and over faces, uint8, (N, 48, 48). What lies as far apart as that is one place to the map.
    Cells that answer to nothing are left out.
    """
    reader = network.reader
    views = network.views(pixels)
    inputs = views(torch.arange(len(views), device=reader.device), 0).requires_grad_()
    output = reader.backbone(inputs, [layer])[layer]
    signs = torch.randint(0, 2, output.shape[:2], generator=torch.Generator().manual_seed(0))
    mixed = (output * (2 * signs - 1).to(output)[:, :, None, None]).sum(dim=(0, 1))
    centres = np.array(network.centres(layer))
    inner = np.flatnonzero((centres > SIZE / 4) & (centres < 3 * SIZE / 4))
    chosen = inner[np.linspace(0, len(inner) - 1, min(_CELLS, len(inner)), dtype=int)]
    spreads = []
    for row in chosen:
        (gradient,) = torch.autograd.grad(mixed[row, len(centres) // 2], inputs, retain_graph=True)
        energy = gradient.double().square().sum(dim=(0, 1, 3)).cpu().numpy()
        spreads.append(_deviation(energy))
    return float(mean_known(np.array(spreads), axis=0)) * SIZE / reader.image_size


def _deviation(weights: np.ndarray) -> float:
    if not weights.any():
        return np.nan
    places = np.arange(len(weights))
    mean = np.average(places, weights=weights)
    return float(np.sqrt(np.average((places - mean) ** 2, weights=weights)))
