"""The command lines as in `helpers.command`, without the wait for what they import.

Each program is a process of its own, forked from one that has imported PyTorch and the rest, which
takes most of the time of a small run. `train.py` and `analyze.py` themselves, their options, output
and exit status are the real ones; `test_train.py` starts them from nothing.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from helpers import command

_IMPORTED = ["fer_lit.training", "fer_lit.analysis.analyze"]


def train(folder: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `train.py` in `folder`, its cache beside it, without a download or a W&B account."""
    return run(command.ROOT / "train.py", folder, *overrides, **environment)


def analyze(folder: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `analyze.py` as `train` runs `train.py`."""
    return run(command.ROOT / "analyze.py", folder, *overrides, **environment)


def run(
    program: Path, folder: Path, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program in `folder`, offline."""
    return together(program, folder, options, **environment)[0]


def together(
    program: Path, folder: Path, *commands: Sequence[str], **environment: str
) -> list[subprocess.CompletedProcess[str]]:
    """Run a program several times at once, each with options of its own."""
    started = [Running(program, folder, *options, **environment) for options in commands]
    return [running.finished() for running in started]


class Running:
    """A program that runs in `folder`, offline: `pid`, and `finished` waits for it."""

    def __init__(self, program: Path, folder: Path, *options: str, **environment: str):
        self._arguments = [str(program), *options]
        self._written = TemporaryDirectory()
        variables = command.offline(folder) | environment
        self._files = [Path(self._written.name) / name for name in ("stdout", "stderr")]
        arguments = (self._arguments, folder, variables, self._files)
        # The process that is forked comes to be with the first; warnings are errors in it, too.
        with patch.dict(os.environ, variables, clear=True):
            self._process = context().Process(target=_be, args=arguments)
            self._process.start()
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def finished(self) -> subprocess.CompletedProcess[str]:
        """Wait for the end."""
        self._process.join()
        texts = [file.read_text(encoding="utf-8") for file in self._files if file.exists()]
        self._written.cleanup()
        return subprocess.CompletedProcess(self._arguments, self._process.exitcode, *texts)


@cache
def context() -> BaseContext:
    """Return what starts processes that have PyTorch and the rest imported from the beginning."""
    if sys.platform != "linux":  # forking a process with so much in it is safe there alone
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context


def _be(
    arguments: list[str], folder: Path, variables: dict[str, str], files: Sequence[Path]
) -> None:
    """Become a program in a folder that writes into files."""
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = arguments
    sys.path.insert(0, str(Path(arguments[0]).parent))
    multiprocessing.set_start_method(None, force=True)  # the usual one, not that of this process
    # Shells start background jobs, such as these tests may be, with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # as where Python ends, which a forked process does without
