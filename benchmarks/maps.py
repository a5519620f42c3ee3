"""Averaged attention maps beside a plain forward pass, and beside pytorch-grad-cam used plainly."""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from contenders import TAP, finish
from program import Program
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from tables import environment, markdown_table
from torch import nn

from fer_lit.analysis.cam import SCORES, MapSettings, map_faces, trunk
from fer_lit.analysis.maps import map_photographs
from fer_lit.analysis.networks import gather
from fer_lit.analysis.selection import select_runs
from fer_lit.feature_bank.compilation import WORTHWHILE_PIXELS, fastest
from fer_lit.feature_bank.malloc import large_blocks_kept
from fer_lit.networks.backbone import pool
from fer_lit.precision import choose_device

HELD_OUT = 0.3
"""Share of the faces that a head has not trained on: the maps that it makes are of these."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    parser.add_argument("--faces", type=int, default=960, help="drawn faces, without occlusion")
    parser.add_argument("--plain-faces", type=int, default=32, help="for pytorch-grad-cam")
    parser.add_argument("--heads", type=int, default=10, help="as many as seeds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--network", choices=("googlenet", "googlenet_caffe"), default="googlenet")
    parser.add_argument("--weights", metavar="FILE", help="without: random ones")
    parser.add_argument("--image-size", type=int, default=224, help="of the input, in pixels")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the table and how far the maps are from the library's."""
    logging.disable(logging.INFO)
    # However few faces there are, those of an analysis are enough to compile for.
    WORTHWHILE_PIXELS.update(cpu=1, cuda=1)
    with TemporaryDirectory(prefix="fer-lit-benchmark-", ignore_cleanup_errors=True) as temporary:
        program = Program(Path(temporary))
        sweep = _train(program, arguments)
        os.environ["FER_LIT_CACHE"] = str(program.cache)
        several, one = _Explained(sweep), _Explained(sweep / "0_none_seed0")
    timed = {
        "plain forward pass": several.forward,
        "maps of one head": one.map,
        f"maps of {arguments.heads} heads, each of {HELD_OUT:.0%} of the faces": several.map,
        "pytorch-grad-cam through the whole network, float32": (
            lambda: one.plain(arguments.plain_faces, "logit")[0]
        ),
    }
    for measure in timed.values():
        measure()  # compiles
    rounds = [{name: measure() for name, measure in timed.items()} for _ in range(arguments.rounds)]
    rows = [_row(name, [each[name] for each in rounds], rounds) for name in timed]
    errors = ", ".join(f"{score} {one.error(arguments.plain_faces, score):.1e}" for score in SCORES)
    sys.stdout.write(
        f"{markdown_table(rows)}\n\nRelative error against pytorch-grad-cam in float32: {errors}\n"
        f"{environment()}\n"
    )


def _train(program: Program, arguments: argparse.Namespace) -> Path:
    """Train heads on one backbone for one epoch each; return the folder of their sweep."""
    program.run(
        "-m",
        f"seed=range({arguments.heads})",
        *program.prepare(
            arguments.faces, arguments.network, arguments.weights, arguments.image_size
        ),
        f"data.image_size={arguments.image_size}",
        f"data.split.validation={HELD_OUT}",
        f"model.taps=[{TAP}]",
        "features.views=0",
        "trainer.max_epochs=1",
        "logger=none",
    )
    return program.sweeps[-1]


class _Explained:
    """Heads of run folders on their backbone, and the faces, as the analysis reads them.

    Args:
        folder: of a sweep or a run.
    """

    def __init__(self, folder: Path):
        self._device = choose_device("auto")
        selection = select_runs(str(folder), "")
        self._networks, problems = gather(selection, None, None, self._device)
        if problems:
            raise RuntimeError("; ".join(problems))
        self._faces = self._networks.faces
        self._network = next(iter(self._networks.trained.values()))

    def map(self) -> float:
        """Return the seconds per face of averaged maps of all faces that a head held out."""
        indices = np.flatnonzero(np.any([*self._networks.held_out.values()], axis=0))
        settings = self._settings("logit")
        return self._seconds_per_face(
            len(indices), lambda: map_photographs(self._networks, indices, settings)
        )

    def forward(self) -> float:
        """Return the seconds per face of probabilities, by the network compiled for the maps."""
        # The trunk of the maps, since one compiled network is kept at a time.
        read, batch = fastest(trunk(self._network, TAP), faces=2), self._network.reader.batch
        views = self._network.views(self._faces.pixels)

        def work() -> None:
            with large_blocks_kept(), torch.no_grad():
                for part in torch.arange(len(views), device=self._device).split(batch):
                    self._network.head({TAP: pool(read(views(part, 0))[TAP], 1)}).softmax(1)

        return self._seconds_per_face(len(views), work)

    def plain(self, count: int, score: str) -> tuple[float, np.ndarray]:
        """Time pytorch-grad-cam as its documentation uses it.

        Args:
            count: of the first faces.
            score: `logit` or `probability`: what is differentiated.

        Returns:
            Seconds per face, and the maps: float32, (count, S, S).
        """
        engine = GradCAM(self._whole, [self._network.reader.backbone.blocks[TAP]])
        targets = [SCORES[score](int(label)) for label in self._faces.labels[:count]]
        found = []
        views = self._network.views(self._faces.pixels[:count])
        pixels = views(torch.arange(count, device=self._device), 0)
        seconds = self._seconds_per_face(count, lambda: found.append(engine(pixels, targets)))
        return seconds, found[0]

    def error(self, count: int, score: str) -> float:
        """Return how far fer-lit's maps in float32 are from the library's, relatively."""
        _, wanted = self.plain(count, score)
        reader = self._network.reader
        raw = map_faces(
            [replace(self._network, reader=replace(reader, arithmetic=torch.float32))],
            self._faces.pixels[:count],
            self._faces.labels[:count],
            self._settings(score),
        )[0]
        # The library scales twice: the small map, then the enlarged one.
        found = scale_cam_image(scale_cam_image(raw, (reader.image_size,) * 2))
        return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))

    @cached_property
    def _whole(self) -> nn.Module:
        return _Whole(self._network.reader.backbone, self._network.head)

    def _settings(self, score: str) -> MapSettings:
        return MapSettings(TAP, "gradcam", "label", score)

    def _seconds_per_face(self, count: int, work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        finish(self._device)
        return (time.perf_counter() - start) / count


class _Whole(nn.Module):
    def __init__(self, backbone: nn.Module, head: nn.Module):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # pytorch-grad-cam finds no gradients unless something upstream requires them.
        read = self.backbone(x.clone().requires_grad_(), [TAP])
        return self.head({TAP: pool(read[TAP], 1)})


def _row(name: str, seconds: list[float], rounds: list[dict[str, float]]) -> dict[str, str]:
    ratios = [each[name] / each["plain forward pass"] for each in rounds]
    return {
        "what": name,
        "ms per face, median": f"{1e3 * statistics.median(seconds):.1f}",
        "min–max": f"{1e3 * min(seconds):.1f}–{1e3 * max(seconds):.1f}",
        "of the forward pass": f"{statistics.median(ratios):.2f}",
    }
