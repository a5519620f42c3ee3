"""The network that is trained: a GoogLeNet, frozen as far as asked, with a new head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import lightning as L
import torch
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_confusion_matrix

from fer_lit.errors import ConfigError
from fer_lit.faces.datamodule import Batch
from fer_lit.networks.architecture import trained_blocks
from fer_lit.networks.features import extract_features
from fer_lit.networks.parameter_groups import parameter_groups
from fer_lit.networks.taps import parse_taps
from fer_lit.networks.weights import batch_norm_state, build_backbone
from fer_lit.runs.metrics import rates_of
from fer_lit.targets import build, refuse_foreign_targets

_BACKBONE = "backbone."


class _Seen(NamedTuple):
    """A batch that metrics are still to be taken of."""

    logits: Tensor
    labels: Tensor
    loss: Tensor


class EmotionClassifier(L.LightningModule):
    """A backbone, read at taps, and a head that learns the emotions.

    Every argument is a plain value, so that a checkpoint can rebuild the network:
    `EmotionClassifier.load_from_checkpoint(path)`, with `weights=FILE` where the file has moved.

    Args:
        backbone: `_target_` of its architecture (see `networks.architecture`).
        weights: `imagenet`, a file, or None for random ones.
        taps: `block/grid`: blocks, and the side of the grid that each output is averaged over.
        classes: the emotions, in the order of the labels.
        head: `_target_` and options of the head (see `networks.head`).
        optimizer: `adamw` or `sgd` (momentum 0.9).
        lr: learning rate of the head.
        weight_decay: of all that is trained.
        schedule: `_target_` of the learning rate's schedule (see `networks.schedules`).
        label_smoothing: 0 up to but not 1.
        save_backbone: whether checkpoints hold the backbone's weights, too.
        backbone_arithmetic: `float32`, `bfloat16` or `float16`.
        download: whether ImageNet weights may be downloaded.
        freeze: `all`, `stem` or `none`: which blocks of the backbone stay as they are.
        lr_decay: learning rate of a trained block, times that of the next deeper one.
        trust: whether to build classes that are not fer_lit's, which a file may name.

    Raises:
        ConfigError: a class that is not trusted, or weights that cannot be had.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        weights: str | None,
        taps: list[str],
        classes: list[str],
        head: dict[str, Any],
        optimizer: str,
        lr: float,
        weight_decay: float,
        schedule: dict[str, Any],
        label_smoothing: float,
        save_backbone: bool = False,
        backbone_arithmetic: str = "float32",
        download: bool = True,
        freeze: str = "all",
        lr_decay: float = 1.0,
        trust: bool = False,
    ):
        super().__init__()
        if not trust:
            targets = {"backbone": backbone, "head": head, "schedule": schedule}
            refuse_foreign_targets(targets, "EmotionClassifier")
        self.save_hyperparameters(ignore="trust")
        self.taps = parse_taps(taps)
        self._build_networks()
        self._build_metrics()
        self.loss = nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Return logits, (B, classes), for pixels or for stored features (see `Batch.inputs`)."""
        if isinstance(inputs, Tensor):
            arithmetic = getattr(torch, self.hparams.backbone_arithmetic)
            inputs = extract_features(self.backbone, inputs, self.taps, arithmetic)
        return self.head(inputs)

    def on_fit_start(self) -> None:
        """Take the digest of what is frozen once, not for each checkpoint of each epoch."""
        self._backbone_digest = self.backbone.frozen_digest()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        return self._step(batch, "train/")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch in the metrics."""
        self._step(batch, "val/")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch in the metrics."""
        self._step(batch, "test/")

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the probability of each emotion, float32, (B, classes)."""
        return _probabilities(_averaged(self(batch.inputs), len(batch.labels)))

    def on_validation_epoch_end(self) -> None:
        """Log both parts together, since training of the epoch is over: one row of a table."""
        epoch = {}
        for part, seen in self._seen.items():
            if seen:  # nothing is trained on before a validation alone
                epoch |= self._measure(part)
        self.log_dict({name: value for name, value in epoch.items() if value.ndim == 0})
        self.history.append({name: value.tolist() for name, value in epoch.items()})

    def on_test_epoch_end(self) -> None:
        """Log the metrics; keep them in `tested`, and what they are of in `test_probabilities`."""
        logits = torch.cat([batch.logits for batch in self._seen["test/"]])
        self.test_probabilities = _probabilities(logits)
        measured = self._measure("test/")
        self.log_dict({name: value for name, value in measured.items() if value.ndim == 0})
        self.tested = {name: value.tolist() for name, value in measured.items()}

    def configure_optimizers(self) -> dict[str, Any]:
        """Optimise what is trained; rates change step by step if asked to."""
        options = {"lr": self.hparams.lr, "weight_decay": self.hparams.weight_decay}
        groups = parameter_groups(self.head, self.backbone, self.hparams.lr, self.hparams.lr_decay)
        if self.hparams.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, momentum=0.9, **options)
        else:
            # Faster for a head of millions; Lightning cannot clip gradients of a fused optimiser.
            fused = not self.trainer.gradient_clip_val
            optimizer = torch.optim.AdamW(groups, fused=fused, **options)
        rates = build(self.hparams.schedule)(
            optimizer, steps=int(self.trainer.estimated_stepping_batches)
        )
        if rates is None:
            return {"optimizer": optimizer}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was trained or measured, and of what is frozen the digest."""
        checkpoint["backbone_digest"] = self._backbone_digest
        whole = self.backbone.state_dict()
        left_out = set() if self.hparams.save_backbone else whole.keys() - self._learnt_names()
        for name in left_out:
            del checkpoint["state_dict"][_BACKBONE + name]
        if not left_out:
            # Loading then starts from random weights and needs no file.
            checkpoint["hyper_parameters"] = {**checkpoint["hyper_parameters"], "weights": None}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Complete the state by this backbone, and refuse another than the one trained with.

        Raises:
            ConfigError: the frozen weights differ from those of the checkpoint.
        """
        state = checkpoint["state_dict"]
        saved = {
            name.removeprefix(_BACKBONE): value
            for name, value in state.items()
            if name.startswith(_BACKBONE)
        }
        self.backbone.load_state_dict(self.backbone.state_dict() | saved)
        digest, expected = self.backbone.frozen_digest(), checkpoint["backbone_digest"]
        if digest != expected:
            raise ConfigError(
                f"model.weights={self.hparams.weights}: not the backbone this checkpoint was "
                f"trained with (digest of the frozen weights {digest[:12]}, expected "
                f"{expected[:12]}); give the original file as weights=FILE"
            )
        for name, value in self.backbone.state_dict().items():
            state[_BACKBONE + name] = value

    def _build_networks(self) -> None:
        hparams = self.hparams
        architecture = build(hparams.backbone)
        self.backbone = build_backbone(architecture, hparams.weights, hparams.download)
        self.backbone.freeze_all_but(trained_blocks(architecture, hparams.freeze, self.taps))
        features = sum(self.backbone.channels[tap] * grid**2 for tap, grid in self.taps.items())
        self.head = build(hparams.head).build(features, len(hparams.classes))

    def _build_metrics(self) -> None:
        self._seen: dict[str, list[_Seen]] = {part: [] for part in ("train/", "val/", "test/")}
        self.history: list[dict[str, Any]] = []

    def _step(self, batch: Batch, part: str) -> Tensor:
        logits = _averaged(self(batch.inputs), len(batch.labels))
        loss = self.loss(logits, batch.labels)
        # Measured once an epoch: batch by batch it would cost as much time as the head itself.
        self._seen[part].append(_Seen(logits.detach(), batch.labels, loss.detach()))
        return loss

    def _measure(self, part: str) -> dict[str, Tensor]:
        """Return loss and metrics of all batches seen since the last time."""
        seen, self._seen[part] = self._seen[part], []
        sizes = torch.tensor([len(batch.labels) for batch in seen], device=self.device)
        losses = torch.stack([batch.loss for batch in seen])
        matrix = multiclass_confusion_matrix(
            torch.cat([batch.logits for batch in seen]),
            torch.cat([batch.labels for batch in seen]),
            num_classes=len(self.hparams.classes),
        )
        measured = {"loss": (losses * sizes).sum() / sizes.sum()}
        measured |= rates_of(matrix, self.hparams.classes)
        return {f"{part}{name}": value for name, value in measured.items()}

    def _learnt_names(self) -> set[str]:
        """What the backbone has of the faces: trained blocks, statistics of random networks."""
        measured = batch_norm_state(self.backbone) if self.hparams.weights is None else {}
        return {*measured, *self.backbone.trained_state()}


def _averaged(logits: Tensor, faces: int) -> Tensor:
    """Return the logarithm of the probabilities averaged over views; logits of one view."""
    if len(logits) == faces:
        return logits
    logs = logits.float().log_softmax(dim=1).unflatten(0, (-1, faces))
    return logs.logsumexp(dim=0) - math.log(len(logs))


def _probabilities(logits: Tensor) -> Tensor:
    return logits.float().softmax(dim=1)
