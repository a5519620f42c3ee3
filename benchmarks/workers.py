"""Processes that stay alive during a benchmark, each with one contender in it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

_PATIENCE = 5.0  # seconds in which an idle worker ends by itself


class WorkerError(Exception):
    """A contender failed; the message is one line."""


class Worker:
    """A process that makes one object and calls its methods, one at a time, when told.

    Args:
        name: for messages.
        make: gives the object, in the process; must be picklable.
    """

    def __init__(self, name: str, make: Callable[[], Any]):
        self._name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # Not a daemon: those may not have children, and data loaders do.
        usual = multiprocessing.get_start_method()
        self._process = context.Process(target=_serve, args=(theirs, make, usual))
        self._process.start()
        theirs.close()

    def call(self, method: str) -> Any:
        """Call a method of the object without arguments and return what it returns.

        The first call also waits for the object to be made.

        Raises:
            WorkerError: it raised an exception, or its process died.
        """
        try:
            self._pipe.send(method)
            failed, answer = self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join(_PATIENCE)
            code = self._process.exitcode
            raise WorkerError(f"{self._name}: its process died (exit code {code})") from None
        if failed:
            raise WorkerError(f"{self._name}: {answer}")
        return answer

    def stop(self, patience: float = _PATIENCE) -> None:
        """End the process and its children; an idle one gets `patience` seconds to do so."""
        self._pipe.close()
        self._process.join(patience)
        if self._process.is_alive():
            self._kill()

    def _kill(self) -> None:
        if hasattr(os, "killpg"):
            # Not there, or not a group's leader yet: killed alone below.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, make: Callable[[], Any], start_method: str) -> None:
    """Answer calls until the other end of the pipe is closed."""
    # Else data loaders would start their processes as this one was, which takes seconds.
    multiprocessing.set_start_method(start_method, force=True)
    # Ctrl-C is for the main process, which ends this group with the children in it.
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    made = None
    with suppress(EOFError, ConnectionError):
        while True:
            method = pipe.recv()
            try:
                made = made or make()
                answer = (False, getattr(made, method)())
            except Exception as error:
                answer = (True, _one_line(error))
            pipe.send(answer)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
