"""What the networks of each condition get right."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torchmetrics.functional.classification import multiclass_f1_score

from fer_lit.analysis.chapter import Analysis, Chapter, Drawing, Finding, Table, records
from fer_lit.analysis.chapters.calibration import calibration_error
from fer_lit.analysis.chapters.costs import compare
from fer_lit.analysis.report import style
from fer_lit.analysis.report.style import NORMAL, PAGE_WIDTH, SMALL, percent, points, wrapped
from fer_lit.analysis.selection import Selection
from fer_lit.paper import CONDITIONS, OTHER_STUDIES
from fer_lit.runs.figures import plot_confusion_matrix
from fer_lit.runs.predictions import pooled
from fer_lit.runs.summary import paper_accuracy
from fer_lit.stats import resampled_t, wilson

_ACCURACY_CAPTION = (
    "Accuracy of each condition. Every photograph counts once, predicted by the first seed's "
    "network that did not train on it, with its 95 % Wilson interval (low, high). Mean and "
    "standard deviation are those of the single networks; mean low and mean high are the 95 % "
    "interval of the mean over repeated splits, whose training faces overlap, by Nadeau and "
    "Bengio's corrected t."
)
_RECALL_CAPTION = (
    "Macro F1, recall of each emotion, and the expected calibration error (ECE, in 15 bins) of the "
    "same predictions."
)
_CONFUSION_CAPTION = "Confusion matrices: counts, and shares of the label's photographs."
_OURS, _PAPER, _SEED = "#0072B2", "#D55E00", "#56B4E9"
_OTHERS = (("#009E73", "s"), ("#CC79A7", "^"))


def chapter(analysis: Analysis) -> Chapter:
    """Say what the networks get right, and what each condition costs."""
    selection = analysis.selection
    table, costs = _accuracy(selection), compare(selection)
    counts = confusion_table(selection.predictions)
    emotions = counts["label"].cat.categories
    matrices = {
        condition: own["faces"].to_numpy().reshape(len(emotions), -1)
        for condition, own in counts.groupby("condition", sort=False)
    }
    confusion = Drawing("confusion", draw_confusions(matrices, emotions), _CONFUSION_CAPTION)
    return Chapter(
        costs.title,
        [_accuracy_drawing(selection, table.rows), confusion],
        [table, *costs.tables, Table("confusion", counts)],
        [*accuracy_findings(table.rows), *costs.findings],
        costs.notes,
    )


def accuracies_only(analysis: Analysis) -> Chapter:
    """Return the table of accuracies, for analyses that are about something else."""
    return Chapter("What covering costs", tables=[_accuracy(analysis.selection)])


def _accuracy(selection: Selection) -> Table:
    rows = accuracy_table(selection.predictions, selection.ratios)
    columns = list(rows)
    cut = columns.index("macro_f1")  # to fit a page
    captions = {_ACCURACY_CAPTION: columns[:cut], _RECALL_CAPTION: ["condition", *columns[cut:]]}
    return Table("accuracy", rows, captions)


def accuracy_table(predictions: pd.DataFrame, ratios: Mapping[str, float | None]) -> pd.DataFrame:
    """Return how often each condition's networks are right.

    Args:
        predictions: see `join_predictions`.
        ratios: see `Condition.ratio`.

    Returns:
        One row per condition: `condition`, `seeds` (their number), and of its pooled faces:
        `faces`, `accuracy`, `low` and `high` (95 % Wilson interval); `mean` and `sd` of the
        accuracies of the single runs (`sd` is missing for one run), `mean_low` and `mean_high`
        (95 % interval of the mean by `stats.resampled_t`, cut off at 0 and 1; missing without a
        ratio or a spread); of the pooled faces again: `macro_f1` (over the emotions that occur as
        label or prediction), `recall_<emotion>` (missing if it has no face) and `ece`, the expected
        calibration error in 15 bins. All but the counts are 0–1.
    """
    single = run_accuracies(predictions)
    rows = []
    for condition, pool in pooled(predictions).groupby("condition", sort=False):
        right, accuracies, ratio = pool["right"], single[condition], ratios[condition]
        splits = None if ratio is None else resampled_t(accuracies, ratio)
        mean_low, mean_high = np.clip((splits.low, splits.high), 0, 1) if splits else (None, None)
        recalls = pool.groupby("label", observed=False)["right"].mean()
        rows.append(
            {
                "condition": condition,
                "seeds": len(accuracies),
                "faces": len(right),
                "accuracy": right.mean(),
                **wilson(right.sum(), len(right))._asdict(),
                "mean": accuracies.mean(),
                "sd": accuracies.std(),
                "mean_low": mean_low,
                "mean_high": mean_high,
                "macro_f1": _macro_f1(pool),
                **recalls.add_prefix("recall_"),
                "ece": calibration_error(pool),
            }
        )
    return pd.DataFrame(rows)


def run_accuracies(predictions: pd.DataFrame) -> pd.Series:
    """Return the accuracy of each run, 0–1, by condition and seed."""
    return predictions.groupby(["condition", "seed"], sort=False)["right"].mean()


def _macro_f1(pool: pd.DataFrame) -> float:
    codes = [pool[name].cat.codes.to_numpy(np.int64) for name in ("prediction", "label")]
    classes = len(pool["label"].cat.categories)
    return float(multiclass_f1_score(*map(torch.tensor, codes), classes, "macro"))


def confusion_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return which emotions are taken for which, of each condition's pooled faces.

    Returns:
        One row per `condition`, `label` and `prediction`, in the order of the emotions: `faces`.
    """
    counts = {
        condition: pool.groupby(["label", "prediction"], observed=False).size()
        for condition, pool in pooled(predictions).groupby("condition", sort=False)
    }
    return pd.concat(counts, names=["condition"]).rename("faces").reset_index()


