"""What a chapter of the report is made of: what was found about one topic, in every form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Finding:
    """A finding in words.

    Attributes:
        text: one or two sentences.
        holds: whether it holds on these runs; None if that is not the question.
    """

    text: str
    holds: bool | None = None


@dataclass(frozen=True)
class Table:
    """A table, written to `tables/NAME.csv` and `results.json`.

    Attributes:
        name: of the file.
        rows: shares are between 0 and 1. A table without rows is left out.
        captions: each shows columns of the table in the report, all for None; without any the table
            is a file alone. One or more sentences, without "Table 1.".
    """

    name: str
    rows: pd.DataFrame
    captions: Mapping[str, Sequence[str] | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawing:
    """A figure, written to `figures/NAME.png` and `.pdf`.

    Attributes:
        name: of the files.
        figure: what is drawn.
        caption: one or more sentences, without "Figure 1."; read out in place of the figure to
            those who do not see it.
    """

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Chapter:
    """A chapter of the report.

    Attributes:
        title: the heading.
        drawings: figures, before the tables.
        tables: the tables.
        findings: come first in the report.
        notes: a line for each thing that is missing or was left out.
        files: other files by name, and what writes one to a path.
    """

    title: str
    drawings: Sequence[Drawing] = ()
    tables: Sequence[Table] = ()
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    files: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
