"""Measures fer-lit beside other ways to do the same work, and prints a Markdown table.

python benchmarks/benchmark.py images --help
"""

from __future__ import annotations

import argparse
import signal
import sys

import duplicates
import faults
import images
import intervals
import jobs
import maps
import memory
import scaling
import sizes
import stages
import sweep
from workers import WorkerError

from fer_lit.errors import ConfigError

COMMANDS = {
    "images": images,
    "sweep": sweep,
    "jobs": jobs,
    "memory": memory,
    "scaling": scaling,
    "sizes": sizes,
    "stages": stages,
    "maps": maps,
    "faults": faults,
    "duplicates": duplicates,
    "coverage": intervals,
}
"""Sub-command → module with `add_arguments(parser)` and `run(arguments)`."""


def main() -> None:
    """Run one sub-command; errors are one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        summary = module.__doc__.splitlines()[0]
        module.add_arguments(commands.add_parser(name, help=summary, description=summary))
    arguments = parser.parse_args()
    # As an exception a request to end lets temporary folders and workers be cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        COMMANDS[arguments.command].run(arguments)
    except (ConfigError, WorkerError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


if __name__ == "__main__":
    main()
