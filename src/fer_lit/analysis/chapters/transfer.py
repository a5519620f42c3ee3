"""What networks trained under one occlusion achieve under another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from fer_lit.analysis.chapter import Analysis, Chapter, Drawing, Finding, Table
from fer_lit.analysis.networks import Key, Networks
from fer_lit.analysis.report import style
from fer_lit.faces.occlusion import Occlusion, occlude
from fer_lit.feature_bank.bank import FeatureBank, depends_on
from fer_lit.feature_bank.compilation import Read, fastest
from fer_lit.paper import BANDS
from fer_lit.progress import image_progress
from fer_lit.runs.predictions import prediction_frame

_READ_AT_A_TIME = 4096  # faces, which bounds the memory
_FIGURE_CAPTION = (
    "Transfer: accuracy of networks trained under one condition (rows) and tested under another "
    "(columns); framed, under their own. Means over seeds."
)
_TABLE_CAPTION = (
    "Transfer: mean accuracy over seeds of the networks trained under one condition and tested "
    "under another, on the face as it is (view 0)."
)


def chapter(analysis: Analysis) -> Chapter:
    """Test each condition's networks under the occlusions of the others."""
    title = "From one condition to another"
    if not analysis.networks:
        return Chapter(title, tables=[Table("transfer", pd.DataFrame())])
    rows = transfer_table(analysis.networks)
    references = {label: one.reference for label, one in analysis.selection.conditions.items()}
    return Chapter(
        title,
        [Drawing("transfer", draw_transfer(rows), _FIGURE_CAPTION)],
        [Table("transfer", rows, {_TABLE_CAPTION: None})],
        transfer_findings(rows, references),
    )


def transfer_table(networks: Networks) -> pd.DataFrame:
    """Test each network under every condition's occlusion, on the faces it is judged on, view 0.

    Features of frozen backbones come from the feature bank; those that are not there are computed
    and kept. Those of fine-tuned ones would serve nobody else, and are not.

    Returns:
        One row for each condition that networks were trained under and each occlusion: `trained`,
        `tested`, `own` (whether it is the one they were trained under), `seeds`, and `mean` and
        `sd` (missing for one network) of their accuracies, 0–1.
    """
    conditions = networks.conditions
    occlusions = {one.covered: one.occlusion for one in conditions.values()}
    tests = pd.DataFrame(
        [
            {"trained": label, "tested": name, "accuracy": predictions["right"].mean()}
            for group in networks.sharing
            for name, found in _under_each(networks, group, occlusions)
            for (label, _), predictions in found.items()
        ]
    )
    of_cells = tests.groupby(["trained", "tested"])["accuracy"]
    table = of_cells.agg(seeds="size", mean="mean", sd="std")
    table = table.loc[[(label, name) for label in conditions for name in occlusions]].reset_index()
    own = table["tested"] == [conditions[label].covered for label in table["trained"]]
    table.insert(2, "own", own)
    return table


def _under_each(
    networks: Networks, group: Sequence[Key], occlusions: Mapping[str, Occlusion]
) -> Iterator[tuple[str, dict[Key, pd.DataFrame]]]:
    """Yield the group's predictions under each occlusion."""
    faces, reader = networks.judged(group), networks.trained[group[0]].reader
    if networks.conditions[group[0][0]].config.model.freeze == "all":
        for name, occlusion in occlusions.items():
            views = networks.trained[group[0]].views(occlude(networks.faces.pixels, occlusion))
            bank = FeatureBank(views, depends_on(networks.faces, occlusion), reader)
            bank.fill({0: faces})
            yield name, _predict(networks, group, partial(bank.read, view=0), _READ_AT_A_TIME)
        return
    passes = len(faces) * len(occlusions)
    read = fastest(reader, passes)
    with image_progress("Testing under occlusions", passes) as advance:
        for name, occlusion in occlusions.items():
            yield name, predict_under(networks, group, occlusion, read, advance)


