"""Averaged attention maps beside a plain forward pass, and beside pytorch-grad-cam used plainly."""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import (
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
)
from report import environment, markdown_table
from torch import nn

from fer_lit.analysis.attention import MapSettings, trunk_taps
from fer_lit.analysis.checkpoints import TrainedNetwork
from fer_lit.analysis.mapping import map_faces, map_photographs
from fer_lit.analysis.material import Material
from fer_lit.analysis.selection import Condition, Run, Selection
from fer_lit.faces.augmentation import AS_THEY_ARE
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.occlusion import Occlusion
from fer_lit.faces.synthetic import draw_faces
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank.bank import faces_in_a_pass
from fer_lit.feature_bank.compilation import WORTHWHILE_PIXELS, feature_extractor
from fer_lit.feature_bank.malloc import large_blocks_kept
from fer_lit.networks.backbone import pool
from fer_lit.networks.head import LinearHead
from fer_lit.networks.weights import build_backbone, calibrate_batch_norm
from fer_lit.precision import choose_device, choose_precision
from fer_lit.runs.predictions import Predictions

CLASSES = ("angry", "happy", "neutral")
LAYER = "inception5b"
SIZE = 224
HELD_OUT = 0.3
"""Share of the faces that each of several heads has not trained on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    parser.add_argument("--faces", type=int, default=960, help="drawn faces, without occlusion")
    parser.add_argument("--plain-faces", type=int, default=32, help="for pytorch-grad-cam")
    parser.add_argument("--heads", type=int, default=10, help="as many as seeds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--network", choices=("googlenet", "googlenet_caffe"), default="googlenet")
    parser.add_argument("--weights", metavar="FILE", help="without: random ones")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the table and how far the maps are from the library's."""
    logging.disable(logging.INFO)
    # However few faces there are, those of an analysis are enough to compile for.
    WORTHWHILE_PIXELS.update(cpu=1, cuda=1)
    faces = draw_faces(CLASSES, arguments.faces, seed=0)
    networks = _networks(arguments, faces)
    timed = {
        "plain forward pass": lambda: _forward(networks[0], faces),
        "maps of one head": lambda: _map(networks[:1], faces, share=1.0),
        f"maps of {arguments.heads} heads, each of {HELD_OUT:.0%} of the faces": (
            lambda: _map(networks, faces, HELD_OUT)
        ),
        "pytorch-grad-cam through the whole network, float32": (
            lambda: _plain(networks[0], faces, arguments.plain_faces, ClassifierOutputTarget)[0]
        ),
    }
    for measure in timed.values():
        measure()  # compiles
    rounds = [{name: measure() for name, measure in timed.items()} for _ in range(arguments.rounds)]
    rows = [_row(name, [each[name] for each in rounds], rounds) for name in timed]
    errors = ", ".join(
        f"{score} {_error(networks[0], faces, arguments.plain_faces, score):.1e}"
        for score in ("logit", "probability")
    )
    sys.stdout.write(
        f"{markdown_table(rows)}\n\nRelative error against pytorch-grad-cam in float32: {errors}\n"
        f"{environment()}\n"
    )


def _networks(arguments: argparse.Namespace, faces: FaceSet) -> list[TrainedNetwork]:
    """Return heads with random weights on one backbone; what is in them costs nothing."""
    device = choose_device("auto")
    backbone = build_backbone(arguments.network, arguments.weights)
    if not arguments.weights:
        few = FaceViews(faces.pixels[:64], AS_THEY_ARE, SIZE)
        calibrate_batch_norm(backbone, few(torch.arange(64), 0))
    backbone = backbone.to(device)
    heads = []
    for seed in range(arguments.heads):
        torch.manual_seed(seed)
        heads.append(LinearHead(1024, len(CLASSES), 0.5).requires_grad_(False).eval().to(device))
    precision = choose_precision("auto", device).backbone
    digest = backbone.digest()
    return [
        TrainedNetwork(arguments.network, backbone, digest, head, {LAYER: 1}, precision, SIZE)
        for head in heads
    ]


