"""Accuracy against time for several input sizes, on real photographs, and a plot of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from matplotlib.figure import Figure
from program import Program
from tables import environment, markdown_table

from fer_lit.runs.reading import read_sweep
from fer_lit.runs.summary import summary_rows

SIZES = (64, 96, 112, 160, 224)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    parser.add_argument("--root", type=Path, required=True, metavar="FOLDER", help="photographs")
    parser.add_argument("--network", choices=("googlenet", "googlenet_caffe"), default="googlenet")
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE")
    parser.add_argument("--occlusions", nargs="+", default=["none"])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--epochs", type=int, help="default: as many as train.py trains")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where the plot goes, as PNG")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the table; draw the plot."""
    with TemporaryDirectory(prefix="fer-lit-benchmark-", ignore_cleanup_errors=True) as temporary:
        program = Program(Path(temporary))
        points = [point for size in arguments.sizes for point in _measure(program, arguments, size)]
    if arguments.plot:
        draw(points).savefig(arguments.plot, dpi=150)
    sys.stdout.write(f"{markdown_table([_row(point) for point in points])}\n\n{environment()}\n")


def _measure(program: Program, arguments: argparse.Namespace, size: int) -> list[dict[str, Any]]:
    epochs = [f"trainer.max_epochs={arguments.epochs}"] if arguments.epochs else []
    program.run(
        "-m",
        f"occlusion={','.join(arguments.occlusions)}",
        f"data.root={arguments.root.absolute()}",
        f"data.image_size={size}",
        f"model={arguments.network}",
        f"model.weights={arguments.weights.absolute()}",
        "logger=csv",
        *epochs,
    )
    runs = read_sweep(program.sweeps[-1])[0]
    return [
        {"size": size, **row, "seconds": run["provenance"]["seconds"]["features"]}
        for run, row in zip(runs, summary_rows(runs), strict=True)
    ]


def draw(points: Sequence[dict[str, Any]]) -> Figure:
    """Return accuracy with its 95 % interval, in %, against seconds, one line per condition."""
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for occlusion in dict.fromkeys(point["occlusion"] for point in points):
        line = [point for point in points if point["occlusion"] == occlusion]
        seconds = [point["seconds"] for point in line]
        values = [point["accuracy"] for point in line]
        errors = [
            [point["accuracy"] - point["low"] for point in line],
            [point["high"] - point["accuracy"] for point in line],
        ]
        axes.errorbar(seconds, values, errors, marker="o", capsize=3, label=occlusion)
        for point in line:
            axes.annotate(
                f"{point['size']}",
                (point["seconds"], point["high"]),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
    axes.set_xlim(0, 1.15 * max(point["seconds"] for point in points))
    axes.set_xlabel("seconds for the features of one condition (above: input size in pixels)")
    axes.set_ylabel("validation accuracy in %")
    axes.grid(alpha=0.3)
    axes.legend(title="occlusion", loc="lower right")
    return figure


def _row(point: dict[str, Any]) -> dict[str, str]:
    return {
        "input, pixels": str(point["size"]),
        "occlusion": point["occlusion"],
        "accuracy, % (95 % interval)": (
            f"{point['accuracy']:.2f} ({point['low']:.1f}–{point['high']:.1f})"
        ),
        "seconds for the features": f"{point['seconds']:,.0f}",
    }
