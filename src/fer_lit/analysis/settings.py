"""How attention maps are made: of which block, and by which method."""

from __future__ import annotations

from collections.abc import Collection

from omegaconf import DictConfig

from fer_lit.analysis.cam import MapSettings
from fer_lit.analysis.networks import TrainedNetwork
from fer_lit.errors import ConfigError
from fer_lit.limits import suggestion

SMALLEST_SIDE = 5
"""Height from which a map's cell is no higher than a band, 10 of 48 rows."""
AVERAGING = ("gradcam", "gradcam++", "xgradcam")
"""Methods that give a channel one weight for all places."""


def map_settings(
    cfg: DictConfig, networks: Collection[TrainedNetwork]
) -> tuple[MapSettings | None, list[str]]:
    """Return how maps are made, and a line for each thing to know; None where nothing fits.

    Args:
        cfg: of the analysis.
        networks: what is mapped.

    Raises:
        ConfigError: the layer that is named does not fit.
    """
    try:
        settings = choose_settings(cfg, networks)
    except ConfigError as error:
        if cfg.layer != "auto":
            raise
        return None, [f"there are no maps: {error}"]
    return settings, notes_on_method(settings, networks)


def choose_settings(cfg: DictConfig, networks: Collection[TrainedNetwork]) -> MapSettings:
    """Return how maps are made; `auto` stands for what fits the networks.

    Raises:
        ConfigError: the layer that is named does not fit, or none does.
    """
    layer = choose_layer(cfg.layer, networks)
    averaged = reads_averages(layer, networks)
    automatic = "gradcam" if averaged else "hirescam"
    method = automatic if cfg.method == "auto" else cfg.method
    return MapSettings(layer, method, cfg.target, cfg.score)


def choose_layer(layer: str, networks: Collection[TrainedNetwork]) -> str:
    """Return the block to map: the one asked for, or with `auto` the shallowest that a head reads.

    All that a head reads has passed that block, so that its maps leave nothing out. Where it has
    fewer than `SMALLEST_SIDE` cells a side, it is the deepest block before it that has as many.

    Raises:
        ConfigError: a head reads nothing from there on, or the map is too small to tell bands
            apart, or the networks' maps have different sizes.
    """
    if layer == "auto":
        return _shallowest_read(networks)
    for network in networks:
        if layer not in network.blocks:
            raise ConfigError(
                f"layer={layer}: there is no such block{suggestion(layer, network.blocks)} "
                f"(blocks: {', '.join(network.blocks)}; or auto)"
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
            f"layer={layer}: the runs' maps have different sizes ({_cells(sides)}); {_ONE_BY_ONE}"
        )
    if max(sides) < SMALLEST_SIDE:
        raise ConfigError(
            f"layer={layer}: its map of {_cells(sides)} cells cannot tell eyes, nose and mouth "
            f"apart; layer={_shallowest_read(networks)} can"
        )
    return layer


_ONE_BY_ONE = "analyse the sweeps one at a time"


def _shallowest_read(networks: Collection[TrainedNetwork]) -> str:
    blocks, shallowest = next(iter(networks)).blocks, _shallowest_tap(networks)
    for block in reversed(blocks[: blocks.index(shallowest) + 1]):
        sides = _sides(block, networks)
        if len(sides) == 1 and min(sides) >= SMALLEST_SIDE:
            return block
    raise ConfigError(
        f"layer: up to {shallowest}, no block has maps of one size in all runs and of "
        f"{SMALLEST_SIDE}×{SMALLEST_SIDE} cells or more; {_ONE_BY_ONE}"
    )


def _shallowest_tap(networks: Collection[TrainedNetwork]) -> str:
    read = {tap for network in networks for tap in network.reader.taps}
    return min(read, key=next(iter(networks)).blocks.index)


def _sides(layer: str, networks: Collection[TrainedNetwork]) -> set[int]:
    return {network.side(layer) for network in networks}


def _cells(sides: Collection[int]) -> str:
    return ", ".join(f"{side}×{side}" for side in sorted(sides))


def reads_averages(layer: str, networks: Collection[TrainedNetwork]) -> bool:
    """Return whether the networks' heads read a block's averages over the face, and nothing else.

    Then a channel's gradient is the same at every place, and Grad-CAM, which averages it, loses
    nothing. Elsewhere HiResCAM, which does not average, shows what the head computes (Draelos and
    Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
    networks", 2020).
    """
    return all(network.reader.taps == {layer: 1} for network in networks)


def notes_on_method(settings: MapSettings, networks: Collection[TrainedNetwork]) -> list[str]:
    """Return what to know about a method's maps of these networks."""
    if settings.method in AVERAGING and not reads_averages(settings.layer, networks):
        return [
            f"{settings.method} averages gradients over the places of {settings.layer}, which the "
            "heads or the blocks after it tell apart, so that its maps may mislead: "
            "method=hirescam and layercam do not average"
        ]
    return []


def describe(settings: MapSettings, networks: Collection[TrainedNetwork]) -> str:
    """Return of which block maps are and by which method, and what speaks for them."""
    first = next(iter(networks))
    layer, side = settings.layer, first.side(settings.layer)
    shallowest = _shallowest_tap(networks)
    if layer == shallowest:
        place = "the shallowest block that the heads read"
    elif first.blocks.index(layer) > first.blocks.index(shallowest):
        place = f"which leaves out what the heads read of {shallowest}"
    else:
        small = first.side(shallowest)
        place = f"before {shallowest} ({small}×{small}), the shallowest block that the heads read"
    reading = (
        "the heads read its averages alone"
        if reads_averages(layer, networks)
        else "what follows tells its places apart"
    )
    return f"{settings.method} of {layer} ({side}×{side} cells), {place}; {reading}"


def finer_layer(layer: str, networks: Collection[TrainedNetwork]) -> str | None:
    """Return the deepest block before one that has twice as many cells a side, if there is one."""
    first = next(iter(networks))
    before = first.blocks[: first.blocks.index(layer)]
    finer = [block for block in before if first.side(block) >= 2 * first.side(layer)]
    return finer[-1] if finer else None
