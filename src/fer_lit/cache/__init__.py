"""Where downloads, decoded faces and the feature bank are kept."""

import os
from pathlib import Path

import platformdirs

from fer_lit.errors import ConfigError


def cache_folder(*parts: str) -> Path:
    """Return the folder for `parts` below the cache, and create it.

    The cache is the environment variable `FER_LIT_CACHE`, else the user's cache folder
    (`~/.cache/fer-lit` on Linux). Deleting any of it is safe: it is filled again when needed.

    Raises:
        ConfigError: it cannot be created or written to.
    """
    default = platformdirs.user_cache_dir("fer-lit", appauthor=False)
    cache = os.environ.get("FER_LIT_CACHE") or default
    try:
        folder = Path(cache).expanduser().absolute().joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # the second where there is no home folder
        raise _useless(cache, getattr(error, "strerror", None) or str(error)) from error
    if not os.access(folder, os.W_OK):
        raise _useless(cache, "it is read-only")
    return folder


def _useless(cache: str, reason: str) -> ConfigError:
    return ConfigError(
        f"FER_LIT_CACHE={cache}: the cache cannot be written ({reason}); name a folder that can "
        "by the environment variable FER_LIT_CACHE"
    )
