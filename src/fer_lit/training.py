"""One run: faces, features, training, and what is left in the run folder."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from omegaconf import DictConfig

from fer_lit.classifier import EmotionClassifier
from fer_lit.errors import ConfigError, of_the_disk
from fer_lit.faces.datamodule import FaceDataModule
from fer_lit.faces.face_set import FaceSet
from fer_lit.faces.split import split_faces
from fer_lit.faces.views import FaceViews
from fer_lit.feature_bank.bank import FeatureBank, depends_on
from fer_lit.files import write_json
from fer_lit.fitting import check_trainer, fit, new_classifier
from fer_lit.networks.reader import FrozenReader
from fer_lit.networks.weights import calibrate_batch_norm
from fer_lit.options import check
from fer_lit.precision import Precision, choose_device, choose_precision, forbid_tf32
from fer_lit.runs.figures import draw_run
from fer_lit.runs.folder import RunFolder, one_line, refuse_runs
from fer_lit.runs.metrics import nested, summarise
from fer_lit.runs.predictions import write_predictions
from fer_lit.runs.provenance import describe_run, duplicates_across
from fer_lit.runs.reading import is_run, read_run
from fer_lit.stopping import stop_in_good_order
from fer_lit.stopwatch import Stopwatch
from fer_lit.targets import build

CALIBRATION_FACES = 256
"""Training faces on which the BatchNorm statistics of a random network are measured."""

log = logging.getLogger(__name__)


def train(
    cfg: DictConfig,
    folder: Path,
    sweep: str | None = None,
    overrides: Sequence[str] = (),
    resumed: bool = False,
) -> float:
    """Train one network and write its run folder.

    It is recorded with its sweep's name and `overrides`: what was typed, or swept, for it. A
    `resumed` run that has finished stays as it is, and one with a checkpoint goes on from there.

    Returns:
        Accuracy on the validation faces after the last epoch, 0–1; NaN if the run failed, so that
        the other jobs of a sweep go on. The run folder says why.
    """
    stop_in_good_order()  # once more: a launcher's jobs are processes of their own
    if resumed and (accuracy := _finished_before(folder)) is not None:
        return accuracy
    run = RunFolder(folder)
    try:
        with run.alone():
            if not resumed:
                refuse_runs(folder, "hydra.run.dir")
            return _record(cfg, run, sweep, overrides)
    except (ConfigError, OSError) as error:  # the folder is another's, or the disk is full
        log.error(f"FAILED: {of_the_disk(error) or one_line(error)}")
        return float("nan")


def _record(cfg: DictConfig, run: RunFolder, sweep: str | None, overrides: Sequence[str]) -> float:
    """Train; the run folder says how it was started, and how it ended, whatever happens."""
    try:
        run.start(cfg, overrides)
        check(cfg)
        tracker = build(cfg.logger.tracker)
        with tracker.track(cfg, run.path, sweep) if tracker else nullcontext() as tracked:
            return _train(cfg, run, tracked)
    except Exception as error:
        reason = of_the_disk(error) or one_line(error)
        log.error(f"FAILED: {reason}\nTraceback: {run.path / 'error.txt'}")
        with suppress(OSError):  # nor can it be written on a full disk
            run.fail(error, reason)
        return float("nan")
    except BaseException:
        run.record(status="interrupted")
        raise


def _finished_before(folder: Path) -> float | None:
    run = read_run(folder, trust=True) if is_run(folder) else {"metrics": None}
    return run["metrics"] and run["metrics"]["validation"]["accuracy"]


def _train(cfg: DictConfig, run: RunFolder, tracker: Any) -> float:
    check_trainer(cfg.trainer)
    watch = Stopwatch()
    device = choose_device(cfg.trainer.accelerator)
    precision = choose_precision(cfg.trainer.precision, device)
    if precision.backbone == torch.float32:
        forbid_tf32()
    with watch.measure("faces"):
        faces = build(cfg.data.source).load()
        data = build_data(cfg, faces)
        across = duplicates_across(cfg.data.split.protocol, faces, data.split)
    with watch.measure("backbone"):
        model = build_classifier(cfg, precision, data)
    facts = describe_run(cfg, faces, model, device, precision) | {"duplicates_across": across}
    run.record(**facts)
    log.info(
        f"{facts['device']}: backbone in {facts['precision']['backbone']}, "
        f"head in {facts['precision']['head']}; weights {facts['backbone_digest'][:12]}"
    )
    if tracker:
        tracker.log_facts(facts)
    with watch.measure("features"):
        if cfg.features.bank:
            data.bank = open_bank(data, model, device)
            data.bank.fill(data.needed_views(cfg.trainer.max_epochs))
    with watch.measure("training"):
        probabilities = fit(cfg, run, data, model, device, precision, tracker)
    metrics = {
        "data": cfg.data.name,
        "occlusion": cfg.occlusion.name,
        "seed": cfg.seed,
        "classes": list(faces.classes),
        "faces": data.split.counts,
        **summarise(model.history, faces.classes),
    }
    if len(data.split.test):
        metrics["test"] = nested(model.tested, "test", faces.classes)
        tested = model.test_probabilities.cpu().numpy()
        write_predictions(run.path / "test_predictions.csv", faces, data.split.test, tested)
    with watch.measure("figures"):
        draw_run(run.figures, data, metrics)
    write_json(run.path / "metrics.json", metrics)
    write_predictions(run.path / "predictions.csv", faces, data.split.validation, probabilities)
    if tracker:
        tracker.log_results(run.figures, data, probabilities)
    run.finish(seconds=watch.seconds)
    return metrics["validation"]["accuracy"]


def build_data(cfg: DictConfig, faces: FaceSet) -> FaceDataModule:
    """Return the occluded faces, split as configured; see `FaceDataModule`.

    Without a bank, every epoch has a new random view in place of a number of them.
    """
    views = cfg.features.views
    new_views = isinstance(views, int) and views > 0 and not cfg.features.bank
    return FaceDataModule(
        faces,
        build(cfg.occlusion),
        build(cfg.augmentation),
        image_size=cfg.data.image_size,
        split=split_faces(faces, **cfg.data.split, seed=cfg.seed),
        batch_size=cfg.data.batch_size,
        views=None if new_views else views,
        test_views=cfg.features.test_views,
    )


def build_classifier(
    cfg: DictConfig, precision: Precision, data: FaceDataModule
) -> EmotionClassifier:
    """Return a new classifier; random weights get BatchNorm statistics from the training faces.

    These faces are not occluded, so that the backbone is the same in every condition.
    """
    L.seed_everything(cfg.seed, verbose=False)
    model = new_classifier(
        cfg.model,
        data.faces.classes,
        backbone_arithmetic=str(precision.backbone).removeprefix("torch."),
        download=cfg.data.download,
    )
    if cfg.model.weights is None:
        calibrate_batch_norm(model.backbone, _calibration_faces(data))
    return model


def open_bank(data: FaceDataModule, model: EmotionClassifier, device: torch.device) -> FeatureBank:
    """Return the bank of the features that this model reads from these faces."""
    reader = FrozenReader(
        model.backbone.to(device),
        model.taps,
        getattr(torch, model.hparams.backbone_arithmetic),
        device,
        data.views.image_size,
    )
    return FeatureBank(data.views, depends_on(data.faces, data.occlusion), reader)


def _calibration_faces(data: FaceDataModule) -> torch.Tensor:
    train = data.split.train
    # Spread over the split, because faces are sorted by emotion.
    chosen = train[np.linspace(0, len(train) - 1, min(CALIBRATION_FACES, len(train)), dtype=int)]
    views = FaceViews(data.faces.pixels[chosen], data.views.augmentation, data.views.image_size)
    return views(torch.arange(len(chosen)), view=0)
