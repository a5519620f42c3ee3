"""Weights & Biases: one W&B run for each run, online or offline, and never a question."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import wandb
from lightning.pytorch.loggers import WandbLogger
from omegaconf import DictConfig, OmegaConf

from fer_lit.faces.datamodule import FaceDataModule

log = logging.getLogger(__name__)


class WandbTracker:
    """Tracks a run in Weights & Biases for as long as the `with` block lasts.

    Online where the machine is logged in (unless `WANDB_MODE` says otherwise), else into the run
    folder, from where `wandb sync` uploads it (the report at the end says how).

    Args:
        cfg: resolved; all of it becomes the W&B run's config.
        folder: the run folder.
        sweep: name of the sweep, by which W&B groups its runs.
    """

    def __init__(self, cfg: DictConfig, folder: Path, sweep: str | None):
        self._run = _open(cfg, folder, sweep)
        if not self._run.offline:
            log.info(f"Weights & Biases: {self._run.url}")
        self.logger = WandbLogger(experiment=self._run)

    def __enter__(self) -> WandbTracker:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        # Left open, the next job of the sweep would go on in the same W&B run.
        self._run.finish(exit_code=0 if error is None else 1)

    def log_facts(self, facts: dict[str, object]) -> None:
        """Add what decided the run's numbers (see `provenance.json`) to the W&B run's config."""
        self._run.config.update({"provenance": facts})

    def log_results(self, figures: Path, data: FaceDataModule, probabilities: np.ndarray) -> None:
        """Log the pictures of a finished run and an interactive confusion matrix.

        Args:
            figures: folder with the run's PNG files.
            data: the faces.
            probabilities: float, (validation faces, classes).
        """
        labels = data.faces.labels[data.split.validation]
        matrix = wandb.plot.confusion_matrix(
            y_true=labels.tolist(),
            preds=probabilities.argmax(axis=1).tolist(),
            class_names=list(data.faces.classes),
        )
        pictures = {
            f"figures/{path.stem}": wandb.Image(str(path)) for path in sorted(figures.glob("*.png"))
        }
        self._run.log({"confusion_matrix": matrix, **pictures})


def _open(cfg: DictConfig, folder: Path, sweep: str | None) -> wandb.Run:
    options = {
        "project": cfg.logger.project,
        "entity": cfg.logger.entity,
        "dir": folder,
        "group": sweep,
        "name": f"{cfg.occlusion.name}_seed{cfg.seed}",
        "job_type": "train",
        "tags": [cfg.occlusion.name, cfg.data.name, cfg.model.network],
        "config": OmegaConf.to_container(cfg),
        "settings": wandb.Settings(silent=True, console="off"),
    }
    chosen = os.environ.get("WANDB_MODE", "online")
    if chosen == "online" and not wandb.login(prompt=False, verify=False):
        return wandb.init(mode="offline", **options)
    try:
        return wandb.init(**options)
    except wandb.errors.CommError as error:
        log.warning(f"Weights & Biases cannot be reached, so this run stays offline: {error}")
        return wandb.init(mode="offline", **options)
