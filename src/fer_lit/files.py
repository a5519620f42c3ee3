"""Files that are whole or not there: written aside, then renamed; and text in cells of tables."""

import csv
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Number
from pathlib import Path
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def aside_of(path: Path) -> Path:
    """Return a hidden path in the same folder that nobody else writes to.

    Its name is random: numbers of processes repeat where two containers share a folder.
    """
    return path.with_name(f".{secrets.token_hex(8)}.{path.name}")


def remove(path: Path) -> None:
    """Remove whatever is there, if anything: a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes `path` when the block ends without an error."""
    aside = aside_of(path)
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # of a full disk it is not said
        raise
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON.

    Raises:
        ValueError: it has a number that JSON has not: NaN or an infinite one.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, f"{text}\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one or more rows with the same keys, and a line of their names above them."""
    with replacing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        names = list(rows[0])
        writer = csv.DictWriter(file, names)
        writer.writerow({name: as_cell(name) for name in names})
        writer.writerows({name: as_cell(value) for name, value in row.items()} for row in rows)


def as_cell(value: Any) -> Any:
    """Return what stands for a value in a CSV file: the value, or text with one more apostrophe.

    A spreadsheet takes text that begins as a formula for one, and runs it; after an apostrophe it
    does not. What begins with apostrophes before that gets another, so that `text_of` can tell.
    """
    if isinstance(value, Number) or not _FORMULA.match(text := str(value)):
        return value
    return f"'{text}"


def text_of(cell: str) -> str:
    """Return the text that `as_cell` made this of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
