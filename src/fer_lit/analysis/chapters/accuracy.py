"""What the networks of each condition get right."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lit.analysis.chapter import Analysis, Chapter, Drawing, Finding, Table, records
from fer_lit.analysis.chapters.costs import compare
from fer_lit.analysis.report import style
from fer_lit.analysis.report.style import NORMAL, PAGE_WIDTH, SMALL, percent, points, wrapped
from fer_lit.analysis.scores import mean_scores
from fer_lit.analysis.selection import Selection
from fer_lit.comparison import mean_accuracy
from fer_lit.paper import CONDITIONS, OTHER_STUDIES
from fer_lit.runs.figures import plot_confusion_matrix
from fer_lit.runs.summary import paper_accuracy

_ACCURACY_CAPTION = (
    "Accuracy of each condition: the mean over its networks, each on the faces that it did not "
    "train on, with their standard deviation (SD). The 95 % interval (low, high) is over splits, "
    "by Nadeau and Bengio's corrected t, which allows for training faces that splits share, or "
    "over faces, by Wilson's, whichever is wider; below three splits it is over faces, and tells "
    "nothing of networks trained on other faces."
)
_SCORES_CAPTION = (
    "Other scores of the same predictions, means over networks. Baseline: the share of the most "
    "frequent label. AUC: of each emotion against the rest, mean over emotions. Log loss: in nats. "
    "ECE: the expected calibration error, in 15 bins."
)
_RECALL_CAPTION = "Recall of each emotion, mean over networks."
_CONFUSION_CAPTION = (
    "Confusion matrices of the predictions of all networks: counts, and shares of the label's."
)
_OURS, _PAPER, _SEED = "#0072B2", "#D55E00", "#56B4E9"
_OTHERS = (("#009E73", "s"), ("#CC79A7", "^"))


def chapter(analysis: Analysis) -> Chapter:
    """Say what the networks get right, and what each condition costs."""
    selection = analysis.selection
    table, costs = _accuracy(selection), compare(selection, analysis.cfg.margin / 100)
    counts = confusion_table(selection.predictions)
    emotions = counts["label"].cat.categories
    matrices = {
        condition: own["predictions"].to_numpy().reshape(len(emotions), -1)
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
    scores, recalls = columns.index("baseline"), columns.index("ece") + 1  # to fit a page
    captions = {
        _ACCURACY_CAPTION: columns[:scores],
        _SCORES_CAPTION: ["condition", *columns[scores:recalls]],
        _RECALL_CAPTION: ["condition", *columns[recalls:]],
    }
    return Table("accuracy", rows, captions)


def accuracy_table(predictions: pd.DataFrame, ratios: Mapping[str, float | None]) -> pd.DataFrame:
    """Return how often each condition's networks are right.

    Args:
        predictions: see `join_predictions`.
        ratios: see `Condition.ratio`.

    Returns:
        One row per condition: `condition`, `seeds` (their number), `faces` (different photographs),
        `accuracy` (mean over the networks), `low` and `high` (95 % interval), `interval` (what it
        is over: see `comparison.mean_accuracy`), `sd` (of the networks' accuracies; missing for
        one), and the means of their other `scores`. All but the counts and `log_loss` are 0–1.
    """
    rows = []
    for condition, own in predictions.groupby("condition", sort=False):
        single = own.groupby("seed")["right"].mean()
        photographs = pd.factorize(own["image"])[0]
        value, *interval = mean_accuracy(single, photographs, ratios[condition])
        rows.append(
            {
                "condition": condition,
                "seeds": len(single),
                "faces": own["image"].nunique(),
                "accuracy": value,
                **dict(zip(("low", "high", "interval"), interval, strict=True)),
                "sd": single.std(),
                **mean_scores(own),
            }
        )
    return pd.DataFrame(rows)


def run_accuracies(predictions: pd.DataFrame) -> pd.Series:
    """Return the accuracy of each run, 0–1, by condition and seed."""
    return predictions.groupby(["condition", "seed"], sort=False)["right"].mean()


def confusion_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return which emotions are taken for which, by all networks of a condition together.

    Returns:
        One row per `condition`, `label` and `prediction`, in the order of the emotions:
        `predictions` (how many).
    """
    counts = {
        condition: own.groupby(["label", "prediction"], observed=False).size()
        for condition, own in predictions.groupby("condition", sort=False)
    }
    return pd.concat(counts, names=["condition"]).rename("predictions").reset_index()


def accuracy_findings(table: pd.DataFrame) -> list[Finding]:
    """Return what the networks achieve (see `accuracy_table`), by what the intervals are over."""
    findings = []
    for (seeds, interval), own in table.groupby(["seeds", "interval"], sort=False):
        mean = f"mean over {seeds} seeds, " if seeds > 1 else ""
        values = [
            f"{row['condition']} {percent(row['accuracy'])} ({points(row['low'])} to "
            f"{points(row['high'])})"
            for row in records(own)
        ]
        findings.append(
            Finding(
                f"Accuracy on faces not trained on, {mean}95 % interval over {interval}: "
                f"{', '.join(values)}."
            )
        )
    return findings


def _accuracy_drawing(selection: Selection, table: pd.DataFrame) -> Drawing:
    papers = {label: paper_accuracy(one.config) for label, one in selection.conditions.items()}
    paper = {label: value for label, value in papers.items() if value is not None}
    single = run_accuracies(selection.predictions).groupby("condition")
    seeds = {label: list(accuracies) for label, accuracies in single if len(accuracies) > 1}
    caption = (
        "Accuracy of each condition on faces that its networks did not train on, with its 95 % "
        "interval"
        + (", beside the paper's" if paper else "")
        + "."
        + (" The dots beneath are single seeds, the one above their mean." if seeds else "")
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
    """Draw a dot, its interval and single runs; return what the legend shows."""
    axis.plot([100 * row["low"], 100 * row["high"]], [place, place], color=_OURS)
    (dot,) = axis.plot(100 * row["accuracy"], place, "o-", color=_OURS, markersize=5)
    marks = {"these runs, 95 % interval": dot}
    if len(single):
        values, places = 100 * np.array(single), np.full(len(single), place + 0.22)
        (marks["single seeds"],) = axis.plot(values, places, ".", color=_SEED)
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
