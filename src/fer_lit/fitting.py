"""A network trained by Lightning's Trainer."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from omegaconf import DictConfig, OmegaConf
from torch import nn

from fer_lit.classifier import EmotionClassifier
from fer_lit.errors import ConfigError
from fer_lit.faces.datamodule import FaceDataModule
from fer_lit.files import remove
from fer_lit.limits import suggestion
from fer_lit.precision import Precision, choose_precision
from fer_lit.runs.folder import RunFolder, one_line
from fer_lit.runs.metrics import MetricsTable
from fer_lit.stopping import stop_if_asked

_MEANT = (
    # The loaders yield integers; worker processes would only slow them down.
    "does not have many workers",
    # Small data has fewer batches than the interval, at which nothing is logged anyway.
    "smaller than the logging interval",
    # Frozen blocks are in eval mode so that their BatchNorm statistics stay.
    "module.s. in eval mode at the start of training",
    # Where SLURM is installed: a run needs one process, not one for each of its tasks.
    "srun. command is available on your system",
    # The last checkpoint of a resumed run.
    "Checkpoint directory .* exists and is not empty",
    # Lightning 2.6 with PyTorch 2.14.
    "isinstance.treespec, LeafSpec",
)
_OWN = {"callbacks", "default_root_dir", "enable_model_summary", "logger", "num_sanity_val_steps"}
"""Arguments of Lightning's Trainer that a run gives by itself."""


log = logging.getLogger(__name__)


def check_trainer(options: DictConfig) -> None:
    """Check that Lightning takes these arguments, before features are computed.

    Raises:
        ConfigError: it does not.
    """
    known = set(signature(L.Trainer).parameters) - _OWN
    for option in options:
        if option not in known:
            raise ConfigError(
                f"trainer.{option}={options[option]}: lightning.Trainer does not take it here"
                f"{suggestion(option, known)}"
            )


def new_classifier(options: DictConfig, classes: Sequence[str], **others: Any) -> EmotionClassifier:
    """Return a new classifier as configured (`conf/model`); `others` come before the options."""
    described = OmegaConf.to_container(options, resolve=True) | others
    # Others are options of its head, its backbone or its schedule, which have them already.
    taken = [name for name in signature(EmotionClassifier).parameters if name in described]
    arguments = {name: described[name] for name in taken}
    return EmotionClassifier(**arguments, classes=list(classes), trust=True)


def fit(
    cfg: DictConfig,
    run: RunFolder,
    data: FaceDataModule,
    model: EmotionClassifier,
    device: torch.device,
    precision: Precision,
    tracker: Any,
) -> np.ndarray:
    """Train; return the probabilities of the validation faces, (N, classes).

    Test faces, if any, are looked at once, by the best epoch: the model is then of that epoch.
    """
    digest = model.backbone.frozen_digest()
    L.seed_everything(cfg.seed, verbose=False)
    options = OmegaConf.to_container(cfg.trainer)
    options["accelerator"] = "gpu" if device.type == "cuda" else "cpu"
    options["precision"] = precision.trainer
    with _quiet_lightning(), _ended_by_ctrl_c():
        trainer = L.Trainer(
            **options,
            default_root_dir=run.path,
            logger=tracker.logger if tracker else False,
            callbacks=_callbacks(cfg, run),
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
        trainer.fit(model, data, ckpt_path=_last_checkpoint(run), weights_only=True)
        probabilities = torch.cat(trainer.predict(model, data))
        if len(data.split.test):
            best = trainer.checkpoint_callback.best_model_path
            trainer.test(model, data, ckpt_path=best, weights_only=True, verbose=False)
    if model.backbone.frozen_digest() != digest:
        raise RuntimeError("what is frozen of the backbone changed during training")
    return probabilities.cpu().numpy()


def fit_head(cfg: DictConfig, data: FaceDataModule, device: torch.device, seed: int) -> nn.Module:
    """Return a new head that was trained on the features of `data.bank` as a run's head is.

    Nothing is written, logged or validated, and torch's random state stays as it was. On a CPU the
    head trains in float32 whatever the run did.

    Args:
        cfg: of a run; its options of the head, the optimiser, the schedule and the trainer count.
        data: what it learns; the bank holds all that training reads.
        device: where it learns.
        seed: of the initial head, the order of the batches and what is dropped.
    """
    cpu = device.type == "cpu"
    own = {
        "accelerator": "cpu" if cpu else "gpu",
        "precision": choose_precision("auto" if cpu else cfg.trainer.precision, device).trainer,
        "limit_val_batches": 0,
    }
    silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    options = OmegaConf.to_container(cfg.trainer) | own | dict.fromkeys(silent, False)
    with torch.random.fork_rng(), _quiet_lightning(), _ended_by_ctrl_c():
        torch.manual_seed(seed)
        # Its backbone takes no part, so that it need not be the one that was read.
        model = new_classifier(cfg.model, data.faces.classes, weights=None, freeze="all")
        L.Trainer(**options, callbacks=[_Stop()]).fit(model, data)
    return model.head.to(device)


def _last_checkpoint(run: RunFolder) -> Path | None:
    """Return where a resumed run goes on, if it got so far and the file is whole."""
    last = run.checkpoints / "last.ckpt"
    if not last.exists():
        return None
    try:
        torch.load(last, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        log.warning(f"{last} is damaged, so the training starts anew: {one_line(error)}")
        remove(run.checkpoints)
        return None
    return last


def _callbacks(cfg: DictConfig, run: RunFolder) -> list[L.Callback]:
    checkpoint = partial(
        ModelCheckpoint,
        run.checkpoints,
        save_on_train_epoch_end=True,
        enable_version_counter=False,  # a resumed run writes the same files
    )
    highest = {"monitor": "val/accuracy", "mode": "max"}
    best = checkpoint(filename="best", save_weights_only=True, **highest)
    last = checkpoint(filename="last")
    table = MetricsTable(run.path / "metrics.csv", cfg.data.name)
    return [best, last, table, RichProgressBar(), _Stop()]


class _Stop(L.Callback):
    """Stops a training whose Ctrl-C was swallowed: what writes checkpoints catches everything."""

    def on_train_batch_start(self, *arguments: Any) -> None:
        """Raise KeyboardInterrupt if that was asked for."""
        stop_if_asked()


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    try:
        yield
    except SystemExit as error:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Leave out what Lightning says about things that are meant to be so."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for meant in _MEANT:
            warnings.filterwarnings("ignore", f".*{meant}.*")
        yield
