"""What several tests of faults begin with."""

from pathlib import Path

import pytest
from helpers import warm
from helpers.command import DEMO


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Path:
    """A folder with a sweep of two jobs that nothing happened to, and the cache that it left."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = warm.train(folder, "-m", "occlusion=none,mouth", "model.dropout=0.5", *DEMO)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
