"""One HTML file that needs nothing else."""

import base64
import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from fer_lit.analysis.chapter import Chapter, Finding, Table, records
from fer_lit.files import write_text

SHARE_WORDS = frozenset(
    {
        *("accuracy", "recall", "precision", "f1", "ece", "confidence", "probability"),
        *("share", "drop", "difference", "change", "paper"),
        *("low", "high", "mean", "sd", "baseline", "ceiling", "power"),
    }
)
"""A column whose name has one of these between its underscores (`recall_happy`, `low`) holds shares
between 0 and 1, or differences of shares; it is shown in %."""
LONG_TABLE = 30
"""A table with more rows than this is folded away on the screen."""

_HEADINGS = {
    "p_holm": "p (Holm)",
    "p_equivalence_holm": "p equivalence (Holm)",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "sd": "SD",
    "ece": "ECE",
}
_CSS_PIXELS_PER_INCH = 96
_Row = list[tuple[str, bool]]


def write_report(
    path: Path,
    title: str,
    subtitle: str,
    findings: Sequence[Finding],
    notes: Sequence[str],
    chapters: Sequence[Chapter],
    facts: Mapping[str, str | list[str]],
) -> None:
    """Write a report that opens from disk, without a network, and prints.

    Everything is text: nothing in it is read as HTML. Figures and tables are numbered in their
    order; tables without rows or captions, and chapters without figures and tables, are left out.

    Args:
        path: the HTML file, in a folder that exists; the PNGs of the figures are in `figures/`
            beside it, and their dots per inch say how large they are shown.
        title: the first line.
        subtitle: what was analysed, in one sentence.
        findings: come first.
        notes: what is missing or was left out; without any, there is no such part.
        chapters: in their order.
        facts: how it was made, shown last; a list as a list, and a fact that is named "command…"
            as code.

    Raises:
        FileNotFoundError: a picture is not there; the file is then left as it was.
        PIL.UnidentifiedImageError: a picture is not a PNG; likewise.
    """
    whitespace = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    loader = PackageLoader("fer_lit.analysis.report", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, **whitespace
    )
    environment.filters["prose"] = _prose
    template = environment.get_template("report.html.j2")
    html = template.render(
        title=title,
        subtitle=subtitle,
        findings=findings,
        notes=notes,
        chapters=[one for one in chapters if one.drawings or any(map(_is_shown, one.tables))],
        facts=facts,
        next_figure=count(1).__next__,
        next_table=count(1).__next__,
        picture=partial(_picture, path.parent / "figures"),
        cells=_cells,
        is_shown=_is_shown,
        long_table=LONG_TABLE,
    )
    write_text(path, html)


def format_heading(column: str) -> str:
    """Return the name of a column for readers: `recall_happy` becomes "recall happy (%)"."""
    name = _HEADINGS.get(column, column.replace("_", " "))
    return f"{name} (%)" if _is_share(column) else name


def format_value(column: str, value: str | float | None) -> str:
    """Return a table's value for readers; None and NaN become an en dash.

    Shares (see `SHARE_WORDS`) are shown in % with one decimal, p-values (of `p` and `p_…`) with
    three or as "< 0.001", other fractions with three decimals, or three digits if they are smaller
    than 0.01. Whole numbers have thousands separators, but `seed` is a name rather than a number.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
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


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _picture(folder: Path, name: str) -> tuple[str, int, int]:
    """Return a PNG in base64, its width and height in CSS pixels: all text is equally large."""
    path = folder / f"{name}.png"
    with Image.open(path, formats=["PNG"]) as image:
        dots_per_inch = image.info.get("dpi", (_CSS_PIXELS_PER_INCH,) * 2)
        width, height = (
            round(pixels * _CSS_PIXELS_PER_INCH / dots)
            for pixels, dots in zip(image.size, dots_per_inch, strict=True)
        )
    return base64.b64encode(path.read_bytes()).decode("ascii"), width, height


def _is_shown(table: Table) -> bool:
    return bool(len(table.rows) and table.captions)


def _cells(table: pd.DataFrame, columns: Sequence[str] | None) -> tuple[_Row, list[_Row]]:
    """Return headings and rows: texts, and whether they are in a column of numbers."""
    rows = records(table if columns is None else table[list(columns)])
    numeric = {
        column: all(row[column] is None or _is_number(row[column]) for row in rows)
        for column in rows[0]
    }
    headings = [(format_heading(column), number) for column, number in numeric.items()]
    return headings, [
        [(format_value(column, row[column]), number) for column, number in numeric.items()]
        for row in rows
    ]
