"""The benchmark runs on faces that it draws itself."""

import subprocess
import sys
from pathlib import Path

from helpers.command import ROOT, offline

BENCHMARK = str(ROOT / "benchmarks" / "benchmark.py")


def benchmark(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a sub-command without a C++ compiler, since compiling takes half a minute."""
    command = [sys.executable, BENCHMARK, *arguments]
    environment = offline(folder) | {"CXX": "no-such-compiler"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_contenders_are_timed_and_their_features_compared(tmp_path):
    size = ("--faces", "32", "--rounds", "1", "--image-size", "32")
    done = benchmark(tmp_path, "images", *size, "--only", "eager-float32", "fer-lit")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("|")]
    bare, own = ([cell.strip() for cell in row[1:-1]] for row in rows[2:])
    assert bare[0] == "bare backbone, eager float32"
    assert float(bare[-1]) < 1e-5
    assert own[0] == "fer-lit, everything included"
    assert 0 <= float(own[-1]) < 0.5  # bfloat16, through random layers
    assert float(own[1].replace(",", "")) > 0
    assert "no C++ compiler" in done.stdout
    assert "Machine: " in done.stdout


def test_a_wrong_option_is_an_error_of_one_line(tmp_path):
    done = benchmark(tmp_path, "images", "--faces", "3")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "--faces 3: must be at least 20" in done.stderr
