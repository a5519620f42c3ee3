"""Weights & Biases: one W&B run for each run, online or offline, and never a question."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:  # wandb takes a second to import, and is needed by some only
    import pandas as pd
    import wandb

    from fer_lit.faces.datamodule import FaceDataModule

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WandbTracker:
    """Tracks runs and analyses, each as a W&B run.

    Online where the machine is logged in (unless `WANDB_MODE` says otherwise), else into the run
    folder, from where `wandb sync` uploads it (the report at the end says how).

    Attributes:
        project: where the W&B runs go.
        entity: whose project it is; None: the user's default.
    """

    project: str
    entity: str | None

    @contextmanager
    def track(self, cfg: DictConfig, folder: Path, sweep: str | None) -> Iterator[TrackedRun]:
        """Track a run for as long as the `with` block lasts.

        Args:
            cfg: resolved; all of it becomes the W&B run's config.
            folder: the run folder.
            sweep: name of the sweep, by which W&B groups its runs.
        """
        run = self._open(
            folder,
            group=sweep,
            name=f"{cfg.occlusion.name}_seed{cfg.seed}",
            job_type="train",
            tags=[cfg.occlusion.name, cfg.data.name, cfg.model.network],
            config=OmegaConf.to_container(cfg),
        )
        if not run.offline:
            log.info(f"Weights & Biases: {run.url}")
        exit_code = 1
        try:
            yield TrackedRun(run)
            exit_code = 0
        finally:
            # Left open, the next job of the sweep would go on in the same W&B run.
            run.finish(exit_code=exit_code)

    def log_analysis(
        self,
        cfg: DictConfig,
        folder: Path,
        sweeps: Sequence[str],
        tables: Mapping[str, pd.DataFrame],
        pictures: Mapping[str, Path],
    ) -> None:
        """Log an analysis, of job type `analysis`, beside the runs of its sweep.

        Args:
            cfg: of the analysis.
            folder: its folder.
            sweeps: names of the sweeps that were analysed; the first is the group.
            tables: by name, `accuracy` among them.
            pictures: PNG files by name.
        """
        import wandb

        run = self._open(
            folder,
            group=sweeps[0],
            name=f"analysis_{folder.name}",
            job_type="analysis",
            tags=list(sweeps),
            config=OmegaConf.to_container(cfg),
        )
        try:
            logged: dict[str, Any] = {
                f"figures/{name}": wandb.Image(str(path)) for name, path in pictures.items()
            }
            for name, rows in tables.items():
                logged[f"tables/{name}"] = wandb.Table(
                    columns=list(rows), data=rows.astype(object).where(rows.notna(), None).values
                )
            run.log(logged)
            accuracies = tables["accuracy"].set_index("condition")["accuracy"]
            run.summary.update({f"accuracy/{name}": value for name, value in accuracies.items()})
        finally:
            run.finish()
        if run.offline:
            log.info(
                f"Weights & Biases is offline; to upload: wandb sync {folder}/wandb/offline-run-*"
            )

    def _open(self, folder: Path, **description: Any) -> wandb.Run:
        import wandb

        options = {
            "project": self.project,
            "entity": self.entity,
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


class TrackedRun:
    """A run that is being tracked.

    Attributes:
        logger: for Lightning's Trainer.
    """

    def __init__(self, run: wandb.Run):
        from lightning.pytorch.loggers import WandbLogger

        self._run = run
        self.logger = WandbLogger(experiment=run)

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
        import wandb

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