def _seconds_per_face(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / count


def _forward(network: TrainedNetwork, faces: FaceSet) -> float:
    """Time probabilities of all faces, by the network that is compiled for the maps."""
    device = next(network.backbone.parameters()).device
    batch = faces_in_a_pass(device, SIZE)
    extract = feature_extractor(
        network.backbone,
        trunk_taps(network, LAYER),  # one compiled network is kept at a time
        network.arithmetic,
        device,
        batch,
        SIZE,
        pixels=2,
    )
    views = FaceViews(faces.pixels, AS_THEY_ARE, SIZE)

    def work() -> None:
        with large_blocks_kept():
            for part in torch.arange(len(faces), device=device).split(batch):
                whole = extract(views(part, 0))[LAYER]
                network.probabilities({LAYER: pool(whole, 1)})

    return _seconds_per_face(len(faces), work)


def _map(networks: list[TrainedNetwork], faces: FaceSet, share: float) -> float:
    """Time averaged maps of all faces by heads that have not trained on a share of them."""
    device = next(networks[0].backbone.parameters()).device
    runs = {seed: _run(faces, share, seed) for seed in range(len(networks))}
    occlusion = Occlusion("none", 0, 0, 0, 48, "noise", 0)
    conditions = {"none": Condition("none", "none", occlusion, runs)}
    keyed = {("none", seed): network for seed, network in enumerate(networks)}
    material = Material(Selection((), conditions, ()), faces, keyed, device)
    indices = np.arange(len(faces))
    settings = MapSettings(LAYER, "gradcam", "label", "logit")
    return _seconds_per_face(len(faces), lambda: map_photographs(material, indices, settings))


def _run(faces: FaceSet, share: float, seed: int) -> Run:
    count = round(share * len(faces))
    chosen = np.random.default_rng(seed).permutation(len(faces))[:count]
    names = tuple(faces.names[index] for index in chosen)
    nothing = np.zeros((count, len(CLASSES)))
    return Run(Path(), None, {}, Predictions(names, faces.labels[chosen], nothing))


class _Whole(nn.Module):
    def __init__(self, network: TrainedNetwork):
        super().__init__()
        self.backbone, self.head = network.backbone, network.head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # pytorch-grad-cam finds no gradients unless something upstream requires them.
        read = self.backbone(x.clone().requires_grad_(), [LAYER])
        return self.head({LAYER: pool(read[LAYER], 1)})


def _plain(
    network: TrainedNetwork, faces: FaceSet, count: int, target: type
) -> tuple[float, np.ndarray]:
    """Time pytorch-grad-cam as its documentation uses it; return the maps, too."""
    device = next(network.backbone.parameters()).device
    views = FaceViews(faces.pixels[:count], AS_THEY_ARE, SIZE)
    engine = GradCAM(_Whole(network), [network.backbone.blocks[LAYER]])
    targets = [target(int(label)) for label in faces.labels[:count]]
    found = []
    pixels = views(torch.arange(count, device=device), 0)
    seconds = _seconds_per_face(count, lambda: found.append(engine(pixels, targets)))
    return seconds, found[0]


def _error(network: TrainedNetwork, faces: FaceSet, count: int, score: str) -> float:
    targets = {"logit": ClassifierOutputTarget, "probability": ClassifierOutputSoftmaxTarget}
    _, wanted = _plain(network, faces, count, targets[score])
    exact = TrainedNetwork(**{**vars(network), "arithmetic": torch.float32})
    views = FaceViews(faces.pixels[:count], AS_THEY_ARE, SIZE)
    device = next(network.backbone.parameters()).device
    settings = MapSettings(LAYER, "gradcam", "label", score)
    raw = map_faces([exact], views, faces.labels[:count], settings, device)[0]
    # The library scales twice: the small map, then the enlarged one.
    found = scale_cam_image(scale_cam_image(raw, (SIZE, SIZE)))
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def _row(name: str, seconds: list[float], rounds: list[dict[str, float]]) -> dict[str, str]:
    ratios = [each[name] / each["plain forward pass"] for each in rounds]
    return {
        "what": name,
        "ms a face, median": f"{1e3 * statistics.median(seconds):.1f}",
        "min–max": f"{1e3 * min(seconds):.1f}–{1e3 * max(seconds):.1f}",
        "of the forward pass": f"{statistics.median(ratios):.2f}",
    }
