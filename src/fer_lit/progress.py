"""Progress bars for work on images."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

log = logging.getLogger(__name__)


class _ImagesPerSecond(TextColumn):
    """Images per second since the bar appeared."""

    def __init__(self):
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} images/s")


@contextmanager
def image_progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar with images per second while the block runs, and log the speed at its end.

    Without a terminal there is no bar.

    Yields:
        A function to call with the number of images just done.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _ImagesPerSecond(),
        TimeRemainingColumn(),
    )
    start = time.perf_counter()
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(description, total=total)
        yield lambda count: progress.advance(task, count)
    seconds = time.perf_counter() - start
    done = progress.tasks[0].completed
    log.info(f"{description}: {done:,.0f} images in {seconds:,.1f} s ({done / seconds:,.0f}/s)")
