"""The trained networks behind the runs: heads of their own on backbones that are shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from fer_lit.analysis.conditions import Run
from fer_lit.analysis.selection import Selection
from fer_lit.classifier import EmotionClassifier
from fer_lit.errors import ConfigError
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank.bank import faces_in_a_pass
from fer_lit.networks.backbone import Backbone
from fer_lit.networks.features import extract_features
from fer_lit.runs.folder import one_line


@dataclass(frozen=True)
class TrainedNetwork:
    """A run's network, frozen, on the device: that of its predictions.

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
    head: nn.Module
    taps: dict[str, int]
    arithmetic: torch.dtype
    image_size: int

    @torch.no_grad()
    def probabilities(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return softmax probabilities, float32, (B, classes), for pooled taps."""
        return self.head(features).softmax(dim=1)

    def features(self, views: FaceViews, device: torch.device) -> dict[str, Tensor]:
        """Return what the head reads of all faces in view 0: tap → (N, channels, grid, grid).

        Args:
            views: a few faces.
            device: where the network is.
        """
        size = faces_in_a_pass(device, self.image_size)
        batches = [
            extract_features(self.backbone, views(part, 0), self.taps, self.arithmetic)
            for part in torch.arange(len(views), device=device).split(size)
        ]
        return {tap: torch.cat([batch[tap] for batch in batches]) for tap in self.taps}

    def with_head(self, head: nn.Module) -> TrainedNetwork:
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
                advice = " (weights=FILE says where they are now)" * isinstance(error, ConfigError)
                problems.setdefault(one_line(error) + advice, []).append(run.name)
    notes = [
        f"only the predictions of {', '.join(names)} are analysed, not the network: {reason}"
        for reason, names in problems.items()
    ]
    if device.type == "cpu" and any(_trained_in_float16(run) for run in selection.runs):
        notes.append("what was computed in float16 is float32 here: a CPU has no float16")
    return networks, notes


def _trained_in_float16(run: Run) -> bool:
    return run.provenance["precision"]["backbone"] == "float16"


def _load(
    run: Run, weights: str | None, backbones: dict[str, Backbone], device: torch.device
) -> TrainedNetwork:
    try:
        model = _rebuild(run)
    except ConfigError:
        if weights is None:
            raise
        model = _rebuild(run, weights=weights)
    model.backbone.freeze_all_but(())
    digest = model.backbone.digest()
    backbone = backbones.setdefault(digest, model.backbone.to(device))
    return TrainedNetwork(
        model.backbone.architecture.name,
        backbone,
        digest,
        model.head.requires_grad_(False).eval().to(device),
        model.taps,
        _arithmetic(model.hparams.backbone_arithmetic, device),
        run.config.data.image_size,
    )


def _rebuild(run: Run, **changed: str) -> EmotionClassifier:
    options = OmegaConf.to_container(run.config.model)
    # Those of the configuration, which was checked, and which earlier versions' files lack.
    described = {name: options[name] for name in ("backbone", "head", "schedule", "taps")}
    return EmotionClassifier.load_from_checkpoint(
        run.checkpoint,
        map_location="cpu",
        weights_only=True,
        download=run.config.data.download,
        trust=True,
        **described,
        **changed,
    )


def _arithmetic(trained: str, device: torch.device) -> torch.dtype:
    float16_on_cpu = trained == "float16" and device.type == "cpu"
    return torch.float32 if float16_on_cpu else getattr(torch, trained)
