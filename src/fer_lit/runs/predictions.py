"""What networks predicted for the faces that they are judged on: frames with one row per face."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd

from fer_lit.bounded import csv_rows
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet
from fer_lit.files import as_cell, replacing, text_of

_TEXTS = ("image", "label", "prediction")
_LARGEST = 2**29  # bytes; a face of ten emotions takes up to 270
_LONGEST = 2**16  # characters of a row
_MEND = "train the run again"


def prediction_frame(
    images: Sequence[str],
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    predicted: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return the predictions of one network.

    Args:
        images: N unique names.
        labels: int, (N,), indices of the emotions.
        probabilities: float, (N, classes), 0–1.
        classes: the emotions.
        predicted: int, (N,); if None, the most probable emotions, of equal ones the first.

    Returns:
        One row per face: `image`, `label` and `prediction` (categorical, of the classes),
        `probability_<emotion>`, and `right` (bool).
    """
    if predicted is None:
        predicted = probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "image": list(images),
            "label": pd.Categorical.from_codes(labels, list(classes)),
            "prediction": pd.Categorical.from_codes(predicted, list(classes)),
            **dict(zip(probability_columns(classes), np.asarray(probabilities).T, strict=True)),
            "right": np.asarray(labels) == predicted,
        }
    )


def write_predictions(
    path: Path, faces: FaceSet, indices: np.ndarray, probabilities: np.ndarray
) -> None:
    """Write, in full precision, probabilities, (N, classes), of the faces at `indices`, (N,)."""
    images = [faces.names[index] for index in indices]
    predictions = prediction_frame(images, faces.labels[indices], probabilities, faces.classes)
    for column in _TEXTS:
        predictions[column] = predictions[column].map(as_cell)
    with replacing(path) as aside:
        predictions.drop(columns="right").to_csv(aside, index=False, lineterminator="\r\n")


def read_predictions(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """Read a run's `predictions.csv`: see `prediction_frame`.

    Raises:
        ConfigError: the file is not there, larger than what some two million faces of ten
            emotions take, lacks a column or rows, or a row makes no sense.
    """
    images, labels, predicted, probabilities = [], [], [], array("d")
    codes = {emotion: code for code, emotion in enumerate(classes)}
    emotions = f"(emotions: {', '.join(classes)}); {_MEND}"
    with closing(_rows(path, classes)) as rows:
        for image, label, prediction, *values in rows:
            images.append(text_of(image))
            try:
                labels.append(codes[text_of(label)])
                predicted.append(codes[text_of(prediction)])
                probabilities.extend(map(float, values))
            except KeyError as error:
                raise ConfigError(f"{path}: no such emotion: {error} {emotions}") from error
            except ValueError as error:
                raise ConfigError(f"{path}: {error} {emotions}") from error
    if not images:
        raise ConfigError(f"{path}: has no faces; {_MEND}")
    table = np.array(probabilities).reshape(len(images), len(classes))
    _check(path, table, predicted)
    return prediction_frame(images, labels, table, classes, predicted)


def probability_columns(classes: Sequence[str]) -> list[str]:
    """Return the names of the columns of probabilities."""
    return [f"probability_{emotion}" for emotion in classes]


def join_predictions(runs: Mapping[str, Mapping[int, pd.DataFrame]]) -> pd.DataFrame:
    """Return the predictions of many runs, condition → seed → `prediction_frame`, in one frame.

    The columns `condition` and `seed` come before theirs; the seeds of a condition are ascending.
    """
    frames = {
        (condition, seed): by_seed[seed]
        for condition, by_seed in runs.items()
        for seed in sorted(by_seed)
    }
    joined = pd.concat(frames, names=["condition", "seed", None])
    return joined.reset_index(["condition", "seed"]).reset_index(drop=True)


def shared_seeds(predictions: pd.DataFrame, conditions: Sequence[str]) -> list[int]:
    """Return the seeds, ascending, that the conditions have in common, on the same faces."""
    own = predictions[predictions["condition"].isin(conditions)]
    seeds = own.groupby("seed").agg(
        runs=("condition", "nunique"), rows=("image", "size"), images=("image", "nunique")
    )
    # As many rows as that only if each run has all images.
    alike = (seeds["runs"] == len(conditions)) & (seeds["rows"] == seeds["images"] * seeds["runs"])
    return [int(seed) for seed in seeds.index[alike]]


def matched(
    predictions: pd.DataFrame, conditions: Sequence[str], seeds: Sequence[int]
) -> pd.DataFrame:
    """Return who is right about the same photographs, in every one of the `shared_seeds`.

    Returns:
        bool, one row per seed and photograph, by seed and name, one column per condition; index
        `seed`, `image` and `label`.
    """
    own = predictions[predictions["condition"].isin(conditions) & predictions["seed"].isin(seeds)]
    right = own.pivot(index=["seed", "image", "label"], columns="condition", values="right")
    return right[list(conditions)]


def each_once(right: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `matched` in which a photograph comes first: those of its lowest seed."""
    return right[~right.index.get_level_values("image").duplicated()]


def _rows(path: Path, classes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield image, label, prediction and the probabilities of each face, as text."""
    with closing(csv_rows(path, _LARGEST, _LONGEST, _MEND)) as rows:
        _, header = next(rows, (0, []))
        columns = [*_TEXTS, *probability_columns(classes)]
        missing = ", ".join(column for column in columns if column not in header)
        if missing:
            has = ", ".join(header)[:80]
            raise ConfigError(f"{path}: lacks column {missing} (has {has}); {_MEND}")
        cells = itemgetter(*map(header.index, columns))
        for line, row in rows:
            if len(row) != len(header):
                count = f"{len(row)} cells instead of {len(header)}"
                raise ConfigError(f"{path}:{line}: has {count}; {_MEND}")
            yield cells(row)


def _check(path: Path, probabilities: np.ndarray, predicted: Sequence[int]) -> None:
    possible = ((probabilities >= 0) & (probabilities <= 1)).all(axis=1)  # not if NaN
    highest = probabilities[np.arange(len(predicted)), predicted] == probabilities.max(axis=1)
    for holds, problem in (
        (possible, "a probability is not a number from 0 to 1"),
        (highest, "the prediction is not the most probable emotion"),
    ):
        if not holds.all():
            raise ConfigError(f"{path}: {problem} in face {holds.argmin() + 1}; {_MEND}")
