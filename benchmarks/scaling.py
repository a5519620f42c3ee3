"""Seconds to fill the bank, by the number of faces, of views and of conditions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from jobs import CONDITIONS
from program import PAPER_FACES, SMALL, Program
from tables import environment, markdown_table

from fer_lit.runs.reading import read_sweep


class Case(NamedTuple):
    """How much there is to compute."""

    faces: int
    views: int
    conditions: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    parser.add_argument("--faces", type=int, default=PAPER_FACES, help="largest number of faces")
    parser.add_argument(
        "--parts",
        type=int,
        nargs="+",
        default=[1, 2, 3, 4],
        choices=range(1, 5),
        help="quarters of the faces, with one view under one condition",
    )
    parser.add_argument(
        "--views", type=int, nargs="*", default=[2, 4], help="of a quarter, under one condition"
    )
    parser.add_argument(
        "--conditions", type=int, nargs="*", default=[2, 4], help="of a quarter, with one view"
    )
    parser.add_argument("--image-size", type=int, default=SMALL, help="of the input, in pixels")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the table."""
    quarter = arguments.faces // 4
    cases = [
        *(Case(arguments.faces * part // 4, 1, 1) for part in arguments.parts),
        *(Case(quarter, views, 1) for views in arguments.views),
        *(Case(quarter, 1, conditions) for conditions in arguments.conditions),
    ]
    rows = [_row(case, *_measure(case, arguments.image_size)) for case in cases]
    sys.stdout.write(
        f"{markdown_table(rows)}\n\nDrawn faces, inputs of {arguments.image_size} pixels; each row "
        f"starts with nothing stored\n{environment()}\n"
    )


def _row(case: Case, images: int, seconds: float) -> dict[str, str]:
    return {
        "faces": f"{case.faces:,}",
        "views": str(case.views),
        "conditions": str(case.conditions),
        "views of faces computed": f"{images:,}",
        "seconds": f"{seconds:.1f}",
        "ms a view": f"{1e3 * seconds / images:.3f}",
    }


def _measure(case: Case, image_size: int) -> tuple[int, float]:
    """Return how many views of faces one sweep computes, and its seconds for them."""
    with TemporaryDirectory(prefix="fer-lit-benchmark-", ignore_cleanup_errors=True) as temporary:
        program = Program(Path(temporary))
        program.run(
            "-m",
            f"occlusion={','.join(CONDITIONS[: case.conditions])}",
            *program.prepare(case.faces),
            f"data.image_size={image_size}",
            f"features.views={case.views}",
            f"trainer.max_epochs={case.views}",
            "logger=csv",
        )
        runs = read_sweep(program.sweeps[-1])[0]
    images = sum(
        case.views * run["metrics"]["faces"]["train"] + run["metrics"]["faces"]["validation"]
        for run in runs
    )
    return images, sum(run["provenance"]["seconds"]["features"] for run in runs)
