"""The trained networks behind the runs: heads of their own on backbones that are shared."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fer_lit.analysis.selection import Run, Selection
from fer_lit.classifier import EmotionClassifier
from fer_lit.networks.backbone import Backbone
from fer_lit.networks.head import LinearHead
from fer_lit.runs import one_line

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedNetwork:
    """A run's network after its last epoch, frozen, on the device.

    Attributes:
        name: `googlenet` or `googlenet_caffe`.
        backbone: one and the same object for all networks whose weights are equal.
        digest: of the backbone's weights.
        head: in eval mode.
        taps: block → grid, in the order in which the head reads them.
        arithmetic: dtype the backbone computes in.
        image_size: height and width of the input in pixels.
    """

    name: str
    backbone: Backbone
    digest: str
    head: LinearHead
    taps: dict[str, int]
    arithmetic: torch.dtype
    image_size: int

    @torch.no_grad()
    def probabilities(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return softmax probabilities, float32, (B, classes), for pooled taps."""
        return self.head(features).softmax(dim=1)

    def with_head(self, head: LinearHead) -> TrainedNetwork:
        """Return the same backbone under another head."""
        return replace(self, head=head.requires_grad_(False).eval())


Networks = dict[tuple[str, int], TrainedNetwork]
"""Networks by the label of their condition and their seed."""


def load_networks(
    selection: Selection, weights: str | None, device: torch.device
) -> tuple[Networks, list[str]]:
    """Return the networks that can be rebuilt, and a line for each that cannot.

    Args:
        selection: the runs.
        weights: file of the backbone's weights, if it is not where the run found it.
        device: where the networks go.
    """
    networks: Networks = {}
    backbones: dict[str, Backbone] = {}
    problems: dict[str, list[str]] = {}
    for condition in selection.conditions.values():
        for seed, run in condition.runs.items():
            try:
                networks[condition.label, seed] = _load(run, weights, backbones, device)
            # A checkpoint can be missing, cut off, or of weights that are not there any more.
            except Exception as error:
                problems.setdefault(one_line(error), []).append(run.name)
    notes = [
        f"no maps and no transfer of {', '.join(names)}: {reason} (weights=FILE says where the "
        "backbone's are now)"
        for reason, names in problems.items()
    ]
    return networks, notes


def _load(
    run: Run, weights: str | None, backbones: dict[str, Backbone], device: torch.device
) -> TrainedNetwork:
    moved = {"weights": weights} if weights else {}
    model = EmotionClassifier.load_from_checkpoint(
        run.folder / "checkpoints" / "last.ckpt",
        map_location="cpu",
        weights_only=True,
        download=run.config.data.download,
        **moved,
    )
    digest = model.backbone.digest()
    backbone = backbones.setdefault(digest, model.backbone.to(device))
    return TrainedNetwork(
        model.hparams.network,
        backbone,
        digest,
        model.head.requires_grad_(False).eval().to(device),
        dict(model.hparams.taps),
        _arithmetic(model.hparams.backbone_arithmetic, device),
        run.config.data.image_size,
    )


def _arithmetic(trained: str, device: torch.device) -> torch.dtype:
    if trained == "float16" and device.type == "cpu":
        log.info("The backbone computed in float16, which a CPU has not; here it is float32")
        return torch.float32
    return getattr(torch, trained)
