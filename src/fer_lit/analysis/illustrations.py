"""The figures of an analysis, drawn from its tables and maps into files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_lit.analysis.averages import enlarge
from fer_lit.analysis.figures.bands import draw_row_profiles, draw_shares
from fer_lit.analysis.figures.maps import draw_average_maps, draw_differences, draw_maps_over_faces
from fer_lit.analysis.figures.scores import (
    draw_accuracy,
    draw_confusions,
    draw_reliability,
    draw_transfer,
)
from fer_lit.analysis.mapping import MappedPhotographs
from fer_lit.analysis.material import Material
from fer_lit.analysis.pictures import Picture, save_pictures
from fer_lit.analysis.selection import Selection
from fer_lit.analysis.shares import row_profiles
from fer_lit.faces.occlusion import occlude
from fer_lit.paper import BANDS
from fer_lit.runs.summary import paper_accuracy

Tables = Mapping[str, Sequence[Mapping[str, Any]]]


def draw_scores(
    folder: Path, selection: Selection, tables: Tables, confusions: Mapping[str, np.ndarray]
) -> dict[str, Picture]:
    """Draw what the predictions say: accuracies, confusion matrices, calibration, transfer.

    Args:
        folder: where to.
        selection: the runs.
        tables: by name (see `analyze`).
        confusions: counts by condition.
    """
    conditions = selection.conditions
    papers = {label: paper_accuracy(one.config) for label, one in conditions.items()}
    paper = {label: value for label, value in papers.items() if value is not None}
    seeds = {
        label: [run.accuracy for run in one.runs.values()]
        for label, one in conditions.items()
        if len(one.runs) > 1
    }
    drawn = {
        "accuracy": (
            draw_accuracy(tables["accuracy"], paper or None, seeds),
            "Accuracy of each condition on faces that its networks did not train on, each "
            "photograph once, with 95 % Wilson intervals"
            + (", beside the paper's" if paper else "")
            + ("; beneath, single seeds and the 95 % interval of their mean." if seeds else "."),
        ),
        "confusion": (
            draw_confusions(confusions, selection.config.data.classes),
            "Confusion matrices: counts, and shares of the label's photographs.",
        ),
        "calibration": (
            draw_reliability(
                tables["calibration"], {row["condition"]: row["ece"] for row in tables["accuracy"]}
            ),
            "Calibration: how often predictions of a confidence are right. On the dashed line a "
            "network is as sure as it should be; ECE is the expected calibration error.",
        ),
    }
    if tables["transfer"]:
        drawn["transfer"] = (
            _transfer_figure(tables["transfer"]),
            "Transfer: accuracy of networks trained under one condition (rows) and tested under "
            "another (columns); framed, under their own. Means over seeds.",
        )
    return save_pictures(folder, drawn)


def draw_maps(
    folder: Path,
    material: Material,
    mapped: MappedPhotographs,
    tables: Tables,
    colormap: str,
) -> dict[str, Picture]:
    """Draw the averaged maps (Figure 3 of the paper) and what was measured on them.

    Args:
        folder: where to.
        material: photographs and networks.
        mapped: the photographs' maps.
        tables: by name.
        colormap: one of Matplotlib's.
    """
    attention = mapped.attention
    names = (attention.emotions, attention.conditions)
    conditions = material.conditions.values()
    rows = [one.occlusion.band[0] if one.occlusion.height else None for one in conditions]
    marks = (BANDS, rows)
    means = enlarge(attention.mean["scaled"])
    over = _mean_faces(material, mapped)
    drawn = {
        "maps": (
            draw_average_maps(means, *names, *marks, colormap),
            "Averaged attention maps (Figure 3 of the paper): means of maps scaled to 0–1 each. "
            "Brackets mark the band that a condition covers.",
        ),
        "maps_over_faces": (
            draw_maps_over_faces(means, over, *names, *marks, colormap),
            "The same maps over the mean of the faces, as the networks see them.",
        ),
        "shares": (
            draw_shares(tables["attention"], BANDS),
            "Share of attention inside each band, with 95 % bootstrap intervals over photographs.",
        ),
        "row_profile": (
            draw_row_profiles(row_profiles(mapped), *names, BANDS),
            "Attention by row of the face, from top to bottom.",
        ),
    }
    for number, reference in enumerate(_references(material)):
        differences, own = _differences(material, mapped, reference)
        drawn[f"difference_to_{number}" if number else "difference"] = (
            draw_differences(
                differences,
                attention.emotions,
                own,
                BANDS,
                [
                    row
                    for row, label in zip(rows, attention.conditions, strict=True)
                    if label in own
                ],
                reference,
            ),
            f"Change of the attention against {reference}, pixel by pixel: differences of mean "
            "maps that are scaled to sum 1 each.",
        )
    return save_pictures(folder, drawn)


def _transfer_figure(rows: Sequence[Mapping[str, Any]]) -> Any:
    trained = list(dict.fromkeys(row["trained"] for row in rows))
    tested = list(dict.fromkeys(row["tested"] for row in rows))
    shape = (len(trained), len(tested))  # the table has a row for each pair, in this order
    matrix = np.reshape([row["mean"] for row in rows], shape)
    own = np.reshape([row["own"] for row in rows], shape)
    return draw_transfer(matrix, trained, tested, own)


def _mean_faces(material: Material, mapped: MappedPhotographs) -> np.ndarray:
    """Return the mean of the mapped photographs in each cell, (E, C, 48, 48)."""
    pixels = material.faces.pixels
    means = np.full(mapped.attention.photographs.shape + pixels.shape[1:], np.nan)
    for column, condition in enumerate(material.conditions.values()):
        seen = occlude(pixels, condition.occlusion)[mapped.indices]
        for label in np.unique(mapped.labels):
            means[label, column] = seen[mapped.labels == label].mean(axis=0)
    return means


def _references(material: Material) -> list[str]:
    """Return the conditions that others are compared with."""
    wanted = [one.reference for one in material.conditions.values() if one.reference != one.label]
    return [label for label in dict.fromkeys(wanted) if label in material.conditions]


def _differences(
    material: Material, mapped: MappedPhotographs, reference: str
) -> tuple[np.ndarray, list[str]]:
    """Return the change of the mean mass maps, (E, c, 48, 48), and the labels of c conditions."""
    labels = mapped.attention.conditions
    own = [
        label
        for label, one in material.conditions.items()
        if one.reference == reference and label != reference
    ]
    mass = enlarge(mapped.attention.mean["mass"])
    columns = [labels.index(label) for label in own]
    return mass[:, columns] - mass[:, [labels.index(reference)]], own
