"""Faults: programs killed, two at once on one cache, full disks, and what comes of it."""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from program import SMALL, TRAIN, Program
from tables import environment, markdown_table
from workers import WorkerError

ANALYZE = TRAIN.with_name("analyze.py")
JOBS = ("-m", "occlusion=none,mouth")
RESULTS = ("metrics.json", "metrics.csv", "predictions.csv", "config.yaml")
STARTING = "importing, decoding or preparing"
DISKS = ("100k", "400k", "1m")  # sizes of what is too small


@dataclass
class Row:
    """What came of a fault.

    Attributes:
        fault: in words.
        tried: how often.
        survived: how often the next command came to its end, without a traceback.
        identical: how often it then had the results of an undisturbed one, byte for byte.
        lost: finished runs that were trained again.
    """

    fault: str
    tried: int = 0
    survived: int = 0
    identical: int = 0
    lost: int = 0

    def count(self, survived: bool, identical: bool, lost: int = 0) -> None:
        """Count one more trial."""
        self.tried += 1
        self.survived += survived
        self.identical += survived and identical
        self.lost += lost

    def cells(self) -> dict[str, str]:
        """Return the row of a table."""
        return {name: str(value) for name, value in vars(self).items()}


@dataclass
class Bench:
    """Where the trials take place, and what an undisturbed sweep and its analysis found.

    Attributes:
        folder: for everything.
        options: of each sweep.
        random: of the moments.
        reference: folder of the undisturbed sweep.
        seconds: that it took, from the moment its folder was there.
    """

    folder: Path
    options: tuple[str, ...]
    random: random.Random
    reference: Path = field(init=False)
    seconds: float = field(init=False)

    def __post_init__(self):
        program = Program(self.folder / "undisturbed")
        program.folder.mkdir()
        process = program.start(*JOBS, *self.options)
        begin = _wait_for_sweep(program, process)
        program.check(process.wait(), JOBS)
        self.seconds = time.monotonic() - begin
        (self.reference,) = program.sweeps

    @contextmanager
    def program(self) -> Iterator[Program]:
        """Yield a program in a new folder with an empty cache, which is gone afterwards."""
        with TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as temporary:
            yield Program(Path(temporary))

    def moment(self) -> float:
        """Return a random time in seconds while a sweep runs."""
        return self.random.uniform(0, self.seconds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    parser.add_argument("--trials", type=int, default=10, help="of each fault")
    parser.add_argument("--jobs", type=int, default=40, help="of the sweep that is resumed")
    parser.add_argument("--faces", type=int, default=600, help="drawn ones")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), help="faults")


def run(arguments: argparse.Namespace) -> None:
    """Try each fault, and print the table."""
    with TemporaryDirectory(prefix="fer-lit-faults-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        options = (
            *Program(folder).prepare(arguments.faces),
            *(f"data.image_size={2 * SMALL}", "model.taps=[maxpool1/8]", "trainer.max_epochs=4"),
            "logger=csv",
        )
        bench = Bench(folder, options, random.Random(arguments.seed))
        rows = [
            row.cells()
            for name in arguments.only
            for row in FAULTS[name](bench, arguments.jobs if name == "sweep" else arguments.trials)
        ]
    sys.stdout.write(f"{markdown_table(rows)}\n\n{environment()}\n")


def killed(bench: Bench, trials: int) -> list[Row]:
    """Kill a sweep with SIGKILL at random moments, and resume it."""
    stages = {
        stage: Row(f"SIGKILL while {stage}")
        for stage in (STARTING, "filling the bank", "training", "between jobs or ending")
    }
    for _ in range(trials * len(stages)):
        with bench.program() as program:
            process = program.start(*JOBS, *bench.options)
            _wait_for_sweep(program, process)
            time.sleep(bench.moment())
            process.kill()
            process.wait()
            stage = _stage(program)
            stages[stage].count(*_resumed(program, bench))
    return [row for row in stages.values() if row.tried]


def stopped(bench: Bench, trials: int) -> list[Row]:
    """Stop a sweep with the signals of a scheduler at random moments, and resume it."""
    rows = []
    for name in ("SIGTERM", "SIGUSR1", "SIGINT"):
        rows.append(Row(f"{name}, which it says and exits with 130 or 143"))
        for _ in range(trials):
            with bench.program() as program:
                process = program.start(*JOBS, *bench.options)
                _wait_for_sweep(program, process)
                time.sleep(bench.moment())
                process.send_signal(getattr(signal, name))
                said = process.wait() in (0, 130, 143) and not _has_traceback(program)
                survived, identical, lost = _resumed(program, bench)
                rows[-1].count(said and survived, identical, lost)
    return rows


def analysed(bench: Bench, trials: int) -> list[Row]:
    """Kill an analysis at random moments, and type it again."""
    row = Row("SIGKILL of an analysis")
    cache = bench.folder / "undisturbed" / "cache"
    with bench.program() as program:
        begin = time.monotonic()
        wanted = _analysis(program, bench.reference, cache)
        seconds = time.monotonic() - begin
    for _ in range(trials):
        with bench.program() as program:
            process = _start_analysis(program, bench.reference, cache)
            time.sleep(bench.random.uniform(seconds / 3, seconds))
            process.kill()
            process.wait()
            try:
                found = _analysis(program, bench.reference, cache)
            except WorkerError:
                row.count(False, False)
            else:
                row.count(True, found == wanted)
    return [row]