def accuracy_findings(table: pd.DataFrame) -> list[Finding]:
    """Return what the networks achieve (see `accuracy_table`)."""
    means, single, numbers = [], [], set()
    for row in records(table):
        if row["mean_low"] is None:
            single.append(f"{row['condition']} {percent(row['accuracy'])}")
        else:
            numbers.add(row["seeds"])
            interval = f"({points(row['mean_low'])} to {points(row['mean_high'])})"
            means.append(f"{row['condition']} {percent(row['mean'])} {interval}")
    texts = []
    if means:
        seeds = " or ".join(map(str, sorted(numbers)))
        over = f"mean over {seeds} seeds with its 95 % interval"
        texts.append(f"Accuracy on faces not trained on, {over}: {', '.join(means)}.")
    if single:
        texts.append(f"Accuracy on faces not trained on: {', '.join(single)}.")
    return [Finding(text) for text in texts]


def _accuracy_drawing(selection: Selection, table: pd.DataFrame) -> Drawing:
    papers = {label: paper_accuracy(one.config) for label, one in selection.conditions.items()}
    paper = {label: value for label, value in papers.items() if value is not None}
    single = run_accuracies(selection.predictions).groupby("condition")
    seeds = {label: list(accuracies) for label, accuracies in single if len(accuracies) > 1}
    caption = (
        "Accuracy of each condition on faces that its networks did not train on, each photograph "
        "once, with 95 % Wilson intervals"
        + (", beside the paper's" if paper else "")
        + ("; beneath, single seeds and the 95 % interval of their mean." if seeds else ".")
    )
    return Drawing("accuracy", draw_accuracy(table, paper or None, seeds), caption)


