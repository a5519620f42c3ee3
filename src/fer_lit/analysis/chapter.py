"""What a chapter of the report is written from, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig

if TYPE_CHECKING:  # chapters import this module, and it only names what they are given
    from fer_lit.analysis.averages import MappedPhotographs
    from fer_lit.analysis.cam import MapSettings
    from fer_lit.analysis.checks.outcomes import Outcomes
    from fer_lit.analysis.networks import Networks
    from fer_lit.analysis.selection import Selection

ALL = "all"
"""In tables, the photographs of all emotions together."""


@dataclass(frozen=True)
class Analysis:
    """What a chapter is written from; None stands for what cannot be had.

    Attributes:
        cfg: of the analysis.
        selection: the runs and their predictions.
        networks: trained networks and the photographs they may be shown.
        settings: how attention maps are made.
        mapped: the maps.
        checks: what came of the checks of these maps.
    """

    cfg: DictConfig
    selection: Selection
    networks: Networks | None = None
    settings: MapSettings | None = None
    mapped: MappedPhotographs | None = None
    checks: Outcomes | None = None


SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
PASSED, FAILED = "passed", "failed"


@dataclass(frozen=True)
class Finding:
    """One or two sentences, and a verdict; None if that is no question.

    Attributes:
        verdict: on a claim `SUPPORTED`, `NOT_SUPPORTED` or `comparison.INCONCLUSIVE`, on a check of
            the maps `PASSED` or `FAILED`.
    """

    text: str
    verdict: str | None = None


@dataclass(frozen=True)
class Table:
    """A table, written to `tables/NAME.csv` and `results.json`, there even without rows.

    Attributes:
        name: of the file.
        rows: shares are between 0 and 1.
        captions: each shows columns of the table in the report, all for None; without any the table
            is a file alone. One or more sentences, without "Table 1.".
    """

    name: str
    rows: pd.DataFrame
    captions: Mapping[str, Sequence[str] | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawing:
    """A figure, written to `figures/NAME.png` and `.pdf`.

    The caption, one or more sentences without "Figure 1.", is read out in place of the figure to
    those who do not see it.
    """

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Chapter:
    """A chapter of the report: figures, then tables; findings come first in the report.

    Attributes:
        notes: a line for each thing that is missing or was left out.
        files: other files by name, and what writes one to a path.
    """

    title: str
    drawings: Sequence[Drawing] = ()
    tables: Sequence[Table] = ()
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    files: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as plain values: what is missing (None, NaN, NA) is None.

    Whole numbers stay whole where a column is of a dtype for them: `Int64` if some are missing.
    """
    return [
        {column: None if pd.isna(value) else value for column, value in row.items()}
        for row in rows.to_dict("records")
    ]
