"""What several tests need."""

import os
from pathlib import Path

import pytest

# Read when torch is imported, here and in the programs that tests start: two test processes with
# two threads each would wait for each other on two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder with the photographs and the Caffe weights, beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED.name}/ (photographs and Caffe weights) beside the repository")
    return SHARED


# Few tests, but of the real command lines: begun last, one of two processes would wait for them.
LONG = (
    "test_train",
    "test_benchmark",
    "test_readme",
    "test_stopped",
    "test_analyze",
    "test_targets",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest modules be the first that the two processes take."""
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))
