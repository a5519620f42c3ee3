"""Finished runs whose files agree with each other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fer_lit.analysis.labels import Run
from fer_lit.errors import ConfigError
from fer_lit.options import check_alone
from fer_lit.runs.earlier import upgraded
from fer_lit.runs.folder import one_line
from fer_lit.runs.predictions import probability_columns, read_predictions
from fer_lit.runs.reading import check_facts
from fer_lit.targets import build

_NEEDED = (
    "seed",
    "data.classes",
    "data.split",
    "features",
    "occlusion",
    "model",
    "trainer.precision",
)
"""Options of every version, some in each section, so that a part of a file is not taken for all."""


def verified(run: Mapping[str, Any]) -> Run:
    """Return a finished run (see `reading.read_run`) with the predictions that it is judged by.

    Raises:
        ConfigError: options that make no sense, something missing, or predictions that are not
            those counted in `metrics.json`.
    """
    config = _upgraded(run)
    check_facts(run)
    faces = run["metrics"]["faces"]
    part = "test" if faces.get("test") else "validation"
    file = run["folder"] / ("test_predictions.csv" if part == "test" else "predictions.csv")
    predictions = read_predictions(file, config.data.classes)
    matrix = np.array(run["metrics"][part]["confusion_matrix"])
    _refuse_other_results(file, predictions, faces[part], matrix)
    return Run(run["folder"], config, run["provenance"], faces, predictions)


def _upgraded(run: Mapping[str, Any]) -> DictConfig:
    try:
        config = upgraded(run["config"])
        for option in _NEEDED:
            if OmegaConf.select(config, option) is None:
                raise ConfigError(f"{option} is missing")
        check_alone(config)
        build(config.occlusion)
    # Where no manifest vouches for it, a configuration may lack anything.
    except (ConfigError, OmegaConfBaseException, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{run['folder'] / 'config.yaml'}: {one_line(error)}") from error
    return config


def _refuse_other_results(
    file: Path, predictions: pd.DataFrame, faces: int, matrix: np.ndarray
) -> None:
    mend = "bring back the originals, or train the run again"
    if len(predictions) != faces:
        raise ConfigError(
            f"{file}: has {len(predictions):,} faces, and {faces:,} in metrics.json; {mend}"
        )
    if matrix.sum() != faces:  # measured on some of them, as with +trainer.limit_val_batches
        return
    found = np.zeros_like(matrix)
    np.add.at(found, (predictions["label"].cat.codes, predictions["prediction"].cat.codes), 1)
    ranked = np.sort(predictions[probability_columns(predictions["label"].cat.categories)])
    ties = (ranked[:, -1] == ranked[:, -2]).sum()  # of which either may have been chosen
    if np.abs(found - matrix).sum() > 2 * ties:
        raise ConfigError(
            f"{file}: {found.trace():,} of {faces:,} faces are right, in other places than the "
            f"{matrix.trace():,} in metrics.json; {mend}"
        )
