"""Weights & Biases: one W&B run for each run, online or offline, and never a question."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from fer_lit.limits import Rule, check_rules, one_of

if TYPE_CHECKING:  # wandb takes a second to import, and is needed by some only
    import wandb

    from fer_lit.faces.datamodule import FaceDataModule

_NOT_IN_NAMES = set("/\\#?%:")  # by W&B's own rule for projects
_RULES = (
    Rule(
        "project",
        lambda v: (
            type(v) is str and v.strip() != "" and len(v) <= 128 and not _NOT_IN_NAMES & set(v)
        ),
        f"a name of at most 128 characters without {' '.join(sorted(_NOT_IN_NAMES))}",
    ),
    Rule(
        "entity",
        lambda v: v is None or (type(v) is str and v.strip() != "" and "/" not in v),
        "the name of a W&B user or team, or null",
    ),
)

_MODE = Rule("WANDB_MODE", *one_of("online", "offline", "shared", "disabled", "dryrun", "run"))

log = logging.getLogger(__name__)


def _mode() -> str:
    return os.environ.get("WANDB_MODE") or "online"


@dataclass(frozen=True)
class WandbTracker:
    """Tracks runs and analyses, each as a W&B run.

    Online where the machine is logged in (unless `WANDB_MODE` says otherwise), else into the run
    folder, from where `wandb sync` uploads it (the report at the end says how). `entity` is whose
    project it is; None: the user's default.
    """

    project: str
    entity: str | None

    def __post_init__(self):
        check_rules("logger", vars(self), _RULES)
        check_rules("", {"WANDB_MODE": _mode()}, [_MODE])

    @contextmanager
    def track(self, cfg: DictConfig, folder: Path, sweep: str | None) -> Iterator[TrackedRun]:
        """Track a run for as long as the `with` block lasts; W&B groups runs by their sweep."""
        run = self._open(
            cfg,
            folder,
            group=sweep,
            name=f"{cfg.occlusion.name}_seed{cfg.seed}",
            job_type="train",
            tags=[cfg.occlusion.name, cfg.data.name, cfg.model.network],
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
        tables: Mapping[str, Sequence[Mapping[str, Any]]],
        pictures: Mapping[str, Path],
    ) -> None:
        """Log an analysis beside the runs of its sweeps, of which the first is its group.

        Empty tables are left out; `accuracy` is among them. Pictures are PNG files.
        """
        import wandb

        run = self._open(
            cfg,
            folder,
            group=sweeps[0],
            name=f"analysis_{folder.name}",
            job_type="analysis",
            tags=list(sweeps),
        )
        try:
            logged = {f"figures/{name}": wandb.Image(str(path)) for name, path in pictures.items()}
            for name, rows in tables.items():
                if rows:
                    data = [list(row.values()) for row in rows]
                    logged[f"tables/{name}"] = wandb.Table(columns=list(rows[0]), data=data)
            run.log(logged)
            for row in tables["accuracy"]:
                run.summary[f"accuracy/{row['condition']}"] = row["accuracy"]
        finally:
            run.finish()
        if run.offline:
            upload = f"wandb sync {folder}/wandb/offline-run-*"
            log.info(f"Weights & Biases is offline; to upload: {upload}")

    def _open(self, cfg: DictConfig, folder: Path, **description: Any) -> wandb.Run:
        import wandb

        start = partial(
            wandb.init,
            project=self.project,
            entity=self.entity,
            dir=folder,
            config=OmegaConf.to_container(cfg),
            settings=wandb.Settings(silent=True, console="off"),
            **description,
        )
        if _mode() == "online" and not wandb.login(prompt=False, verify=False):
            return start(mode="offline")
        try:
            return start()
        except wandb.errors.CommError as error:
            log.warning(f"Weights & Biases cannot be reached, so this run stays offline: {error}")
            return start(mode="offline")


class TrackedRun:
    """A run that is being tracked, with a `logger` for Lightning's Trainer."""

    def __init__(self, run: wandb.Run):
        from lightning.pytorch.loggers import WandbLogger

        self._run = run
        self.logger = WandbLogger(experiment=run)

    def log_facts(self, facts: dict[str, object]) -> None:
        """Add what decided the run's numbers (see `provenance.json`) to the W&B run's config."""
        self._run.config.update({"provenance": facts})

    def log_results(self, figures: Path, data: FaceDataModule, probabilities: np.ndarray) -> None:
        """Log the pictures of a finished run and an interactive confusion matrix.

        `figures` holds PNG files; `probabilities` are float, (validation faces, classes).
        """
        import wandb

        labels = data.faces.labels[data.split.validation]
        matrix = wandb.plot.confusion_matrix(
            y_true=labels.tolist(),
            preds=probabilities.argmax(axis=1).tolist(),
            class_names=list(data.faces.classes),
        )
        files = sorted(figures.glob("*.png"))
        pictures = {f"figures/{path.stem}": wandb.Image(str(path)) for path in files}
        self._run.log({"confusion_matrix": matrix, **pictures})
