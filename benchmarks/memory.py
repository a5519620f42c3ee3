"""Peak memory of a run on all the paper's faces, for several numbers of views."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from program import PAPER_FACES, SMALL, Program
from tables import environment, markdown_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    parser.add_argument("--faces", type=int, default=PAPER_FACES)
    parser.add_argument("--views", type=int, nargs="*", default=[2, 10], help="at a small input")
    parser.add_argument("--image-size", type=int, default=224, help="input of one run with 1 view")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the table."""
    cases = [(arguments.image_size, 1), *((SMALL, views) for views in arguments.views)]
    rows = []
    with TemporaryDirectory(prefix="fer-lit-benchmark-", ignore_cleanup_errors=True) as temporary:
        program = Program(Path(temporary))
        options = program.prepare(arguments.faces)
        for size, views in cases:
            used = program.run(
                *options,
                f"data.image_size={size}",
                f"features.views={views}",
                f"trainer.max_epochs={views}",
                "logger=csv",
            )
            rows.append(
                {
                    "input, pixels": str(size),
                    "views": str(views),
                    "peak memory, MB": f"{used.memory / 1e6:,.0f}",
                    "seconds": f"{used.seconds:,.0f}",
                }
            )
    sys.stdout.write(
        f"{markdown_table(rows)}\n\n{arguments.faces:,} drawn faces, one condition; a run trains "
        f"on every view once\n{environment()}\n"
    )
