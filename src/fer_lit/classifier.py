"""The network that is trained: a GoogLeNet, frozen as far as asked, with a new head."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import lightning as L
import torch
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_confusion_matrix

from fer_lit.errors import ConfigError
from fer_lit.faces.datamodule import Batch
from fer_lit.networks.architecture import trained_blocks
from fer_lit.networks.parameter_groups import parameter_groups
from fer_lit.networks.reader import extract_features
from fer_lit.networks.taps import parse_taps
from fer_lit.networks.weights import batch_norm_state, build_backbone
from fer_lit.runs.metrics import rates_of
from fer_lit.targets import build, refuse_foreign_targets

_BACKBONE = "backbone."


class EmotionClassifier(L.LightningModule):
    """A backbone, read at taps, and a head that learns the emotions.

    Every argument is a plain value, so that a checkpoint can rebuild the network:
    `EmotionClassifier.load_from_checkpoint(path)`, with `weights=FILE` where the file has moved.

    Args:
        backbone: `_target_` of its architecture (see `networks.architecture`).
        weights: `imagenet`, a file, or None for random ones.
        taps: `block/grid` (see `networks.taps`).
        head: `_target_` and options of the head (see `networks.head`).
        optimizer: `adamw` or `sgd` (momentum 0.9).
        schedule: `_target_` of the learning rate's schedule (see `networks.schedules`).
        save_backbone: whether checkpoints hold the backbone's weights, too.
        backbone_arithmetic: `float32`, `bfloat16` or `float16`.
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
        architecture = build(backbone)
        self.backbone = build_backbone(architecture, weights, download)
        self.backbone.freeze_all_but(trained_blocks(architecture, freeze, self.taps))
        self.head = build(head).build(self.backbone.numbers(self.taps), len(classes))
        self.loss = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        # Of the batches that metrics are still to be taken of: logits, labels and loss.
        self._seen: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {
            part: [] for part in ("train/", "val/", "test/")
        }
        self.history: list[dict[str, Any]] = []
        self._random_state: Tensor | None = None

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
        """Return the loss of a batch.

        Raises:
            ConfigError: it is not finite; the message says in which step, and the likely cause.
        """
        loss = self._step(batch, "train/")
        if not loss.isfinite():
            given = [batch.inputs] if isinstance(batch.inputs, Tensor) else batch.inputs.values()
            self._diverged(loss.item(), all(bool(values.isfinite().all()) for values in given))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch in the metrics."""
        self._step(batch, "val/")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch in the metrics."""
        self._step(batch, "test/")

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the probability of each emotion, float32, (B, classes)."""
        return _averaged(self(batch.inputs), len(batch.labels)).float().softmax(dim=1)

    def on_validation_epoch_end(self) -> None:
        """Log both parts together, since training of the epoch is over: one row of a table."""
        # Nothing is trained on before a validation alone.
        self.history.append(self._measure([part for part, seen in self._seen.items() if seen]))
        # Of a rate so high that the last step of an epoch is the one that goes wrong.
        if not math.isfinite(loss := self.history[-1]["val/loss"]):
            self._diverged(loss, inputs_are_finite=True)

    def on_test_epoch_end(self) -> None:
        """Log the metrics; keep them in `tested`, and what they are of in `test_probabilities`."""
        logits = torch.cat([seen for seen, _, _ in self._seen["test/"]])
        self.test_probabilities = logits.float().softmax(dim=1)
        self.tested = self._measure(["test/"])

    def configure_optimizers(self) -> dict[str, Any]:
        """Optimise what is trained; rates change step by step if asked to.

        A resumed training goes on from here with the random numbers that it would have drawn next:
        counting the steps, below, draws the first of them.
        """
        if self._random_state is not None:
            torch.set_rng_state(self._random_state)
        options = {"lr": self.hparams.lr, "weight_decay": self.hparams.weight_decay}
        groups = parameter_groups(self.head, self.backbone, self.hparams.lr, self.hparams.lr_decay)
        if self.hparams.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, momentum=0.9, **options)
        else:
            # Faster for a head of millions; Lightning cannot clip gradients of a fused optimiser.
            fused = not self.trainer.gradient_clip_val
            optimizer = torch.optim.AdamW(groups, fused=fused, **options)
        steps = int(self.trainer.estimated_stepping_batches)
        rates = build(self.hparams.schedule)(optimizer, steps=steps)
        if rates is None:
            return {"optimizer": optimizer}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was trained or measured, and of what is frozen the digest."""
        checkpoint["backbone_digest"] = self._backbone_digest
        checkpoint["history"] = self.history
        checkpoint["random_state"] = torch.get_rng_state()
        left_out: set[str] = set()
        if not self.hparams.save_backbone:
            # What it has of the faces: trained blocks, statistics of random networks.
            measured = batch_norm_state(self.backbone) if self.hparams.weights is None else {}
            learnt = measured | self.backbone.trained_state()
            left_out = self.backbone.state_dict().keys() - learnt.keys()
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
        own = self.backbone.state_dict()
        saved = {name: state[_BACKBONE + name] for name in own if _BACKBONE + name in state}
        self.backbone.load_state_dict(own | saved)
        digest, expected = self.backbone.frozen_digest(), checkpoint["backbone_digest"]
        if digest != expected:
            raise ConfigError(
                f"model.weights={self.hparams.weights}: not the backbone this checkpoint was "
                f"trained with (digest of the frozen weights {digest[:12]}, expected "
                f"{expected[:12]}); give the original file as weights=FILE"
            )
        for name, value in self.backbone.state_dict().items():
            state[_BACKBONE + name] = value
        self.history = checkpoint.get("history", [])
        self._random_state = checkpoint.get("random_state")

    def _diverged(self, loss: float, inputs_are_finite: bool) -> NoReturn:
        where = f"the loss is {loss} in step {self.global_step + 1}, epoch {self.current_epoch + 1}"
        if inputs_are_finite:
            rate = f"model.lr={self.hparams.lr:g}"
            raise ConfigError(f"{rate}: training diverges, {where}; lower the rate")
        raise ConfigError(
            f"{where}, because what the network is given is not finite: weights or stored features "
            "are damaged; try another FER_LIT_CACHE, or features.bank=false"
        )

    def _step(self, batch: Batch, part: str) -> Tensor:
        logits = _averaged(self(batch.inputs), len(batch.labels))
        loss = self.loss(logits, batch.labels)
        # Measured once an epoch: batch by batch it would cost as much time as the head itself.
        self._seen[part].append((logits.detach(), batch.labels, loss.detach()))
        return loss

    def _measure(self, parts: Sequence[str]) -> dict[str, Any]:
        """Log and return loss and metrics of all batches of some parts seen since the last time."""
        measured: dict[str, Tensor] = {}
        for part in parts:
            logits, labels, losses = zip(*self._seen[part], strict=True)
            self._seen[part] = []
            sizes = torch.tensor([len(batch) for batch in labels], device=self.device)
            matrix = multiclass_confusion_matrix(
                torch.cat(logits), torch.cat(labels), num_classes=len(self.hparams.classes)
            )
            measured[f"{part}loss"] = (torch.stack(losses) * sizes).sum() / sizes.sum()
            rates = rates_of(matrix, self.hparams.classes)
            measured |= {f"{part}{name}": value for name, value in rates.items()}
        self.log_dict({name: value for name, value in measured.items() if value.ndim == 0})
        return {name: value.tolist() for name, value in measured.items()}


def _averaged(logits: Tensor, faces: int) -> Tensor:
    """Return the logarithm of the probabilities averaged over views; logits of one view."""
    if len(logits) == faces:
        return logits
    logs = logits.float().log_softmax(dim=1).unflatten(0, (-1, faces))
    return logs.logsumexp(dim=0) - math.log(len(logs))
