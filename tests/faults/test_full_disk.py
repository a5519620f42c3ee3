"""A disk that is full: one line, exit status 1, nothing half-written, and the rest is reported.

A limit on the size of files stands for a disk: the first that would be larger finds no room.
"""

import json
import subprocess
import sys
from pathlib import Path

from helpers import warm
from helpers.command import DEMO, ROOT, offline, only

LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.path.insert(0, {root!r})
sys.argv[0] = {program!r}
runpy.run_path({root!r} + "/" + {program!r}, run_name="__main__")
"""


def limited(folder: Path, program: str, limit: int, *options: str, **environment: str):
    """Run a program that cannot write files, its output among them, of more than `limit` bytes."""
    script = folder / f"limited_{program}"
    text = LIMITED.format(limit=limit, root=str(ROOT), program=program)
    script.write_text(text, encoding="utf-8")
    return warm.run(script, folder, *options, **environment)


def assert_nothing_half_written(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    assert not [path for path in folder.rglob(".*") if path.is_file()]


def test_a_full_disk_of_the_output_is_a_line_for_each_job(undisturbed, tmp_path):
    """Of the checkpoint in the first, and so on."""
    options = ("-m", "occlusion=none,mouth", *DEMO)
    done = limited(tmp_path, "train.py", 30_000, *options, FER_LIT_CACHE=str(undisturbed / "cache"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback (most" not in done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(lines) == 4  # as they happen, and below the table
    assert all("cannot be written (File too large); make room there" in line for line in lines)
    rows = (only(tmp_path, "outputs/sweeps/*/summary.csv")).read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["run", "0_none_seed0", "1_mouth_seed0"]
    assert_nothing_half_written(tmp_path / "outputs")


def test_a_disk_that_is_full_from_the_beginning_is_one_line(tmp_path):
    script = tmp_path / "limited_train.py"
    script.write_text(LIMITED.format(limit=100, root=str(ROOT), program="train.py"))
    command = [sys.executable, str(script), "-m", "occlusion=none,mouth", *DEMO]
    done = subprocess.run(
        command, cwd=tmp_path, env=offline(tmp_path), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("train.py: outputs/sweeps/")
    assert "/sweep.json cannot be written (File too large); make room there" in line
    assert not (tmp_path / "outputs").exists()


def test_a_full_disk_of_the_cache_is_one_line_and_no_damage(undisturbed, tmp_path):
    options = ("model.dropout=0.5", *DEMO)
    done = limited(tmp_path, "train.py", 200_000, *options)
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAILED: ")]
    assert line.startswith(f"FAILED: {tmp_path}/cache/features/")
    assert "cannot be written (File too large); make room there" in line
    again = warm.train(tmp_path, *options)
    assert again.returncode == 0, again.stdout + again.stderr
    runs = sorted(tmp_path.glob("outputs/runs/*/metrics.json"))
    wanted = only(undisturbed, "outputs/sweeps/*/0_none_seed0/metrics.json")
    assert runs[-1].read_bytes() == wanted.read_bytes()


def test_a_full_disk_of_an_analysis_is_one_line(undisturbed, tmp_path):
    sweep = only(undisturbed, "outputs/sweeps/*")
    cache = str(undisturbed / "cache")
    options = (f"sweep={sweep}", "samples=4", "logger=csv")
    done = limited(tmp_path, "analyze.py", 20_000, *options, FER_LIT_CACHE=cache)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback (most" not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("analyze.py: ") and "(File too large); make room there" in line
    assert_nothing_half_written(tmp_path / "outputs")
