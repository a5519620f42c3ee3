"""One's own photographs, as the networks of every condition see them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_lit.analysis.attention import MapSettings
from fer_lit.analysis.averages import enlarge, scale
from fer_lit.analysis.checkpoints import Networks, TrainedNetwork, load_networks
from fer_lit.analysis.figures.faces import Seen, draw_own_picture
from fer_lit.analysis.figures.files import save_figure
from fer_lit.analysis.layer import choose_layer
from fer_lit.analysis.mapping import map_faces
from fer_lit.analysis.selection import Selection
from fer_lit.errors import ConfigError
from fer_lit.faces.augmentation import AS_THEY_ARE
from fer_lit.faces.listing import SUFFIXES
from fer_lit.faces.occlusion import occlude
from fer_lit.faces.pictures import decode_square
from fer_lit.faces.views import FaceViews
from fer_lit.files import write_csv

log = logging.getLogger(__name__)


def explain_images(
    cfg: DictConfig, selection: Selection, folder: Path, device: torch.device
) -> None:
    """Let the networks of each condition judge pictures; write a figure of each, and a table.

    A picture is used as it is: its middle, cropped square, in grey and 48×48 pixels.

    Args:
        cfg: `images` is a file, a folder or a glob.
        selection: the runs.
        folder: gets `probabilities.csv` and a figure a picture.
        device: where the networks compute.

    Raises:
        ConfigError: there is no picture that can be read, or no network that can be rebuilt.
    """
    pictures, notes = _read(_find(cfg.images))
    networks, problems = load_networks(selection, cfg.weights, device)
    if not networks:
        raise ConfigError(problems[0])
    layer = choose_layer(cfg.layer, list(networks.values()))
    settings = MapSettings(layer, cfg.method, "label", cfg.score)
    log.info("Pictures are used as they are, cropped square: a face should fill them")
    pixels = np.stack(list(pictures.values()))
    seen = {
        label: _see(pixels, label, selection, networks, settings, device)
        for label in selection.conditions
        if any(key[0] == label for key in networks)
    }
    classes = list(selection.config.data.classes)
    rows = _rows(list(pictures), seen, classes)
    for number, file in enumerate(pictures):
        views = {label: one[number] for label, one in seen.items()}
        figure = draw_own_picture(file.name, views, classes, cfg.colormap)
        save_figure(figure, folder, f"{number + 1:02}_{file.stem}")
    write_csv(folder / "probabilities.csv", rows)
    _show(folder, rows, classes, [*selection.notes, *problems, *notes])


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
            pictures[file] = decode_square(file)
        except Exception as error:  # Pillow passes on whatever its parsers stumble over
            notes.append(f"{file} cannot be read as a picture: {error}")
    if not pictures:
        raise ConfigError(f"images: {notes[0]}")
    return pictures, notes


def _see(
    pixels: np.ndarray,
    label: str,
    selection: Selection,
    networks: Networks,
    settings: MapSettings,
    device: torch.device,
) -> list[Seen]:
    """Return each picture as the networks of a condition see it."""
    own = [network for key, network in networks.items() if key[0] == label]
    covered = occlude(pixels, selection.conditions[label].occlusion)
    views = FaceViews(covered, AS_THEY_ARE, own[0].image_size)
    groups: dict[tuple, list[TrainedNetwork]] = {}
    for network in own:
        groups.setdefault((network.digest, network.arithmetic), []).append(network)
    judged = [_judge(group, views, device) for group in groups.values()]
    probabilities = np.concatenate(judged).mean(axis=0)
    predicted = probabilities.argmax(axis=1)
    raw = [map_faces(group, views, predicted, settings, device) for group in groups.values()]
    maps = enlarge(scale(np.concatenate(raw))["scaled"].mean(axis=0))
    return [Seen(*one) for one in zip(covered, maps, probabilities, strict=True)]


def _judge(
    networks: Sequence[TrainedNetwork], views: FaceViews, device: torch.device
) -> np.ndarray:
    """Return probabilities, (networks, N, classes), by networks that share their backbone."""
    features = networks[0].features(views, device)
    return np.stack([network.probabilities(features).cpu().numpy() for network in networks])


def _rows(
    files: Sequence[Path], seen: Mapping[str, Sequence[Seen]], classes: Sequence[str]
) -> list[dict[str, Any]]:
    return [
        {
            "picture": str(file),
            "condition": label,
            "prediction": classes[one[number].probabilities.argmax()],
            **{
                f"probability_{emotion}": float(value)
                for emotion, value in zip(classes, one[number].probabilities, strict=True)
            },
        }
        for number, file in enumerate(files)
        for label, one in seen.items()
    ]


def _show(
    folder: Path, rows: Sequence[Mapping[str, Any]], classes: Sequence[str], notes: Sequence[str]
) -> None:
    table = Table(title="Probabilities in %, mean over the networks", box=box.SIMPLE)
    for name in ("picture", "condition", "prediction"):
        table.add_column(name)
    for emotion in classes:
        table.add_column(emotion, justify="right")
    for row in rows:
        values = [f"{100 * row[f'probability_{emotion}']:.0f}" for emotion in classes]
        cells = (Path(row["picture"]).name, row["condition"], row["prediction"], *values)
        table.add_row(*map(escape, cells))
    console = Console()
    console.print(table)
    for note in notes:
        console.print(f"[yellow]Note:[/] {escape(note)}", highlight=False)
    console.print(f"Written to {escape(str(folder))}", soft_wrap=True, highlight=False)
