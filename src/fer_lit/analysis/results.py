"""What an analysis has found so far, and the files that it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_lit.analysis.pictures import Picture
from fer_lit.analysis.report import Statement
from fer_lit.files import write_csv, write_json

Row = dict[str, Any]


@dataclass
class Results:
    """What an analysis has found.

    Attributes:
        tables: by name, a row a dict; some may be empty.
        statements: the findings in words.
        pictures: figures by name.
        notes: a line for each thing that is missing or left out.
        facts: how it was made, by name, for people.
    """

    tables: dict[str, list[Row]] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str | list[str]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `tables/NAME.csv` and `results.json`, which holds everything but the figures."""
        (folder / "tables").mkdir(exist_ok=True)
        for name, rows in self.tables.items():
            if rows:
                write_csv(folder / "tables" / f"{name}.csv", rows)
        everything = {
            "findings": [{"text": one.text, "holds": one.holds} for one in self.statements],
            "notes": self.notes,
            "tables": self.tables,
            "facts": self.facts,
        }
        write_json(folder / "results.json", everything)
