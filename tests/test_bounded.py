"""Files that anybody may have written: refused in one line before they fill the memory."""

import os
import tracemalloc

import pytest

from fer_lit.bounded import csv_rows, read_json, read_text
from fer_lit.errors import ConfigError

MEND = "mend it"


def error_of(call, *arguments) -> str:
    with pytest.raises(ConfigError) as refused:
        call(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def rows_of(path, largest=1000, longest=20):
    return list(csv_rows(path, largest, longest, MEND))


def test_what_is_as_large_as_allowed_is_read(tmp_path):
    path = tmp_path / "a"
    path.write_text('["é"]', encoding="utf-8")
    assert (read_text(path, 6, MEND), read_json(path, 6, MEND)) == ('["é"]', ["é"])
    for call in (read_text, read_json, lambda *arguments: rows_of(*arguments[:2])):
        assert error_of(call, path, 5, MEND) == (
            f"{path}: not read: 6 bytes, and at most 5 are; mend it"
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": ', "not readable as JSON (Expecting value"),
        (b"[" * 100_000, "not readable as JSON (maximum recursion depth"),
        (b'"\xff"', "not readable ('utf-8' codec can't decode"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    found = error_of(read_json, path, 10**6, MEND)
    assert found.startswith(f"{path}: {message}") and found.endswith("; mend it")


def test_rows_come_with_the_numbers_of_their_last_lines(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffa,b\r\n\r\n"1\n2",é\r\n3'.encode())
    assert rows_of(path) == [(1, ["a", "b"]), (4, ["1\n2", "é"]), (5, ["3"])]


def test_a_row_may_be_as_long_as_allowed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x" * 19 + "\n" + "x" * 20)
    assert [len(row[0]) for _, row in rows_of(path)] == [19, 20]
    for row in ("x" * 21, '"x\n","x\n","x\n","x\n",x'):
        path.write_text(f"a\n{row}")
        message = "2: not readable as CSV (a row of more than 20 characters); mend it"
        assert error_of(rows_of, path) == f"{path}:{message}"


@pytest.mark.parametrize("row", ["", '"\n'])
def test_a_file_without_the_end_of_a_row_is_not_read_whole(tmp_path, row):
    path = tmp_path / "a.csv"
    path.write_text(row)
    os.truncate(path, 50_000_000)  # sparse: nothing is written
    tracemalloc.start()
    error_of(rows_of, path, 10**9, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "a.csv"
    os.mkfifo(path)
    assert error_of(rows_of, path) == f"{path}: not readable (there is no such file); mend it"
    assert "no such file" in error_of(read_text, path, 5, MEND)
