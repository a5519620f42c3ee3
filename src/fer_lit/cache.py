"""Where downloads, decoded faces and the feature bank are kept."""

import os
from pathlib import Path

import platformdirs


def cache_folder(*parts: str) -> Path:
    """Return the folder for `parts` below the cache, and create it.

    The cache is the environment variable `FER_LIT_CACHE`, else the user's cache folder
    (`~/.cache/fer-lit` on Linux). Deleting any of it is safe: it is filled again when needed.
    """
    default = platformdirs.user_cache_dir("fer-lit", appauthor=False)
    folder = (
        Path(os.environ.get("FER_LIT_CACHE") or default).expanduser().absolute().joinpath(*parts)
    )
    folder.mkdir(parents=True, exist_ok=True)
    return folder
