"""How attention maps are made: which block they are of, and by which method."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from fer_lit.analysis.networks import TrainedNetwork
from fer_lit.errors import ConfigError
from fer_lit.limits import suggestion

AVERAGING = ("gradcam", "gradcam++", "xgradcam")
"""Methods that give a channel one weight for all places."""
SMALLEST_SIDE = 5
"""Height from which a map's cell is no higher than a band, 10 of 48 rows."""


@dataclass(frozen=True)
class MapSettings:
    """How maps are made: see `conf/analyze.yaml`.

    Attributes:
        layer: block whose output is mapped.
        method: a key of `METHODS`.
        target: `label` or `predicted`: the emotion that a map explains.
        score: `logit` or `probability`: what is differentiated.
    """

    layer: str
    method: str
    target: str
    score: str


def map_settings(
    cfg: DictConfig, networks: Collection[TrainedNetwork]
) -> tuple[MapSettings | None, list[str]]:
    """Return how maps are made, or None, and why, if no layer is named and none suggests itself.

    Args:
        cfg: of the analysis.
        networks: what is mapped.

    Raises:
        ConfigError: the layer that is named does not fit.
    """
    try:
        layer = choose_layer(cfg.layer, networks)
    except ConfigError as error:
        if cfg.layer is not None:
            raise
        return None, [f"there are no maps: {error}"]
    return MapSettings(layer, cfg.method, cfg.target, cfg.score), []


def notes_on_method(method: str, networks: Iterable[TrainedNetwork]) -> list[str]:
    """Return what to know about a method's maps of these networks.

    Grad-CAM weighs a channel by its gradient averaged over the map, which is right for a head that
    reads the channel's average; Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful
    explanations of convolutional neural networks" (2020), show that it is not for others.
    """
    in_place = any(grid > 1 for network in networks for grid in network.reader.taps.values())
    if method in AVERAGING and in_place:
        return [
            f"a head here reads places of the face apart, and {method} averages gradients over "
            "them, so that its maps may mislead: method=hirescam and layercam do not average"
        ]
    return []


def choose_layer(layer: str | None, networks: Collection[TrainedNetwork]) -> str:
    """Return the block to map: the one asked for, or the deepest that all heads read in place.

    In place means that its map has `SMALLEST_SIDE` cells a side or more.

    Raises:
        ConfigError: a head reads nothing from there on, or the map is too small to tell bands
            apart, or the networks' maps have different sizes.
    """
    if layer is None:
        return _deepest_read(networks)
    for network in networks:
        if layer not in network.blocks:
            raise ConfigError(
                f"layer={layer}: there is no such block{suggestion(layer, network.blocks)} "
                f"(blocks: {', '.join(network.blocks)})"
            )
        last = network.deepest
        if network.blocks.index(layer) > network.blocks.index(last):
            raise ConfigError(
                f"layer={layer}: the head reads nothing after {last}; name that block or one "
                "before it"
            )
    sides = _sides(layer, networks)
    if len(sides) > 1:
        raise ConfigError(
            f"layer={layer}: the runs' maps have different sizes ({_cells(sides)}); "
            f"{_other_layer(networks)}"
        )
    if max(sides) < SMALLEST_SIDE:
        raise ConfigError(
            f"layer={layer}: its map of {_cells(sides)} cells cannot tell eyes, nose and mouth "
            f"apart; {_other_layer(networks)}"
        )
    return layer


def _deepest_read(networks: Collection[TrainedNetwork]) -> str:
    read = set.intersection(*(set(network.reader.taps) for network in networks))
    found = _deepest([block for block in _blocks(networks) if block in read], networks)
    if found is None:
        raise ConfigError(
            "layer: no block that all heads read has a map of the same size in all runs that can "
            f"tell eyes, nose and mouth apart; {_other_layer(networks)}"
        )
    return found


def _other_layer(networks: Collection[TrainedNetwork]) -> str:
    """Return advice: the deepest block that goes with all runs, whether heads read it or not."""
    blocks = _blocks(networks)
    shallowest = min(blocks.index(network.deepest) for network in networks)
    found = _deepest(blocks[: shallowest + 1], networks)
    if found is None:
        return "analyse the sweeps one at a time"
    return f"the deepest that goes with all is layer={found} ({_cells(_sides(found, networks))})"


def _deepest(blocks: Sequence[str], networks: Collection[TrainedNetwork]) -> str | None:
    """Return the last block whose maps are large enough and of one size, if there is one."""
    for block in reversed(blocks):
        sides = _sides(block, networks)
        if len(sides) == 1 and min(sides) >= SMALLEST_SIDE:
            return block
    return None


def _blocks(networks: Collection[TrainedNetwork]) -> tuple[str, ...]:
    return next(iter(networks)).blocks


def _sides(layer: str, networks: Collection[TrainedNetwork]) -> set[int]:
    return {network.side(layer) for network in networks}


def _cells(sides: Collection[int]) -> str:
    return ", ".join(f"{side}×{side}" for side in sorted(sides))
