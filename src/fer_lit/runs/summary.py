"""The runs of a sweep as a table, beside the paper's figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from scipy.stats import binomtest

from fer_lit import paper
from fer_lit.targets import build

Row = dict[str, Any]
_ABSENT = object()


def summary_rows(runs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return a row for each run (see `folder.read_run`), all with the same keys.

    `accuracy` and its 95 % Wilson interval (`low`, `high`), `macro_f1`, and recalls are in % of the
    validation faces after the last epoch; `test`, where a run has test faces, is the best epoch's
    accuracy on them; `paper` is the paper's accuracy, on photographs only.
    What differs between the runs, other than the occlusion, has columns of its own. A run that did
    not finish has a `status` and no figures.
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
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _row(run: Mapping[str, Any], varied: Sequence[str], classes: Sequence[str]) -> Row:
    cfg, metrics = run["config"], run["metrics"]
    row = {
        "run": run["folder"].name,
        "data": cfg.data.name,
        "occlusion": cfg.occlusion.name,
        **{option: _plain(cfg, option) for option in varied},
        "status": run["provenance"]["status"],
    }
    figures = _figures(metrics, classes) if metrics else {}
    for column in ("accuracy", "low", "high", "macro_f1", *map(_recall, classes), "test"):
        row[column] = figures.get(column)
    row["seconds"] = run["provenance"].get("seconds", {}).get("total")
    row["paper"] = paper_accuracy(cfg)
    return row


def _figures(metrics: Mapping[str, Any], classes: Sequence[str]) -> dict[str, float | None]:
    validation = metrics["validation"]
    count = metrics["faces"]["validation"]
    right = sum(row[i] for i, row in enumerate(validation["confusion_matrix"]))
    interval = binomtest(right, count).proportion_ci(0.95, method="wilson")
    recalls = {_recall(emotion): validation["recall"].get(emotion) for emotion in classes}
    shares = {
        "accuracy": right / count,
        "low": interval.low,
        "high": interval.high,
        "macro_f1": validation["macro_f1"],
        **recalls,
        "test": metrics.get("test", {}).get("accuracy"),
    }
    return {name: None if share is None else 100 * share for name, share in shares.items()}


def _recall(emotion: str) -> str:
    return f"recall_{emotion}"


def paper_accuracy(cfg: DictConfig) -> float | None:
    """Return the paper's accuracy in % for a run on photographs that is comparable, else None."""
    occlusion = build(cfg.occlusion)
    comparable = (
        cfg.data.name == "fer2013"
        and list(cfg.data.classes) == paper.CLASSES
        and occlusion.is_papers
    )
    return paper.ACCURACY[cfg.occlusion.name] if comparable else None


def varied_options(configs: Sequence[DictConfig]) -> list[str]:
    """Return the options in which the runs differ, or runs with the same occlusion's name do.

    Two occlusions of different names differ in their bands, which says no more than the names.
    """
    flat = [_flatten(OmegaConf.to_container(cfg)) for cfg in configs]
    options = dict.fromkeys(option for one in flat for option in one)
    varied = [
        option
        for option in options
        if option != "occlusion.name" and not _is_target(option) and _varies(flat, option)
    ]
    return varied + [target for target in filter(_is_target, options) if _tells(flat, target)]


def _is_target(option: str) -> bool:
    return option.endswith("_target_")


def _tells(flat: Sequence[Mapping[str, Any]], target: str) -> bool:
    """Return whether a class varies where nothing else in its group does.

    Otherwise another option says so already: `model.network` which backbone it is.
    """
    group = target.partition(".")[0]
    classes = defaultdict(set)
    for one in flat:
        others = [str(item) for item in one.items() if item[0].startswith(f"{group}.")]
        alike = tuple(item for item in others if "_target_" not in item)
        classes[alike].add(one.get(target))
    return any(len(different) > 1 for different in classes.values())


def _varies(flat: Sequence[Mapping[str, Any]], option: str) -> bool:
    values = defaultdict(set)
    for one in flat:
        group = one["occlusion.name"] if option.startswith("occlusion.") else None
        values[group].add(str(one.get(option)))
    return any(len(different) > 1 for different in values.values())


def _flatten(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the options by their whole names; those that repeat one of a level above are left out.

    What is built from an option, such as a head from `model.hidden`, holds it once more.
    """
    flat = {}
    for key, value in options.items():
        if isinstance(value, dict):
            below = {name: one for name, one in value.items() if options.get(name, _ABSENT) != one}
            flat |= _flatten(below, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _plain(cfg: DictConfig, option: str) -> str:
    return str(OmegaConf.select(cfg, option)).replace("'", "")
