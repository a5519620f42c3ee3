"""The report of an analysis: what is in the file, in which order, and what is never in it."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError

from fer_lit.analysis.chapter import Chapter, Drawing, Finding, Table
from fer_lit.analysis.report.html import LONG_TABLE, format_heading, format_value, write_report

EVIL = "<script>alert('1')</script> & \"quotes\""


class Page(HTMLParser):
    """A report as text, tags with attributes, and cells by table."""

    def __init__(self, html: str):
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Note a tag, and open a table or a row."""
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])

    def handle_endtag(self, tag):
        """Close the innermost tag, which must be this one."""
        assert self._open.pop() == tag

    def handle_data(self, data):
        """Note a text, and which cell it is in."""
        if "style" in self._open or not data.strip():
            return
        self.texts.append(data.strip())
        if self._open[-1] in ("th", "td"):
            self.tables[-1][-1].append(data)

    def attributes(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of all tags of a name."""
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self) -> str:
        """Return all texts in one line."""
        return re.sub(r"\s+", " ", " ".join(self.texts))


def png(folder: Path, name: str) -> Path:
    """Return where a drawing's PNG is looked for."""
    (folder / "figures").mkdir(exist_ok=True)
    return folder / "figures" / f"{name}.png"


def table(caption: str, rows: list[dict]) -> Table:
    return Table("any", pd.DataFrame(rows), {caption: None})


@pytest.fixture
def picture(tmp_path):
    """Make a PNG of 600 × 300 pixels, 3 × 1.5 inches."""

    def make(name: str, caption: str) -> Drawing:
        path = png(tmp_path, name)
        Image.new("L", (600, 300), len(name)).save(path, dpi=(200, 200))
        return Drawing(name, Figure(), caption)

    return make


@pytest.fixture
def report(tmp_path):
    """Write a report and read it."""

    def make(**parts) -> Page:
        write(tmp_path / "report.html", **parts)
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return make


def write(path: Path, **parts) -> None:
    defaults = {
        "title": "The title",
        "subtitle": "The subtitle",
        "findings": [],
        "notes": [],
        "chapters": [],
        "facts": {},
    }
    write_report(path, **(defaults | parts))


def in_order(text: str, parts: list[str]) -> bool:
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_the_parts_are_in_order(report, picture):
    rows = [{"condition": "none", "faces": 3}]
    page = report(
        findings=[
            Finding("first finding", "supported"),
            Finding("second finding", "not supported"),
            Finding("third finding", None),
        ],
        notes=["a note"],
        chapters=[
            Chapter("Maps", [picture("a", "Maps."), picture("b", "More.")]),
            Chapter("Costs", [picture("c", "Bars.")], [table("Few.", rows), table("0.", [])]),
            Chapter("Nothing", (), [table("0.", [])]),
        ],
        facts={"Machine": "two cores", "Seeds": ["0", "1"], "Commands": ["python analyze.py"]},
    )
    assert in_order(
        page.text(),
        [
            *("The title The subtitle", "Findings", "supported first finding"),
            *("not supported second finding third finding",),
            *("What is missing or was left out a note", "Contents Maps Costs How it was made"),
            *("Maps Figure 1. Maps. Figure 2. More.",),
            *("Costs Figure 3. Bars. Table 1. Few. condition faces none 3",),
            "How it was made Machine two cores Seeds 0 1 Commands python analyze.py",
        ],
    )
    assert "Table 2." not in page.text() and "Nothing" not in page.text()
    assert page.texts.count("supported") == page.texts.count("not supported") == 1
    assert page.texts[-1] == "python analyze.py"
    assert page.tags[-1][0] == "code"


def test_the_contents_lead_to_every_section(report):
    tables = [table("Some.", [{"a": 1}])]
    page = report(chapters=[Chapter(name, (), tables) for name in "AB"], facts={"Seeds": ["0"]})
    targets = [link["href"] for link in page.attributes("a")]
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert targets == ["#section-1", "#section-2", "#facts"]
    assert {target[1:] for target in targets} <= ids


def test_there_is_no_part_for_what_there_is_none_of(report):
    text = report().text()
    assert "What is missing" not in text
    assert "Findings" not in text
    assert "What is missing" in report(notes=["a note"]).text()


def test_nothing_is_read_as_html(report, picture, tmp_path):
    page = report(
        title=EVIL,
        subtitle=EVIL,
        findings=[Finding(EVIL, EVIL)],
        notes=[EVIL],
        chapters=[
            Chapter(EVIL, [picture("a", EVIL)], [table(EVIL, [{EVIL: EVIL}])]),
            Chapter("long", (), [table(EVIL, [{"a": 1}] * (LONG_TABLE + 1))]),
        ],
        facts={EVIL: EVIL, "Commands": [EVIL], "command": EVIL},
    )
    assert page.attributes("script") == []
    assert "<script" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    # title twice, subtitle, verdict, finding, note, link, heading, figure's caption, two tables'
    # captions, a column, a cell, a fact's name and value, two commands
    assert page.text().count(EVIL) == 17
    assert page.attributes("img")[0]["alt"] == EVIL


def test_pictures_are_embedded_byte_for_byte_in_their_physical_size(report, picture, tmp_path):
    pictures = picture("a", "One."), picture("bb", "Two.")
    images = report(chapters=[Chapter("Maps", pictures)]).attributes("img")
    for given, image in zip(pictures, images, strict=True):
        kind, data = image["src"].split(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data, validate=True) == png(tmp_path, given.name).read_bytes()
        assert (image["alt"], image["width"], image["height"]) == (given.caption, "288", "144")


def test_a_picture_without_a_size_is_shown_pixel_by_pixel(report, tmp_path):
    Image.new("L", (50, 20)).save(png(tmp_path, "plain"))
    chapters = [Chapter("Maps", [Drawing("plain", Figure(), "One.")])]
    (image,) = report(chapters=chapters).attributes("img")
    assert (image["width"], image["height"]) == ("50", "20")


def test_nothing_is_loaded(report, picture, tmp_path):
    page = report(
        chapters=[Chapter("Maps", [picture("a", "See https://example.org.")])],
        facts={"Source": "https://example.org"},
    )
    loaded = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster", "background")
    ]
    assert loaded
    assert all(value.startswith(("data:", "#")) for value in loaded)
    assert not {"link", "script", "iframe", "base", "form", "object"} & {
        tag for tag, _ in page.tags
    }
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import", html)
    policy = page.attributes("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    )


def test_the_file_says_what_it_is(report, tmp_path):
    page = report()
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>\n")
    assert page.attributes("html") == [{"lang": "en"}]
    assert page.attributes("meta")[0] == {"charset": "utf-8"}
    assert page.attributes("meta")[2]["name"] == "viewport"


@pytest.mark.parametrize(
    ("kind", "error"), [(None, FileNotFoundError), ("JPEG", UnidentifiedImageError)]
)
def test_a_picture_that_cannot_be_shown_leaves_no_file(tmp_path, picture, kind, error):
    if kind:
        Image.new("L", (8, 8)).save(png(tmp_path, "wrong"), format=kind)
    wrong = Drawing("wrong", Figure(), "Not a PNG.")
    with pytest.raises(error, match=r"wrong\.png"):
        write(tmp_path / "report.html", chapters=[Chapter("Maps", [picture("a", "A PNG."), wrong])])
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]


