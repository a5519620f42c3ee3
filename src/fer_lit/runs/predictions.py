"""What a network predicted for the faces that validate it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet

_MEND = "; train the run again"


@dataclass(frozen=True)
class Predictions:
    """The predictions for N photographs.

    Attributes:
        names: N unique names.
        labels: int64, (N,), indices of the emotions.
        probabilities: float64, (N, classes), 0–1.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Index of the most probable emotion, int64, (N,); of equals, the first."""
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> np.ndarray:
        """Whether the most probable emotion is the label, bool, (N,)."""
        return self.predicted == self.labels


def read_predictions(path: Path, classes: Sequence[str]) -> Predictions:
    """Read a run's `predictions.csv` (see `prediction_rows`).

    Probabilities in the file are rounded, so that two can be equal; the emotion that the file gives
    as the prediction is then raised by one unit in the last place of a float64, and predicted here.

    Args:
        path: the file.
        classes: the emotions, in the order of the labels.

    Raises:
        ConfigError: the file is not there, lacks a column or rows, or a row makes no sense.
    """
    rows = _read_rows(path, ["image", "label", "prediction", *map(_probability, classes)])
    index = {emotion: number for number, emotion in enumerate(classes)}
    try:
        labels = np.array([index[row["label"]] for row in rows])
        stated = np.array([index[row["prediction"]] for row in rows])
        values = [[float(row[_probability(emotion)]) for emotion in classes] for row in rows]
    except (KeyError, ValueError) as error:
        problem = f"no such emotion: {error}" if isinstance(error, KeyError) else error
        raise ConfigError(f"{path}: {problem} (emotions: {', '.join(classes)}){_MEND}") from error
    probabilities = np.array(values)
    _check(path, probabilities, stated)
    tied = np.flatnonzero(probabilities.argmax(axis=1) != stated)
    probabilities[tied, stated[tied]] = np.nextafter(probabilities[tied, stated[tied]], 1)
    return Predictions(tuple(row["image"] for row in rows), labels, probabilities)


def prediction_rows(
    faces: FaceSet, indices: np.ndarray, probabilities: np.ndarray
) -> list[dict[str, Any]]:
    """Return a row for each predicted face: image, label, prediction, probabilities.

    Args:
        faces: all faces.
        indices: int64, (N,), of the predicted faces.
        probabilities: float, (N, classes), in the same order.
    """
    columns = [*map(_probability, faces.classes)]
    return [
        {
            "image": faces.names[index],
            "label": faces.classes[faces.labels[index]],
            "prediction": faces.classes[row.argmax()],
            **{column: f"{value:.6f}" for column, value in zip(columns, row, strict=True)},
        }
        for index, row in zip(indices, probabilities, strict=True)
    ]


def _probability(emotion: str) -> str:
    return f"probability_{emotion}"


def _read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval="")
            found = reader.fieldnames or []
            missing = [column for column in columns if column not in found]
            if missing:
                raise ConfigError(
                    f"{path}: lacks column {', '.join(missing)} (has {', '.join(found)}){_MEND}"
                )
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: not readable ({error}){_MEND}") from error
    if not rows:
        raise ConfigError(f"{path}: has no faces{_MEND}")
    return rows


def _check(path: Path, probabilities: np.ndarray, stated: np.ndarray) -> None:
    possible = ((probabilities >= 0) & (probabilities <= 1)).all(axis=1)  # not if NaN
    highest = probabilities[np.arange(len(stated)), stated] == probabilities.max(axis=1)
    for holds, problem in (
        (possible, "a probability is not a number from 0 to 1"),
        (highest, "the prediction is not the most probable emotion"),
    ):
        if not holds.all():
            raise ConfigError(f"{path}: {problem} in face {holds.argmin() + 1}{_MEND}")
