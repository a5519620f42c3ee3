"""What several tests need."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder with the photographs and the Caffe weights, beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED.name}/ (photographs and Caffe weights) beside the repository")
    return SHARED
