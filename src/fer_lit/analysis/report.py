"""The report of an analysis: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from fer_lit.analysis.pictures import Picture
from fer_lit.files import write_text

SHARE_WORDS = frozenset(
    {
        *("accuracy", "recall", "precision", "f1", "ece", "confidence", "probability"),
        *("share", "drop", "difference", "change", "paper"),
        *("low", "high", "mean", "sd"),
    }
)
"""A column whose name has one of these between its underscores (`recall_happy`, `low`) holds shares
between 0 and 1, or differences of shares; it is shown in %."""
LONG_TABLE = 30
"""A table with more rows than this is folded away on the screen."""

_DASH = "–"
_HEADINGS = {"p_holm": "p (Holm)", "macro_f1": "macro F1", "sd": "SD", "ece": "ECE"}
_CSS_PIXELS_PER_INCH = 96

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Statement:
    """A finding in words.

    Attributes:
        text: one or two sentences.
        holds: whether it holds on these runs; None, if that is not the question.
    """

    text: str
    holds: bool | None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: one or more sentences, without "Table 1.".
        rows: all with the same keys, which are the columns; shares between 0 and 1. If there are
            none, the report says so.
    """

    caption: str
    rows: list[dict[str, Value]]


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        title: the heading.
        text: paragraphs, before the figures.
        pictures: figures, before the tables.
        tables: the tables.
    """

    title: str
    text: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


def write_report(
    path: Path,
    title: str,
    subtitle: str,
    findings: Sequence[Statement],
    notes: Sequence[str],
    sections: Sequence[Section],
    facts: Mapping[str, str | list[str]],
) -> None:
    """Write a report that opens from disk, without a network, and prints.

    Everything is text: nothing in it is read as HTML. Figures and tables are numbered in their
    order.

    Args:
        path: the HTML file, in a folder that exists.
        title: the first line.
        subtitle: what was analysed, in one sentence.
        findings: come first.
        notes: what is missing or was left out; without any, there is no such part.
        sections: the figures and tables.
        facts: how it was made, shown last; a list as a list, and a fact that is named "command…"
            as code.

    Raises:
        FileNotFoundError: a picture is not there; the file is then left as it was.
        PIL.UnidentifiedImageError: a picture is not a PNG; likewise.
    """
    environment = Environment(
        loader=PackageLoader("fer_lit", "analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["prose"] = _prose
    figure_numbers, table_numbers = count(1), count(1)
    html = environment.get_template("report.html.j2").render(
        title=title,
        subtitle=subtitle,
        findings=findings,
        notes=notes,
        sections=[
            {
                "title": section.title,
                "text": section.text,
                "figures": [*map(_figure_content, section.pictures, figure_numbers)],
                "tables": [*map(_table_content, section.tables, table_numbers)],
            }
            for section in sections
        ],
        facts=facts,
    )
    write_text(path, html)


def format_heading(column: str) -> str:
    """Return the name of a column for readers: `recall_happy` becomes "recall happy (%)"."""
    name = _HEADINGS.get(column, column.replace("_", " "))
    return f"{name} (%)" if _is_share(column) else name


def format_value(column: str, value: Value) -> str:
    """Return a table's value for readers.

    Args:
        column: the column's name. `p` and `p_…` are p-values, `seed` is a name rather than a
            number, shares are known by `SHARE_WORDS`.
        value: the value. None and NaN become an en dash.

    Returns:
        Shares in % with one decimal, p-values with three or "< 0.001", other fractions with three
        decimals, or three digits if they are smaller than 0.01. Whole numbers have thousands
        separators.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) or column == "seed":
        return str(value)
    return _format_number(column, value).replace("-", "−")


def _prose(text: str) -> str:
    """Keep a number and its % on one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _format_number(column: str, value: float) -> str:
    if _is_share(column):
        return f"{round(100 * value, 1) + 0.0:,.1f}"  # -0.0 + 0.0 is 0.0
    if _is_p_value(column):
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if 0 < abs(value) < 0.01 else f"{value:,.3f}"


def _is_p_value(column: str) -> bool:
    return column.split("_")[0] == "p"


def _is_share(column: str) -> bool:
    return not _is_p_value(column) and not SHARE_WORDS.isdisjoint(column.split("_"))


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _figure_content(picture: Picture, number: int) -> dict[str, Any]:
    width, height = _shown_size(picture.path)
    return {
        "number": number,
        "caption": picture.caption,
        "data": base64.b64encode(picture.path.read_bytes()).decode("ascii"),
        "width": width,
        "height": height,
    }


def _shown_size(path: Path) -> tuple[int, int]:
    """Return a PNG's width and height in CSS pixels, so that all figures' text is equally large."""
    with Image.open(path, formats=["PNG"]) as image:
        dots_per_inch = image.info.get("dpi", (_CSS_PIXELS_PER_INCH,) * 2)
        return tuple(
            round(pixels * _CSS_PIXELS_PER_INCH / dots)
            for pixels, dots in zip(image.size, dots_per_inch, strict=True)
        )


def _table_content(table: Table, number: int) -> dict[str, Any]:
    columns = list(table.rows[0]) if table.rows else []
    numeric = {column for column in columns if _holds_numbers(table.rows, column)}
    return {
        "number": number,
        "caption": table.caption,
        "columns": [(format_heading(column), column in numeric) for column in columns],
        "rows": [
            [(format_value(column, row[column]), column in numeric) for column in columns]
            for row in table.rows
        ],
        "long": len(table.rows) > LONG_TABLE,
    }


def _holds_numbers(rows: Sequence[Mapping[str, Value]], column: str) -> bool:
    return all(row[column] is None or _is_number(row[column]) for row in rows)
