"""Files that anybody may have written, read without taking more memory than what belongs there."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_lit.errors import ConfigError


def read_text(path: Path, largest: int, mend: str) -> str:
    """Return a text of at most `largest` bytes. Messages end with `mend`, how to mend it.

    Raises:
        ConfigError: it is not there, larger, or not UTF-8.
    """
    _check_size(path, largest, mend)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable ({error}); {mend}") from error


def read_json(path: Path, largest: int, mend: str) -> Any:
    """Return the value in a JSON file; see `read_text`.

    Raises:
        ConfigError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(read_text(path, largest, mend))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not readable as JSON ({error}); {mend}") from error


def csv_rows(
    path: Path, largest: int, longest: int, mend: str, errors: str = "strict"
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file, UTF-8, without empty ones, after the number of their last line.

    Args:
        path: of the file.
        largest: size of the file, in bytes.
        longest: length of a row, in characters: a file without line ends is not read whole.
        mend: how to mend it; messages end with it.
        errors: what is done about bytes that are not UTF-8: see `open`.

    Raises:
        ConfigError: the file is not there or larger, a row is longer, or it is no CSV.
    """
    _check_size(path, largest, mend)
    left, ended = longest, 0

    def lines() -> Iterator[str]:
        nonlocal left
        while line := file.readline(left + 1):
            left -= len(line)
            if left < 0:
                raise csv.Error(f"a row of more than {longest:,} characters")
            yield line

    rows = csv.reader(lines())
    try:
        with path.open(encoding="utf-8-sig", errors=errors, newline="") as file:
            for row in rows:
                left, ended = longest, rows.line_num
                if row:
                    yield ended, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}:{ended + 1}: not readable as CSV ({error}); {mend}") from error


def _check_size(path: Path, largest: int, mend: str) -> None:
    if not path.is_file():  # a pipe would be waited for without end
        raise ConfigError(f"{path}: not readable (there is no such file); {mend}")
    if (size := path.stat().st_size) > largest:
        raise ConfigError(f"{path}: not read: {size:,} bytes, and at most {largest:,} are; {mend}")