def draw_accuracy(
    table: pd.DataFrame, paper: Mapping[str, float] | None, seeds: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw the accuracy of each condition with its interval, beside the paper's figures.

    Args:
        table: see `accuracy_table`.
        paper: condition → the paper's accuracy in %, see `paper.ACCURACY`. None if nothing can be
            compared: then the other studies are left out, too.
        seeds: condition → accuracy of each run, 0–1; conditions may be missing.
    """
    rows, conditions = records(table), list(table["condition"])
    heights = [0.5 + 0.3 * len(rows)] + [1.6] * (paper is not None)
    figure = Figure(figsize=(PAGE_WIDTH, sum(heights) + 0.9), layout="constrained")
    axes = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    _list_conditions(axes[0], conditions)
    _write_column(axes[0], "these\nruns", [100 * row["accuracy"] for row in rows], 6)
    marks = {}
    for place, row in enumerate(rows):
        marks |= _draw_condition(axes[0], place, row, seeds.get(row["condition"], ()))
    if paper is not None:
        places = [place for place, condition in enumerate(conditions) if condition in paper]
        if places:
            _write_column(axes[0], "paper", list(map(paper.get, conditions)), 44)
            values = [paper[conditions[place]] for place in places]
            (marks["paper"],) = axes[0].plot(values, places, "D", color=_PAPER, fillstyle="none")
        marks |= _draw_other_studies(axes[1])
    axes[-1].set_xlabel("accuracy, %")
    style.legend_below(figure, list(marks.values()), list(marks))
    return figure


def _draw_condition(
    axis: Axes, place: int, row: Mapping[str, Any], single: Sequence[float]
) -> dict[str, Any]:
    """Draw a dot, intervals and single runs; return what the legend shows."""
    axis.plot([100 * row["low"], 100 * row["high"]], [place, place], color=_OURS)
    (dot,) = axis.plot(100 * row["accuracy"], place, "o-", color=_OURS, markersize=5)
    marks, below = {"these runs, 95 % interval": dot}, place + 0.22
    if len(single):
        values, places = 100 * np.array(single), np.full(len(single), below)
        (marks["single seeds"],) = axis.plot(values, places, ".", color=_SEED)
    if row["mean_low"] is not None:
        ends = [100 * row["mean_low"], 100 * row["mean_high"]]
        (line,) = axis.plot(ends, [below] * 2, "|-", color=_SEED, linewidth=1)
        marks["95 % interval of their mean"] = line
    return marks


def _draw_other_studies(axis: Axes) -> dict[str, Any]:
    conditions = list(CONDITIONS)
    _list_conditions(axis, conditions)
    axis.set_title("other studies, other data", loc="left", fontsize=NORMAL)
    axis.set_facecolor("0.96")
    marks = {}
    for (study, figures), (colour, marker) in zip(OTHER_STUDIES.items(), _OTHERS, strict=True):
        places = [conditions.index(label) for label in figures]
        (marks[study],) = axis.plot(list(figures.values()), places, marker, color=colour)
    return marks


def _list_conditions(axis: Axes, conditions: Sequence[str]) -> None:
    style.style_axis(axis)
    axis.set_yticks(range(len(conditions)), conditions)
    axis.set_ylim(len(conditions) - 0.5, -0.5)
    axis.grid(alpha=0.3)


def _write_column(axis: Axes, title: str, values: Sequence[float | None], distance: float) -> None:
    """Write numbers beside the right edge of an axis, `distance` points away from it."""
    font = {"textcoords": "offset points", "fontsize": SMALL, "ha": "left"}
    for place, value in enumerate(values):
        text, at = "–" if value is None else f"{value:.1f}", ("axes fraction", "data")
        axis.annotate(text, (1, place), (distance, 0), at, va="center", **font)
    axis.annotate(title, (1, 1), (distance, 3), "axes fraction", va="bottom", **font)


def draw_confusions(matrices: Mapping[str, np.ndarray], emotions: Sequence[str]) -> Figure:
    """Draw confusion matrices: counts, and shares of the label's faces.

    They are int (emotions, emotions), by condition; rows: the label, columns: the prediction.
    """
    cell = 0.38 if len(emotions) > 3 else 0.44
    side = cell * len(emotions)
    most = max(1, int((PAGE_WIDTH - 1.4) / (side + 0.06)))
    columns, rows = style.panel_grid(len(matrices), most)
    size = (1.5 + (side + 0.06) * columns, (side + 0.3) * rows + 0.55)
    figure = Figure(figsize=size, layout="compressed")
    axes, columns = style.panels(figure, len(matrices), most)
    for number, (axis, (label, matrix)) in enumerate(zip(axes, matrices.items(), strict=True)):
        image = plot_confusion_matrix(axis, matrix, emotions, font_size=SMALL)
        axis.set_title(wrapped(label, side), fontsize=NORMAL)
        if number % columns:
            axis.set_ylabel("")
        if number < len(matrices) - columns:
            axis.set_xlabel("")
    height = min(1.8, side * rows)  # inches
    bar = figure.colorbar(image, ax=axes, shrink=height / (side * rows), aspect=18)
    bar.set_label(wrapped("share of the label's faces", height), fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure
