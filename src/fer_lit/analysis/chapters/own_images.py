"""One's own photographs, as the networks of every condition see them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_lit.analysis.cam import MapSettings, map_faces
from fer_lit.analysis.chapter import records
from fer_lit.analysis.chapters.photographs import draw_face, draw_map
from fer_lit.analysis.enlargement import enlarge, scale
from fer_lit.analysis.networks import TrainedNetwork, load_networks
from fer_lit.analysis.report import style
from fer_lit.analysis.selection import Selection
from fer_lit.analysis.settings import choose_settings
from fer_lit.errors import NOT_SHOWN, UNWRITABLE, ConfigError, escaped
from fer_lit.faces.listing import SUFFIXES
from fer_lit.faces.occlusion import occlude
from fer_lit.faces.pictures import decode_square
from fer_lit.files import write_csv

log = logging.getLogger(__name__)


class Seen(NamedTuple):
    """A picture under one condition.

    Attributes:
        face: uint8 (48, 48), with the band applied.
        map: float (48, 48), 0-1: mean over the networks of the attention map of the prediction.
        probabilities: float (classes,), 0-1, mean over the networks.
    """

    face: np.ndarray
    map: np.ndarray
    probabilities: np.ndarray


def explain_images(
    cfg: DictConfig, selection: Selection, folder: Path, device: torch.device
) -> None:
    """Let the networks of each condition judge pictures; write a figure of each, and a table.

    A picture is used as it is: its middle, cropped square, in grey and 48×48 pixels.

    Args:
        cfg: `images` is a file, a folder or a glob.
        selection: the runs.
        folder: gets `probabilities.csv` and a figure for each picture.
        device: where the networks compute.

    Raises:
        ConfigError: there is no picture that can be read, or no network that can be rebuilt.
    """
    pictures, notes = _read(_find(cfg.images))
    networks, problems = load_networks(selection, cfg.weights, device)
    if not networks:
        raise ConfigError(problems[0])
    settings = replace(choose_settings(cfg, networks.values()), target="label")
    log.info("Pictures are used as they are, cropped square: a face should fill them")
    pixels = np.stack(list(pictures.values()))
    seen = {}
    for label, one in selection.conditions.items():
        if own := [network for key, network in networks.items() if key[0] == label]:
            seen[label] = _see(occlude(pixels, one.occlusion), own, settings)
    for number, file in enumerate(pictures):
        views = {label: one[number] for label, one in seen.items()}
        figure = draw_own_picture(file.name, views, selection.classes, cfg.colormap)
        style.save_figure(figure, folder, f"{number + 1:02}_{file.stem}")
    judged = judgements(list(pictures), seen, selection.classes)
    write_csv(folder / "probabilities.csv", records(judged))
    _show(folder, judged, selection.classes, [*selection.notes, *problems, *notes])


def _find(images: str) -> list[Path]:
    path = Path(images).expanduser()
    if path.is_file():
        return [path]
    pattern = path / "*" if path.is_dir() else path
    start = Path(pattern.anchor)  # the current folder, if the pattern is relative
    found = [
        file
        for file in start.glob(str(pattern.relative_to(pattern.anchor)))
        if file.suffix.lower() in SUFFIXES
    ]
    if not found:
        raise ConfigError(
            f"images={images}: there is no picture; give a file, a folder with pictures "
            f"({', '.join(SUFFIXES)}), or a glob such as images='photos/*.jpg'"
        )
    return sorted(found)


def _read(files: Sequence[Path]) -> tuple[dict[Path, np.ndarray], list[str]]:
    pictures, notes = {}, []
    for file in files:
        try:
            if UNWRITABLE.search(str(file)):
                raise ValueError(f"{NOT_SHOWN}; rename it")
            pictures[file] = decode_square(file)
        except Exception as error:  # Pillow passes on whatever its parsers stumble over
            notes.append(escaped(f"{file} cannot be read as a picture: {error}"))
    if not pictures:
        raise ConfigError(f"images: {notes[0]}")
    return pictures, notes


def _see(
    covered: np.ndarray, networks: Sequence[TrainedNetwork], settings: MapSettings
) -> list[Seen]:
    """Return each picture, uint8, (N, 48, 48), as the networks of a condition see it."""
    groups: dict[tuple, list[TrainedNetwork]] = {}
    for network in networks:
        groups.setdefault(network.reader.key, []).append(network)
    judged = []
    for group in groups.values():
        features = group[0].features(covered)
        judged += [network.probabilities(features).cpu().numpy() for network in group]
    probabilities = np.mean(judged, axis=0)
    predicted = probabilities.argmax(axis=1)
    raw = [map_faces(group, covered, predicted, settings) for group in groups.values()]
    centres = networks[0].centres(settings.layer)
    scaled = scale(np.concatenate(raw), centres)["scaled"]
    maps = enlarge(scaled.mean(axis=0), centres)
    return [Seen(*one) for one in zip(covered, maps, probabilities, strict=True)]


def judgements(
    files: Sequence[Path], seen: Mapping[str, Sequence[Seen]], classes: Sequence[str]
) -> pd.DataFrame:
    """Return one row for each picture and condition.

    Args:
        files: N pictures.
        seen: condition → N pictures as its networks see them.
        classes: the emotions.

    Returns:
        `picture`, `condition`, `prediction`, and `probability_<emotion>`, 0–1.
    """
    keys = [(str(file), label, i) for i, file in enumerate(files) for label in seen]
    probabilities = np.array([seen[label][i].probabilities for _, label, i in keys])
    table = pd.DataFrame(probabilities.astype(float), columns=classes).add_prefix("probability_")
    table.insert(0, "picture", [picture for picture, *_ in keys])
    table.insert(1, "condition", [label for _, label, _ in keys])
    table.insert(2, "prediction", np.array(classes, object)[probabilities.argmax(axis=1)])
    return table


def _show(folder: Path, judged: pd.DataFrame, classes: Sequence[str], notes: Sequence[str]) -> None:
    table = Table(title="Probabilities in %, mean over the networks", box=box.SIMPLE)
    for name in ("picture", "condition", "prediction"):
        table.add_column(name)
    for emotion in classes:
        table.add_column(escape(emotion), justify="right")
    for picture, condition, prediction, *probabilities in judged.itertuples(index=False):
        values = [f"{100 * value:.0f}" for value in probabilities]
        cells = (Path(picture).name, condition, prediction, *values)
        table.add_row(*map(escape, cells))
    console = Console()
    console.print(table)
    for note in notes:
        console.print(f"[yellow]Note:[/] {escape(note)}", highlight=False)
    console.print(f"Written to {escape(str(folder))}", soft_wrap=True, highlight=False)


def draw_own_picture(
    name: str, seen: Mapping[str, Seen], classes: Sequence[str], colormap: str = "jet"
) -> Figure:
    """Draw one picture under each condition, a column for each.

    From the top: the face with its band, the attention map over it, and the probabilities.

    Args:
        name: of the picture.
        seen: condition -> what its networks see.
        classes: the emotions.
        colormap: one of Matplotlib's.
    """
    panel = min(1.6, (style.PAGE_WIDTH - 0.8) / len(seen))
    names = style.column_names(list(seen), panel)
    bars = 0.5 + 0.17 * len(classes)
    size = (0.8 + panel * len(seen), 2 * panel + bars + names.height + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(name, fontsize=style.NORMAL)
    axes = figure.subplots(3, len(seen), squeeze=False, height_ratios=[panel, panel, bars])
    for column, text, one in zip(axes.T, names.texts, seen.values(), strict=True):
        column[0].set_title(text, fontsize=style.NORMAL, rotation=names.rotation)
        draw_face(column[0], one.face)
        draw_face(column[1], one.face)
        draw_map(column[1], one.map, colormap)
        _draw_probabilities(column[2], one.probabilities, classes)
    for axis in axes[2, 1:]:
        axis.set_yticklabels([])
    return figure


def _draw_probabilities(axis: Axes, values: np.ndarray, classes: Sequence[str]) -> None:
    style.style_axis(axis)
    bars = axis.barh(classes, 100 * values, color="#0072B2", height=0.65)
    numbers = [f"{100 * value:.0f}" for value in values]
    axis.bar_label(bars, numbers, padding=2, fontsize=style.SMALL)
    axis.set(xlim=(0, 125), xticks=(0, 50, 100))
    axis.invert_yaxis()
    axis.set_xlabel("probability, %", fontsize=style.SMALL)
