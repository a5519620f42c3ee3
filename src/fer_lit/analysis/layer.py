"""Which block the attention maps are of, and how large they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fer_lit.analysis.checkpoints import TrainedNetwork
from fer_lit.errors import ConfigError
from fer_lit.limits import suggestion

SMALLEST_SIDE = 5
"""Height from which a map's cell is no higher than a band, 10 of 48 rows."""


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
        names = network.backbone.names
        if layer not in names:
            raise ConfigError(
                f"layer={layer}: there is no such block{suggestion(layer, names)} "
                f"(blocks: {', '.join(names)})"
            )
        last = max(network.taps, key=names.index)
        if names.index(layer) > names.index(last):
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
    read = set.intersection(*(set(network.taps) for network in networks))
    found = _deepest([block for block in _names(networks) if block in read], networks)
    if found is None:
        raise ConfigError(
            "layer: no block that all heads read has a map of the same size in all runs that can "
            f"tell eyes, nose and mouth apart; {_other_layer(networks)}"
        )
    return found


def _other_layer(networks: Collection[TrainedNetwork]) -> str:
    """Return advice: the deepest block that goes with all runs, whether heads read it or not."""
    names = _names(networks)
    shallowest = min(max(map(names.index, network.taps)) for network in networks)
    found = _deepest(names[: shallowest + 1], networks)
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


def _sides(layer: str, networks: Collection[TrainedNetwork]) -> set[int]:
    return {map_side(layer, network) for network in networks}


def _cells(sides: Collection[int]) -> str:
    return ", ".join(f"{side}×{side}" for side in sorted(sides))


def map_side(layer: str, network: TrainedNetwork) -> int:
    """Return the height and width of a block's output in cells."""
    return network.backbone.side(layer, network.image_size)


def _names(networks: Collection[TrainedNetwork]) -> tuple[str, ...]:
    return next(iter(networks)).backbone.names