def predict_under(
    networks: Networks,
    group: Sequence[Key],
    occlusion: Occlusion,
    read: Read,
    advance: Callable[[int], None],
) -> dict[Key, pd.DataFrame]:
    """Let each network of a group predict the faces it is judged on under an occlusion.

    Args:
        networks: and their photographs.
        group: networks that share their features, of which none are kept.
        occlusion: to test under.
        read: reads what the group shares from pixels.
        advance: told how many faces have gone through the network.

    Returns:
        For each network a `prediction_frame`.
    """
    network = networks.trained[group[0]]
    views = network.views(occlude(networks.faces.pixels, occlusion))

    def read_faces(indices: Tensor) -> dict[str, Tensor]:
        features = read(views(indices, 0))
        advance(len(indices))
        return features

    return _predict(networks, group, read_faces, network.reader.batch)


def _predict(
    networks: Networks, group: Sequence[Key], read: Read, batch: int
) -> dict[Key, pd.DataFrame]:
    """Return the predictions from features that `read` returns, `batch` faces at a time."""
    faces, judged = networks.faces, networks.judged(group)
    found: dict[Key, list[np.ndarray]] = {key: [] for key in group}
    for part in np.split(judged, range(batch, len(judged), batch)):
        features = read(torch.from_numpy(part).to(networks.device))
        for key in group:
            own = torch.from_numpy(networks.held_out[key][part]).to(networks.device)
            tapped = {tap: values[own] for tap, values in features.items()}
            found[key].append(networks.trained[key].probabilities(tapped).cpu().numpy())
    frames = {}
    for key, parts in found.items():
        own = np.flatnonzero(networks.held_out[key])
        names, labels = [faces.names[index] for index in own], faces.labels[own]
        frames[key] = prediction_frame(names, labels, np.concatenate(parts), faces.classes)
    return frames


def transfer_findings(table: pd.DataFrame, references: Mapping[str, str]) -> list[Finding]:
    """Return what a network that has never seen a band makes of it.

    Args:
        table: see `transfer_table`.
        references: condition → the same without occlusion.
    """
    means = table.set_index(["trained", "tested"])["mean"]
    own = table[table["own"]]
    of_trained = own.set_index([own["trained"].map(references), "tested"])["mean"]
    findings = []
    for reference in dict.fromkeys(references.values()):
        costs = [
            f"{band} {style.percent(means[reference, band])} "
            f"(trained under it: {style.percent(of_trained[reference, band])})"
            for band in BANDS
            if (reference, band) in means.index and (reference, band) in of_trained.index
        ]
        which = "" if reference == "none" else f" ({reference})"
        if costs:
            text = f"Networks trained without occlusion{which}, tested under a band they have "
            findings.append(Finding(f"{text}never seen: {', '.join(costs)}."))
    return findings


def draw_transfer(table: pd.DataFrame) -> Figure:
    """Draw the accuracy of each network under each condition; framed: the one it was trained for.

    Args:
        table: see `transfer_table`; of what is not known, `mean` is missing.
    """
    trained, tested = (list(table[name].unique()) for name in ("trained", "tested"))
    shape = (len(trained), len(tested))
    accuracy, own = (table[name].to_numpy().reshape(shape) for name in ("mean", "own"))
    cell = min(0.8, (style.PAGE_WIDTH - 2.4) / len(tested))
    names = style.column_names(tested, cell)
    size = (2.4 + cell * len(tested), 0.7 + names.height + max(cell, 0.4) * len(trained))
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(accuracy, cmap="cividis", aspect="auto")
    style.style_axis(axis)
    for (row, column), share in np.ndenumerate(accuracy):
        axis.text(
            *(column, row, "–" if np.isnan(share) else f"{100 * share:.1f}"),
            ha="center",
            va="center",
            fontsize=style.NORMAL,
            color="white" if image.norm(share) < 0.5 else "black",
        )
        if own[row, column]:
            _frame(axis, column, row)
    axis.set_xticks(range(len(tested)), names.texts, rotation=names.rotation)
    axis.set_yticks(range(len(trained)), [style.wrapped(label, 1.0) for label in trained])
    axis.set(xlabel="tested under", ylabel="trained under")
    bar = figure.colorbar(image)
    bar.set_label("accuracy, %", fontsize=style.SMALL)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    bar.ax.tick_params(labelsize=style.SMALL)
    return figure


def _frame(axis: Axes, column: int, row: int) -> None:
    """Draw a frame inside a cell that is seen on dark and on light colours."""
    frame = Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor="white")
    frame.set(linewidth=1.5, path_effects=[withStroke(linewidth=3.5, foreground="black")])
    axis.add_patch(frame)
