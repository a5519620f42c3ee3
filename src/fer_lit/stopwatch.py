"""Where the time of a run goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Measures the stages of a run in seconds, `total` among them."""

    def __init__(self):
        self._start = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Measure the block."""
        start = time.perf_counter()
        yield
        self._stages[stage] = round(time.perf_counter() - start, 2)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage, and since the start."""
        return {**self._stages, "total": round(time.perf_counter() - self._start, 2)}