def two(bench: Bench, trials: int) -> list[Row]:
    """Start two sweeps at once on an empty cache."""
    row = Row("two programs at once on one cache")
    for _ in range(trials):
        with bench.program() as program:
            processes = [program.start(*JOBS, *bench.options) for _ in range(2)]
            codes = [process.wait() for process in processes]
            same = all(_results(sweep) == _results(bench.reference) for sweep in program.sweeps)
            row.count(codes == [0, 0], same and len(program.sweeps) == 2)
    return [row]


def disk(bench: Bench, trials: int) -> list[Row]:
    """Let the disk of the cache, then that of the outputs, be full, and make room."""
    rows = []
    for place in ("cache", "outputs"):
        rows.append(Row(f"full disk of the {place}, then room"))
        for number in range(trials):
            with bench.program() as program:
                mounted = program.folder / place
                mounted.mkdir()
                if not _mount(mounted, f"size={DISKS[number % len(DISKS)]}"):
                    rows[-1].fault += " (not tried: mounting a disk is not allowed)"
                    break
                try:
                    code = program.start(*JOBS, *bench.options).wait()
                    said = code == 1 and not _has_traceback(program)
                    _mount(mounted, "remount,size=1g")
                    survived, identical, lost = _resumed(program, bench)
                    rows[-1].count(said and survived, identical, lost)
                finally:
                    subprocess.run(["umount", "--lazy", str(mounted)], check=False)
    return rows


def sweep(bench: Bench, jobs: int) -> list[Row]:
    """Kill a sweep of many jobs half way, and resume it."""
    many = ("-m", "occlusion=none,mouth", f"seed=range({jobs // 2})", *bench.options)
    row = Row(f"SIGKILL of a sweep of {jobs} jobs in job {jobs // 2}")
    with bench.program() as undisturbed, bench.program() as program:
        undisturbed.run(*many)
        process = program.start(*many)
        _wait_for_sweep(program, process)
        half = f"{jobs // 2}_*/config.yaml"
        while not any(program.sweeps[0].glob(half)) and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        process.wait()
        finished = len(list(program.sweeps[0].glob("*/manifest.json")))
        survived, _, lost = _resumed(program, bench)
        same = _results(program.sweeps[0]) == _results(undisturbed.sweeps[0])
        same = same and _summary(program.sweeps[0]) == _summary(undisturbed.sweeps[0])
        row.fault += f" ({finished} taken, {jobs - finished} run)"
        row.count(survived, same, lost)
    return [row]


FAULTS: dict[str, Callable[[Bench, int], list[Row]]] = {
    "killed": killed,
    "stopped": stopped,
    "analysed": analysed,
    "two": two,
    "disk": disk,
    "sweep": sweep,
}


def _wait_for_sweep(program: Program, process: subprocess.Popen) -> float:
    """Wait until a sweep's folder is there; return when that was."""
    while not any(program.folder.glob("outputs/sweeps/*/sweep.json")) and process.poll() is None:
        time.sleep(0.01)
    return time.monotonic()


def _stage(program: Program) -> str:
    """Return what a program that was killed was doing."""
    runs = sorted(program.sweeps[0].glob("*/provenance.json"), key=lambda p: p.stat().st_mtime)
    if not runs or "data_fingerprint" not in json.loads(runs[-1].read_text(encoding="utf-8")):
        return STARTING if len(runs) < 2 else "between jobs or ending"
    run = runs[-1].parent
    if (run / "manifest.json").exists():
        return "between jobs or ending"
    return "training" if (run / "checkpoints").exists() else "filling the bank"


def _resumed(program: Program, bench: Bench) -> tuple[bool, bool, int]:
    """Resume a sweep; return whether that went well, has the right results, and what was lost."""
    if not program.sweeps or not any(program.sweeps[0].iterdir()):
        process = program.start(*JOBS, *bench.options)
        return process.wait() == 0, _results(program.sweeps[-1]) == _results(bench.reference), 0
    (folder,) = program.sweeps
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("*/manifest.json")}
    code = _start(program, TRAIN, program.cache, "resume=latest").wait()
    lost = sum(path.stat().st_mtime_ns != then for path, then in finished.items())
    well = code == 0 and not _has_traceback(program)
    return well, _results(folder) == _results(bench.reference), lost


def _results(sweep: Path) -> dict[str, bytes]:
    paths = [path for name in RESULTS for path in sweep.glob(f"*/{name}")]
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in paths}


def _summary(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "summary.csv").open(newline="", encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def _has_traceback(program: Program) -> bool:
    return "Traceback (most" in (program.folder / "program.log").read_text(encoding="utf-8")


def _start_analysis(program: Program, sweep: Path, cache: Path) -> subprocess.Popen:
    return _start(program, ANALYZE, cache, f"sweep={sweep}", "samples=20", "logger=csv")


def _start(program: Program, script: Path, cache: Path, *arguments: str) -> subprocess.Popen:
    """Start a script with nothing but these arguments."""
    variables = os.environ | {"FER_LIT_CACHE": str(cache)}
    with (program.folder / "program.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, str(script), *arguments],
            cwd=program.folder,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _analysis(program: Program, sweep: Path, cache: Path) -> object:
    """Run an analysis to its end, and return its tables and findings."""
    program.check(_start_analysis(program, sweep, cache).wait(), ["analysis"])
    results = sorted(program.folder.glob("outputs/analysis/*/results.json"))[-1]
    found = json.loads(results.read_text(encoding="utf-8"))
    return found["tables"], found["findings"]


def _mount(folder: Path, options: str) -> bool:
    if not shutil.which("mount"):
        return False
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
