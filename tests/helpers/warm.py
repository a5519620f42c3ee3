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
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
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
    arguments = [[str(program), *options] for options in commands]
    variables = command.offline(folder) | environment
    if sys.platform != "linux":  # forking a process with so much in it is safe there alone
        options = {"cwd": folder, "env": variables, "capture_output": True, "text": True}
        with ThreadPoolExecutor() as pool:
            return [
                *pool.map(lambda own: subprocess.run([sys.executable, *own], **options), arguments)
            ]
    with TemporaryDirectory() as written:
        processes = []
        # The process that is forked comes to be with the first; warnings are errors in it, too.
        with patch.dict(os.environ, variables, clear=True):
            for number, own in enumerate(arguments):
                files = [Path(written) / f"{name}{number}" for name in ("stdout", "stderr")]
                process = context().Process(target=_be, args=(own, folder, variables, files))
                process.start()
                processes.append((own, process, files))
        return [_finished(*process) for process in processes]


def _finished(
    arguments: list[str], process: BaseProcess, files: Sequence[Path]
) -> subprocess.CompletedProcess[str]:
    process.join()
    texts = [file.read_text(encoding="utf-8") for file in files]
    return subprocess.CompletedProcess(arguments, process.exitcode, *texts)


@cache
def context() -> BaseContext:
    """Return what starts processes that have PyTorch and the rest imported from the beginning."""
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
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # as where Python ends, which a forked process does without
