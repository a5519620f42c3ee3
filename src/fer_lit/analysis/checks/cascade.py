"""A check by randomising the backbone: maps must change as it forgets, block by block."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from fer_lit.analysis.cam import MapMaker, trunk
from fer_lit.analysis.checks.likeness import SIMILAR, is_unlike, rank_correlations
from fer_lit.analysis.checks.passes import read_on
from fer_lit.analysis.checks.subject import Row, Subject, judged
from fer_lit.analysis.networks import TrainedNetwork
from fer_lit.analysis.report import style
from fer_lit.analysis.report.style import PAGE_WIDTH, SMALL
from fer_lit.networks.architecture import blocks_to
from fer_lit.networks.backbone import Backbone, pool
from fer_lit.networks.weights import build_backbone

PHOTOGRAPHS = 12
"""Of each condition: each goes through the network once for every other block."""
_STREAM = 2


def cascade(subject: Subject, maps: np.ndarray) -> list[Row]:
    """Randomise the backbone's blocks in cascade, deepest first, and compare the maps.

    Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018. The head keeps its weights.
    Random weights are He's, whose scale keeps activations alive through any number of layers; a
    trained layer's own weights in another order would not, since theirs are balanced to cancel.
    Statistics of every BatchNorm behind a randomised layer, those of the head, too, are measured
    anew on these photographs: those of the trained layers are of other activations, by which what
    follows would be drowned or silenced.

    Args:
        subject: its backbone stays as it is; a copy is randomised.
        maps: of all its photographs, float32, (N, h, h).

    Returns:
        One row for each block with weights, from the deepest that the head reads to the first:
        `block`, the last that was randomised, `randomised`, how many are, and the outcome (mean
        |ρ| with the maps of the trained network) as that of a check.
    """
    places = subject.spread(PHOTOGRAPHS)
    stages = _Stages(subject.only(places))
    rows = []
    for number, block in enumerate(stages.blocks, start=1):
        alike = np.abs(rank_correlations(maps[places], stages.maps(block)))
        outcome = judged(alike, f"below {SIMILAR}", is_unlike, subject.seed)
        rows.append({"block": block, "randomised": number, **outcome})
    return rows


def check_cascade(rows: list[Row]) -> Row:
    """Return the outcome with the whole backbone randomised: maps must differ.

    It passes if the upper end of the interval of the mean |ρ| is below `SIMILAR`. What is alike
    then is what any network would show of these photographs: edges, or where there is something.
    """
    return {name: rows[-1][name] for name in rows[-1] if name not in ("block", "randomised")}


class _Stages:
    """A subject's network, more and more of which is random.

    What the trained blocks put out is computed once, so that a stage goes through the random blocks
    alone.

    Attributes:
        blocks: those with weights, in the order in which `maps` randomises them.
    """

    def __init__(self, subject: Subject):
        self._subject, reader = subject, subject.network.reader
        self._names = blocks_to(reader.backbone.architecture, subject.network.deepest)
        self.blocks = [name for name in reversed(self._names) if _weights(reader.backbone, name)]
        self._pixels = subject.network.views(subject.pixels)(
            torch.arange(len(subject.labels), device=reader.device), 0
        )
        self._trained = self._run(reader.backbone, None, self._names)
        (seed,) = subject.seeds(1, _STREAM)
        random = build_backbone(reader.backbone.architecture, None, seed=seed)
        self._random = random.to(reader.device)
        self._partly = copy.deepcopy(reader.backbone)
        self._partly.freeze_all_but(())

    def maps(self, block: str) -> np.ndarray:
        """Randomise one more block; return the maps of the network so far, (N, h, h)."""
        state = self._random.blocks[block].state_dict()
        self._partly.blocks[block].load_state_dict(state)
        layer, first = self._subject.settings.layer, self._names.index(block)
        before = self._names[first - 1] if first else None
        self._measure(before, self._names[first:])
        outputs = self._trained | self._run(self._partly, before, self._names[first:])
        reader = replace(self._subject.network.reader, backbone=self._partly)
        network = replace(self._subject.network, reader=reader)
        taps = trunk(network, layer).taps
        tapped = {tap: pool(outputs[tap], grid) for tap, grid in taps.items()}
        network = self._with_own_statistics(network, tapped)
        labels = torch.from_numpy(self._subject.labels).to(reader.device)
        return MapMaker(network, self._subject.settings)(tapped, labels)

    @torch.no_grad()
    def _run(
        self, backbone: Backbone, before: str | None, wanted: tuple[str, ...]
    ) -> dict[str, Tensor]:
        """Return outputs of blocks after `before`, None: of all, in the run's arithmetic."""
        arithmetic = self._subject.network.reader.arithmetic
        mixed = arithmetic != torch.float32
        dtype = arithmetic if mixed else None
        with torch.autocast(self._pixels.device.type, dtype=dtype, enabled=mixed):
            if before is None:
                return backbone(self._pixels, wanted)
            return backbone.resume(before, self._trained[before], wanted)

    def _measure(self, before: str | None, blocks: tuple[str, ...]) -> None:
        """Measure the statistics of every BatchNorm in blocks that follow one another."""
        modules = [self._partly.blocks[name] for name in blocks]
        if before is None:
            given, modules = self._pixels, [self._partly.preprocessing, *modules]
        else:
            given = self._trained[before].float()
        update_bn([given], nn.Sequential(*modules))
        self._partly.eval()

    def _with_own_statistics(
        self, network: TrainedNetwork, tapped: Mapping[str, Tensor]
    ) -> TrainedNetwork:
        """Return the network with the statistics of its head measured on these features."""
        head = copy.deepcopy(network.head)
        with torch.random.fork_rng():
            torch.manual_seed(self._subject.seed)  # of what is dropped
            update_bn([read_on(network, self._subject.settings.layer, tapped)], head)
        return network.with_head(head)


def _weights(backbone: Backbone, block: str) -> bool:
    return next(backbone.blocks[block].parameters(), None) is not None


def draw_cascade(table: pd.DataFrame) -> Figure:
    """Draw, for each condition, how alike maps are while more and more of a backbone is random.

    Args:
        table: columns `condition`, `block`, `value`, `from` and `to` (see `cascade`).
    """
    conditions = list(table["condition"].unique())
    figure = Figure(figsize=(PAGE_WIDTH, 2.9), layout="constrained")
    axis = figure.subplots()
    # Heads may read less deep blocks than others do.
    blocks = max((own["block"].tolist() for _, own in table.groupby("condition")), key=len)
    lines = []
    for label, look in style.looks(conditions).items():
        own = table[table["condition"] == label]
        places = own["block"].map(blocks.index)
        axis.fill_between(places, own["from"], own["to"], color=look.colour, alpha=0.12, lw=0)
        line = {"color": look.colour, "linestyle": look.line, "marker": look.marker}
        lines += axis.plot(places, own["value"], markersize=3.5, linewidth=1, **line)
    axis.axhline(SIMILAR, color="0.5", linewidth=0.8, linestyle=(0, (4, 2)))
    axis.set_xticks(range(len(blocks)), blocks, rotation=90)
    axis.set(ylim=(0, 1), ylabel="mean |ρ|", xlabel="random from here on")
    style.style_axis(axis)
    axis.tick_params(labelsize=SMALL)
    if len(conditions) > 1:
        style.legend_below(figure, lines, conditions)
    return figure
