"""What a job costs beyond its training arithmetic, and memory over many jobs of one process."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from program import PAPER_FACES, SMALL, TRAIN, Program
from tables import cores, environment, markdown_table

from fer_lit import training
from fer_lit.networks.googlenet import CHANNELS
from fer_lit.networks.head import Perceptron
from fer_lit.precision import choose_device, choose_precision
from fer_lit.targets import build

CONDITIONS = ("none", "eyes", "nose", "mouth")
_BATCH = 256  # as in conf/config.yaml
_INTERVAL = 0.05  # seconds between looks at the process


class Jobs(NamedTuple):
    """A sweep whose features are there.

    Attributes:
        startup: seconds from the command to the first job.
        seconds: from the end of a job to the end of the next, each job's own start included.
        memory: resident bytes of the process at the end of each job.
        arithmetic: seconds of the same training as a bare loop, before and after the sweep.
    """

    startup: float
    seconds: list[float]
    memory: list[int]
    arithmetic: list[float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    parser.add_argument("--seeds", type=int, default=10, help="of each of the four conditions")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--faces", type=int, default=PAPER_FACES)


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the tables."""
    jobs = measure(arguments.faces, arguments.seeds, arguments.epochs)
    job, arithmetic = median(jobs.seconds), median(jobs.arithmetic)
    rows = [
        {"what": "a job, median of all", "seconds": f"{job:.2f}"},
        {"what": "slowest job", "seconds": f"{max(jobs.seconds):.2f}"},
        {"what": "its training arithmetic, as a bare loop", "seconds": f"{arithmetic:.2f}"},
        {
            "what": "difference of the medians",
            "seconds": f"{job - arithmetic:.2f}",
        },
        {"what": "once for the process: command to first job", "seconds": f"{jobs.startup:.1f}"},
    ]
    megabytes = [memory / 1e6 for memory in jobs.memory]
    chosen = sorted({0, 4, len(megabytes) // 2 - 1, len(megabytes) - 1} & {*range(len(megabytes))})
    memory = [
        {"after job": str(number + 1), "memory, MB": f"{megabytes[number]:,.0f}"}
        for number in chosen
    ]
    sys.stdout.write(
        f"{markdown_table(rows)}\n\n{markdown_table(memory)}\n\n"
        f"{len(jobs.seconds) + 1} jobs in one process, {arguments.faces:,} drawn faces, "
        f"{arguments.epochs} epochs, features there, W&B offline\n{environment()}\n"
    )


def measure(faces: int, seeds: int, epochs: int) -> Jobs:
    """Measure a sweep whose features are there."""
    with TemporaryDirectory(prefix="fer-lit-benchmark-", ignore_cleanup_errors=True) as temporary:
        program = Program(Path(temporary))
        options = (
            *program.prepare(faces),
            f"data.image_size={SMALL}",
            f"trainer.max_epochs={epochs}",
        )
        _fill_bank(program, options, seeds)
        swept = (f"occlusion={','.join(CONDITIONS)}", f"seed={','.join(map(str, range(seeds)))}")
        command = ("-m", *swept, *options)
        arithmetic = [_bare_loop(faces, epochs) for _ in range(3)]
        begin = time.time()
        process = program.start(*command)
        watch = _Watch(process.pid)
        try:
            program.check(process.wait(), command)
        finally:
            process.kill()
            memory = watch.stop()
        arithmetic += [_bare_loop(faces, epochs) for _ in range(3)]
        runs = sorted(program.sweeps[-1].glob("*_*/"), key=lambda run: int(run.name.split("_")[0]))
        started = (runs[0] / "config.yaml").stat().st_mtime
        ends = [(run / "provenance.json").stat().st_mtime for run in runs]
        return Jobs(
            started - begin,
            [end - before for before, end in pairwise(ends)],
            [_at(memory, end) for end in ends],
            arithmetic,
        )


def _fill_bank(program: Program, options: Sequence[str], seeds: int) -> None:
    """Compute the features of the sweep's jobs, as each job would."""
    os.environ["FER_LIT_CACHE"] = str(program.cache)
    torch.set_num_threads(cores())
    device = choose_device("auto")
    for occlusion, seed in product(CONDITIONS, range(seeds)):
        with initialize_config_dir(str(TRAIN.parent / "conf"), version_base="1.3"):
            cfg = compose("config", [f"occlusion={occlusion}", f"seed={seed}", *options])
        OmegaConf.resolve(cfg)
        data = training.build_data(cfg, build(cfg.data.source).load())
        precision = choose_precision(cfg.trainer.precision, device)
        model = training.build_classifier(cfg, precision, data)
        bank = training.open_bank(data, model, device)
        bank.fill(data.needed_views(cfg.trainer.max_epochs))


def _bare_loop(faces: int, epochs: int) -> float:
    """Seconds for the same head, optimiser and batches on tensors in memory, and nothing else."""
    torch.set_num_threads(cores())
    train, validate = faces * 7 // 10, faces - faces * 7 // 10
    channels, classes = CHANNELS["inception5b"], 3
    features = torch.randn(train, channels, 1, 1).half()
    others = torch.randn(validate, channels, 1, 1).half()
    labels = torch.randint(0, classes, (train,))
    head = Perceptron(dropout=0.5, hidden=None).build(channels, classes)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.1)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    begin = time.perf_counter()
    for _ in range(epochs):
        for batch in torch.randperm(train).split(_BATCH):
            optimizer.zero_grad()
            loss(head({"tap": features[batch].float()}), labels[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            head.eval()({"tap": others.float()})
        head.train()
    return time.perf_counter() - begin


class _Watch:
    """Looks at the resident memory of a process again and again, in a thread (on Linux)."""

    def __init__(self, pid: int):
        self._path = Path(f"/proc/{pid}/statm")
        self._seen: list[tuple[float, int]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> list[tuple[float, int]]:
        """Return times and bytes."""
        self._stopped.set()
        self._thread.join()
        return self._seen

    def _look(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            try:
                pages = int(self._path.read_text(encoding="ascii").split()[1])
            except (OSError, IndexError):  # it has ended
                return
            self._seen.append((time.time(), pages * os.sysconf("SC_PAGE_SIZE")))


def _at(memory: list[tuple[float, int]], when: float) -> int:
    return min(memory, key=lambda seen: abs(seen[0] - when))[1]
