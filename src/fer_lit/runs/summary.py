"""The runs of a sweep as a table, beside the paper's figures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from fer_lit import paper
from fer_lit.stats import wilson
from fer_lit.targets import build

Row = dict[str, Any]
_ABSENT = object()


def summary_rows(runs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return a row for each run (see `reading.read_run`), all with the same keys.

    `accuracy` and its 95 % Wilson interval (`low`, `high`), `macro_f1`, and recalls are in % of the
    validation faces after the last epoch; `test`, where a run has test faces, is the best epoch's
    accuracy on them; `paper` is the paper's accuracy, on photographs only.
    What differs between the runs, other than the occlusion, has columns of its own. A run that did
    not finish has a `status` and no figures; that of a run which has not seen all validation faces
    says so, and its figures are of those it has seen.
    """
    varied = varied_options([run["config"] for run in runs])
    classes = dict.fromkeys(emotion for run in runs for emotion in run["config"].data.classes)
    rows = [_row(run, varied, list(classes)) for run in runs]
    if all(row["test"] is None for row in rows):
        for row in rows:
            del row["test"]
    return rows


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([*map(_cell, row.values())] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _row(run: Mapping[str, Any], varied: Sequence[str], classes: Sequence[str]) -> Row:
    cfg, metrics = run["config"], run["metrics"]
    recalls = {f"recall_{emotion}": emotion for emotion in classes}
    status = run["provenance"]["status"]
    shares = dict.fromkeys(("accuracy", "low", "high", "macro_f1", *recalls, "test"))
    if metrics:
        validation, faces = metrics["validation"], metrics["faces"]["validation"]
        matrix = np.array(validation["confusion_matrix"])
        right, count = int(matrix.trace()), int(matrix.sum())
        if count < faces:  # as with +trainer.limit_val_batches
            status = f"partial: validated on {count:,} of {faces:,} faces"
        low, high = map(float, wilson(right, count))
        shares |= {"accuracy": right / count, "low": low, "high": high}
        shares |= {name: validation["recall"].get(emotion) for name, emotion in recalls.items()}
        shares["macro_f1"] = validation["macro_f1"]
        shares["test"] = metrics.get("test", {}).get("accuracy")
    return {
        "run": run["folder"].name,
        "data": cfg.data.name,
        "occlusion": cfg.occlusion.name,
        **{name: str(OmegaConf.select(cfg, name)).replace("'", "") for name in varied},
        "status": status,
        **{name: None if share is None else 100 * share for name, share in shares.items()},
        "seconds": run["provenance"].get("seconds", {}).get("total"),
        "paper": paper_accuracy(cfg),
    }


def paper_accuracy(cfg: DictConfig) -> float | None:
    """Return the paper's accuracy in % for a run on photographs that is comparable, else None."""
    papers_faces = cfg.data.name == "fer2013" and list(cfg.data.classes) == paper.CLASSES
    comparable = papers_faces and build(cfg.occlusion).is_papers
    return paper.ACCURACY[cfg.occlusion.name] if comparable else None


def varied_options(configs: Sequence[DictConfig]) -> list[str]:
    """Return the options in which the runs differ, or runs with the same occlusion's name do.

    Two occlusions of different names differ in their bands, which says no more than the names.
    """
    flat = [_flatten(OmegaConf.to_container(cfg)) for cfg in configs]
    options = dict.fromkeys(option for one in flat for option in one)
    targets = [option for option in options if option.endswith("_target_")]
    known = ("occlusion.name", *targets)
    others = [option for option in options if option not in known and not _repeats(flat, option)]
    varied = [option for option in others if _varies(flat, option)]
    return varied + [target for target in targets if _tells(flat, target)]


def _tells(flat: Sequence[Mapping[str, Any]], target: str) -> bool:
    """Return whether a class varies where nothing else in its group does.

    Otherwise another option says so already: `model.network` which backbone it is.
    """
    group = f"{target.partition('.')[0]}."

    def others(one: Mapping[str, Any]) -> list[str]:
        own = [str(item) for item in one.items() if item[0].startswith(group)]
        return [item for item in own if "_target_" not in item]

    return _differ((str(others(one)), one.get(target)) for one in flat)


def _varies(flat: Sequence[Mapping[str, Any]], option: str) -> bool:
    group = "occlusion.name" if option.startswith("occlusion.") else None
    return _differ((one.get(group), str(one.get(option))) for one in flat)


def _differ(pairs: Iterable[tuple[str | None, Any]]) -> bool:
    """Return whether the second of pairs differs where the first is the same."""
    found: dict[str | None, Any] = {}
    return any(found.setdefault(key, value) != value for key, value in pairs)


def _repeats(flat: Sequence[Mapping[str, Any]], option: str) -> bool:
    """Return whether an option is always the one of the same name a level above.

    What is built from an option, such as a head from `model.hidden`, holds it once more.
    """
    group, _, name = option.rpartition(".")
    above = f"{group.rpartition('.')[0]}.{name}".removeprefix(".")
    own = [one for one in flat if option in one]
    return bool(group) and all(one[option] == one.get(above, _ABSENT) for one in own)


def _flatten(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the options by their whole names."""
    flat = {}
    for key, value in options.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
