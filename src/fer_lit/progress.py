"""Progress bars for work on images."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.text import Text

from fer_lit.stopping import stop_if_asked

log = logging.getLogger(__name__)


class _ImagesPerSecond(bars.TextColumn):
    """Images per second since the bar appeared."""

    def render(self, task: bars.Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} images/s")


@contextmanager
def image_progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar with images per second while the block runs, and log the speed at its end.

    Without a terminal there is no bar. Call what is yielded with the number of images just done;
    it raises KeyboardInterrupt if that was asked for, since a library may have swallowed the first.
    """
    numbers = (bars.MofNCompleteColumn(), _ImagesPerSecond(""), bars.TimeRemainingColumn())
    columns = (bars.TextColumn("{task.description}", markup=False), bars.BarColumn(), *numbers)
    start = time.perf_counter()
    with bars.Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(description, total=total)

        def advance(count: int) -> None:
            progress.advance(task, count)
            stop_if_asked()

        yield advance
    seconds = time.perf_counter() - start
    done = progress.tasks[0].completed
    log.info(f"{description}: {done:,.0f} images in {seconds:,.1f} s ({done / seconds:,.0f}/s)")
