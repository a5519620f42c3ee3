"""Taps as they are written, `block/grid`, and as they are used, block → grid."""

from collections.abc import Mapping, Sequence

from fer_lit.errors import ConfigError
from fer_lit.limits import shown, suggestion
from fer_lit.networks.architecture import Architecture, map_side


def parse_taps(written: Sequence[str]) -> dict[str, int]:
    """Return block → height and width of the grid that its output is averaged over.

    An entry is `inception3b/4`, or a bare `inception5b` for a grid of one cell.

    Raises:
        ConfigError: no list of taps, an entry that is none, or a block twice.
    """
    if isinstance(written, Mapping):
        raise old_form({block: grid for block, grid in written.items() if grid is not None})
    if not isinstance(written, Sequence) or isinstance(written, str) or not written:
        raise ConfigError(
            f"model.taps={shown(written)}: must be a list of at least one block, each with the "
            "side of its grid, such as [inception5b/1]"
        )
    taps: dict[str, int] = {}
    for entry in written:
        block, _, grid = str(entry).partition("/")
        if not block or not (grid or "1").isdecimal():
            raise ConfigError(
                f"model.taps: {entry} is no tap; write block/grid, with a whole number of cells a "
                f"side: model.taps=[{block or 'inception5b'}/1]"
            )
        if block in taps:
            raise ConfigError(f"model.taps: {block} is tapped twice; give one grid for each block")
        taps[block] = int(grid or 1)
    return taps


def write_taps(taps: Mapping[str, int]) -> list[str]:
    """Return taps as `parse_taps` reads them."""
    return [f"{block}/{grid}" for block, grid in taps.items()]


def old_form(taps: Mapping[str, object]) -> ConfigError:
    """Return the error for taps that are written as a mapping, with the same as a list."""
    entries = ",".join(f"{block}/{grid}" for block, grid in taps.items()) or "inception5b/1"
    return ConfigError(f"model.taps: taps are a list now; write model.taps=[{entries}]")


def check_taps(written: Sequence[str], architecture: Architecture, image_size: int) -> None:
    """Check that the network has the blocks, and that their maps have as many cells.

    Raises:
        ConfigError: the first tap that cannot work, and what it may be.
    """
    for block, grid in parse_taps(written).items():
        if block not in architecture.channels:
            known = list(architecture.channels)
            raise ConfigError(
                f"model.taps: {architecture.name} has no block '{block}'"
                f"{suggestion(block, known)} (blocks: {', '.join(known)})"
            )
        side = map_side(architecture, block, image_size)
        if not 1 <= grid <= side:
            raise ConfigError(
                f"model.taps: {block}/{grid}: the grid must be a whole number from 1 to {side}, "
                f"the side of that block's map at data.image_size={image_size}"
            )
