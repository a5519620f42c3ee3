"""Made-up run folders, whose results are known."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from fer_lit.files import write_csv, write_json, write_text
from fer_lit.runs.manifest import write_manifest
from helpers.configs import changed


def run(folder: Path, *overrides: str, images=None, right=None, faces=None, **facts) -> Path:
    """Write a run folder that has only what the predictions' analysis reads.

    Args:
        folder: of the run.
        overrides: options.
        images: what is held out; without, two faces that differ from seed to seed.
        right: how many of these are; without, all.
        faces: how many train, validate and test.
        facts: more for the provenance.
    """
    folder.mkdir(parents=True)
    cfg = changed("experiment=demo", *overrides)
    OmegaConf.resolve(cfg)
    write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg))
    known = {"status": "finished", "data_fingerprint": "abc", "faces": {"happy": 9}}
    known |= {"command": ["train.py"], "backbone_digest": "0123456789", "source": "made up"}
    known |= {"data": "synthetic", "duplicates": 0, "blank": 0, "precision": {}}
    write_json(folder / "provenance.json", known | facts)
    names = list(images or ("a", f"b{cfg.seed}"))
    part = "test" if "test" in (faces or {}) else "validation"
    faces = (faces or {"train": 6, "validation": 3}) | {part: len(names)}
    emotions = list(cfg.data.classes)
    right = len(names) if right is None else right
    rows = []
    for number, name in enumerate(names):
        predicted = emotions[0 if number < right else 1]
        row = {"image": name, "label": emotions[0], "prediction": predicted}
        sure = {f"probability_{emotion}": float(emotion == predicted) for emotion in emotions}
        rows.append(row | sure)
    matrix = [[0] * len(emotions) for _ in emotions]
    matrix[0][:2] = [right, len(names) - right]
    parts = ("validation", part)
    measured = {one: {"confusion_matrix": matrix, "accuracy": right / len(names)} for one in parts}
    write_json(folder / "metrics.json", {"faces": faces} | measured)
    for one in parts:
        file = "predictions.csv" if one == "validation" else "test_predictions.csv"
        write_csv(folder / file, rows)
    write_manifest(folder)
    return folder