def test_a_table_is_shown_for_readers(report):
    rows = [
        {"condition": "none", "faces": 5443, "drop": -0.0123, "sd": None, "rejects": True},
        {"condition": "eyes", "faces": 12, "drop": 0.2, "sd": 0.00449, "rejects": None},
    ]
    page = report(chapters=[Chapter("Costs", (), [table("Drop.", rows)])])
    assert page.tables == [
        [
            ["condition", "faces", "drop (%)", "SD (%)", "rejects"],
            ["none", "5,443", "−1.2", "–", "yes"],
            ["eyes", "12", "20.0", "0.4", "–"],
        ]
    ]
    cells = [attributes.get("class") for tag, attributes in page.tags if tag in ("th", "td")]
    assert cells == [None, "number", "number", "number", None] * 3


@pytest.mark.parametrize(("rows", "folded"), [(LONG_TABLE, 0), (LONG_TABLE + 1, 1)])
def test_long_tables_are_folded(report, rows, folded):
    long = table("Long.", [{"a": number} for number in range(rows)])
    page = report(chapters=[Chapter("Costs", (), [long])])
    assert len(page.attributes("details")) == folded
    assert (f"Table 1. Long. ({rows} rows)" in page.text()) == bool(folded)
    assert len(page.tables[0]) == rows + 1


def test_a_number_stays_with_its_percent(report):
    assert "63.1\N{NO-BREAK SPACE}% of them" in report(notes=["63.1 % of them"]).texts


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("faces", 0, "0"),
        ("faces", 1234567, "1,234,567"),
        ("count", -5, "−5"),
        ("seed", 20260203, "20260203"),
        ("p", 0.00099, "< 0.001"),
        ("p", 0.001, "0.001"),
        ("p_holm", 0.04996, "0.050"),
        ("p_holm", 1.0, "1.000"),
        ("accuracy", 0.63149, "63.1"),
        ("accuracy", 1, "100.0"),
        ("recall_happy", 0.0, "0.0"),
        ("reference_recall", 0.5, "50.0"),
        ("drop", -0.0001, "0.0"),
        ("low", -0.0123, "−1.2"),
        ("statistic", 1234.5678, "1,234.568"),
        ("statistic", 0.0, "0.000"),
        ("lr", 0.0003, "0.0003"),
        ("test", True, "yes"),
        ("accuracy", False, "no"),
        ("p", None, "–"),
        ("accuracy", float("nan"), "–"),
        ("condition", "none lr=0.003-x", "none lr=0.003-x"),
        ("accuracy", "unknown", "unknown"),
    ],
)
def test_values_are_formatted(column, value, shown):
    assert format_value(column, value) == shown


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        ("condition", "condition"),
        ("only_a_right", "only a right"),
        ("recall_happy", "recall happy (%)"),
        ("reference_recall", "reference recall (%)"),
        ("macro_f1", "macro F1 (%)"),
        ("ece", "ECE (%)"),
        ("sd", "SD (%)"),
        ("p", "p"),
        ("p_holm", "p (Holm)"),
        ("p_difference", "p difference"),
    ],
)
def test_headings_are_readable(column, shown):
    assert format_heading(column) == shown
