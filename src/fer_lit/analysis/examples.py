"""Sample faces, and attention maps over single photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_lit.analysis.attention import MapSettings
from fer_lit.analysis.averages import enlarge, scale
from fer_lit.analysis.figures.faces import Example, draw_examples, draw_samples
from fer_lit.analysis.mapping import MappedPhotographs, map_faces
from fer_lit.analysis.material import Material
from fer_lit.analysis.pictures import Picture, save_pictures
from fer_lit.faces.augmentation import AS_THEY_ARE
from fer_lit.faces.occlusion import occlude
from fer_lit.faces.views import FaceViews

EXAMPLES = 4
"""Photographs in Figure 2 that a condition's network got right, and as many that it got wrong."""


def draw_single_photographs(
    folder: Path,
    material: Material,
    mapped: MappedPhotographs,
    settings: MapSettings,
    colormap: str,
) -> dict[str, Picture]:
    """Draw sample faces (Figure 1 of the paper) and maps over single photographs (Figure 2).

    Args:
        folder: where to.
        material: photographs and networks; the first network of each condition explains.
        mapped: the photographs to choose from.
        settings: how maps are made.
        colormap: one of Matplotlib's.
    """
    covered = {
        label: occlude(material.faces.pixels, one.occlusion)
        for label, one in material.conditions.items()
    }
    classes = material.faces.classes
    known = np.unique(mapped.labels)
    samples = [mapped.indices[mapped.labels == label][0] for label in known]
    faces = {label: pixels[samples] for label, pixels in covered.items()}
    examples = [
        example
        for label, pixels in covered.items()
        for example in _examples(material, label, mapped.indices, pixels, settings)
    ]
    drawn = {
        "samples": (
            draw_samples(faces, [classes[label] for label in known]),
            "Sample faces in each condition (Figure 1 of the paper).",
        ),
    }
    if examples:
        drawn["examples"] = (
            draw_examples(examples, colormap),
            "Attention maps over single photographs (Figure 2 of the paper), by the first network "
            "of each condition: photographs that it gets right (solid frames) and wrong (dashed), "
            "drawn at random.",
        )
    return save_pictures(folder, drawn)


def _examples(
    material: Material, label: str, indices: np.ndarray, covered: np.ndarray, settings: MapSettings
) -> list[Example]:
    """Return right and wrong photographs of a condition's first network, none trained on."""
    key = material.keys(label)[0]
    faces, network = material.faces, material.networks[key]
    predictions = material.conditions[label].runs[key[1]].predictions
    place = {name: row for row, name in enumerate(predictions.names)}
    known = indices[material.held_out[key][indices]]
    rows = np.array([place[faces.names[index]] for index in known], dtype=int)
    right = predictions.right[rows]
    random = np.random.default_rng(0)
    chosen = np.concatenate(
        [random.permutation(np.flatnonzero(group))[:EXAMPLES] for group in (right, ~right)]
    )
    own = known[chosen]
    if not len(own):
        return []
    views = FaceViews(covered[own], AS_THEY_ARE, network.image_size)
    raw = map_faces([network], views, faces.labels[own], settings, material.device)[0]
    return [
        Example(
            label,
            covered[index],
            shown,
            faces.classes[faces.labels[index]],
            faces.classes[predictions.predicted[row]],
            float(predictions.probabilities[row].max()),
        )
        for index, row, shown in zip(own, rows[chosen], enlarge(scale(raw)["scaled"]), strict=True)
    ]
