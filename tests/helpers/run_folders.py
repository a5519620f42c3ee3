"""Made-up run folders, whose results are known."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from fer_lit.files import write_csv, write_json, write_text
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
    known |= {"command": ["train.py"], "backbone_digest": "0123456789"}
    write_json(folder / "provenance.json", known | facts)
    faces = faces or {"train": 6, "validation": 3}
    write_json(folder / "metrics.json", {"faces": faces})
    emotions = list(cfg.data.classes)
    rows = []
    for number, name in enumerate(images or ("a", f"b{cfg.seed}")):
        predicted = emotions[0 if right is None or number < right else 1]
        row = {"image": name, "label": emotions[0], "prediction": predicted}
        sure = {f"probability_{emotion}": float(emotion == predicted) for emotion in emotions}
        rows.append(row | sure)
    write_csv(folder / ("test_predictions.csv" if "test" in faces else "predictions.csv"), rows)
    return folder
