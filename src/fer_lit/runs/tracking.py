"""Weights & Biases: one W&B run for each run, online or offline, and never a question."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
        self._run = _open(
            cfg.logger,
            folder,
            group=sweep,
            name=f"{cfg.occlusion.name}_seed{cfg.seed}",
            job_type="train",
            tags=[cfg.occlusion.name, cfg.data.name, cfg.model.network],
            config=OmegaConf.to_container(cfg),
        )
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


def log_analysis(
    cfg: DictConfig,
    folder: Path,
    sweeps: Sequence[str],
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    pictures: Mapping[str, Path],
) -> None:
    """Log an analysis as a run of its own, of job type `analysis`, beside the runs of its sweep.

    Args:
        cfg: of the analysis.
        folder: its folder.
        sweeps: names of the sweeps that were analysed; the first is the group.
        tables: by name; empty ones are left out.
        pictures: PNG files by name.
    """
    run = _open(
        cfg.logger,
        folder,
        group=sweeps[0],
        name=f"analysis_{folder.name}",
        job_type="analysis",
        tags=list(sweeps),
        config=OmegaConf.to_container(cfg),
    )
    try:
        run.log(
            {
                **{f"figures/{name}": wandb.Image(str(path)) for name, path in pictures.items()},
                **{f"tables/{name}": _table(rows) for name, rows in tables.items() if rows},
            }
        )
        for row in tables["accuracy"]:
            run.summary[f"accuracy/{row['condition']}"] = row["accuracy"]
    finally:
        run.finish()
    if run.offline:
        log.info(f"Weights & Biases is offline; to upload: wandb sync {folder}/wandb/offline-run-*")


def _table(rows: Sequence[Mapping[str, Any]]) -> wandb.Table:
    return wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows])


def _open(logger: DictConfig, folder: Path, **description: Any) -> wandb.Run:
    options = {
        "project": logger.project,
        "entity": logger.entity,
        "dir": folder,
        "settings": wandb.Settings(silent=True, console="off"),
        **description,
    }
    chosen = os.environ.get("WANDB_MODE", "online")
    if chosen == "online" and not wandb.login(prompt=False, verify=False):
        return wandb.init(mode="offline", **options)
    try:
        return wandb.init(**options)
    except wandb.errors.CommError as error:
        log.warning(f"Weights & Biases cannot be reached, so this run stays offline: {error}")
        return wandb.init(mode="offline", **options)
