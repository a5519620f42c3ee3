"""Images per second through the frozen backbone: fer-lit, other pipelines, the bare network."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from contenders import CONTENDERS, FLOOR, Contender, Material, Round
from given import make_material, reference_features
from tables import environment, markdown_table
from workers import Worker

from fer_lit.errors import ConfigError

_EXPLANATION = """\
Rounds of all contenders take turns, each in a process of its own, after a warm-up that does not
count. Of the floor: median over the rounds of the images per second beside the floor's in the same
round. Error: |features - reference| / |reference| of {compared} faces as they are; the reference is
fer-lit's own input in eager float32. Compilation: warm-up less a median round."""


@dataclass(frozen=True)
class Result:
    """What a contender's process measured.

    Attributes:
        contender: whose.
        warm_up: the round that does not count.
        rounds: the others.
        features: float32, (faces compared, channels).
        notes: lines for below the table.
    """

    contender: Contender
    warm_up: Round
    rounds: list[Round]
    features: np.ndarray
    notes: list[str]

    @property
    def speeds(self) -> list[float]:
        """Images per second of each round."""
        return [images / seconds for images, seconds in self.rounds]

    @property
    def compilation(self) -> float:
        """Seconds."""
        return self.warm_up.seconds - median(seconds for _, seconds in self.rounds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this sub-command."""
    add_material_arguments(parser)
    ids = [contender.id for contender in CONTENDERS]
    parser.add_argument("--only", nargs="+", choices=ids, default=ids, help="some contenders only")


def add_material_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which faces and which network, and how often."""
    parser.add_argument("--faces", type=int, default=512, help="number; best a multiple of 64")
    parser.add_argument("--network", choices=("googlenet", "googlenet_caffe"), default="googlenet")
    parser.add_argument("--weights", metavar="FILE", help="of the network; default: random")
    parser.add_argument("--image-size", type=int, default=224, help="of the input, in pixels")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="photographs; default: drawn")
    parser.add_argument("--rounds", type=int, default=5, help="timed passes")


def material_of(arguments: argparse.Namespace, temporary: Path) -> Material:
    """Return the faces and the network that were asked for, in a temporary folder."""
    return make_material(
        temporary,
        arguments.root,
        arguments.faces,
        arguments.network,
        arguments.weights,
        arguments.image_size,
    )


class Measured(NamedTuple):
    """Results of all contenders, those that are not installed, and what features to expect."""

    results: list[Result]
    missing: list[Contender]
    reference: np.ndarray


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the table."""
    sys.stdout.write("\n".join(_report(measure(arguments))) + "\n")


def measure(arguments: argparse.Namespace) -> Measured:
    """Let all chosen contenders take turns.

    Raises:
        ConfigError: an option is wrong, or faces or weights cannot be had.
        WorkerError: a contender failed.
    """
    _check(arguments)
    chosen = [contender for contender in CONTENDERS if contender.id in arguments.only]
    contenders = [contender for contender in chosen if contender.available]
    with TemporaryDirectory(prefix="fer-lit-benchmark-", ignore_cleanup_errors=True) as temporary:
        material = material_of(arguments, Path(temporary))
        # Compiled code of an earlier benchmark must not shorten the compilation in this one.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(temporary) / "inductor")
        results = _take_turns(contenders, material, arguments.rounds)
        reference = reference_features(material)
    missing = [contender for contender in chosen if not contender.available]
    return Measured(results, missing, reference)


def _check(arguments: argparse.Namespace) -> None:
    # Each emotion needs a few faces to be split; the network halves its input five times.
    for option, least in (("faces", 20), ("rounds", 1), ("image_size", 32)):
        value = getattr(arguments, option)
        if value < least:
            name = option.replace("_", "-")
            raise ConfigError(f"--{name} {value}: must be at least {least}")


def _take_turns(contenders: list[Contender], material: Material, rounds: int) -> list[Result]:
    results = []
    with ExitStack() as stack:
        workers = []
        for contender in contenders:
            worker = Worker(contender.id, contender.maker(material))
            stack.callback(worker.stop)
            workers.append(worker)
            warm_up = _timed(worker, contender, "warm-up")
            results.append(Result(contender, warm_up, [], worker.call("features"), []))
        for number in range(1, rounds + 1):
            for worker, result in zip(workers, results, strict=True):
                which = f"round {number} of {rounds}"
                result.rounds.append(_timed(worker, result.contender, which))
        for worker, result in zip(workers, results, strict=True):
            result.notes.extend(worker.call("notes"))
    return results


def _timed(worker: Worker, contender: Contender, which: str) -> Round:
    measured = worker.call("round")
    speed = measured.images / measured.seconds
    sys.stderr.write(f"{which}: {contender.id}, {speed:,.1f} images/s\n")
    return measured


def _report(measured: Measured) -> Iterator[str]:
    results, missing, reference = measured
    floor = next((r.speeds for r in results if r.contender.id == FLOOR), None)
    yield markdown_table([_row(result, floor, reference) for result in results])
    yield ""
    for contender in missing:
        yield f'{contender.title}: left out, not installed (pip install -e ".[benchmark]")'
    yield _EXPLANATION.format(compared=len(reference))
    seconds = [f"{r.contender.id} {r.compilation:.0f}" for r in results if r.contender.compiled]
    if seconds:
        yield f"Seconds of compilation: {', '.join(seconds)}"
    for result in results:
        yield from result.notes
    yield environment()


def _row(result: Result, floor: list[float] | None, reference: np.ndarray) -> dict[str, str]:
    speeds = result.speeds
    title = result.contender.title + (" (the floor)" if result.contender.id == FLOOR else "")
    ratios = [own / best for own, best in zip(speeds, floor or [], strict=bool(floor))]
    error = np.linalg.norm(result.features - reference) / np.linalg.norm(reference)
    return {
        "contender": title,
        "images/s, median": f"{median(speeds):,.1f}",
        "min–max": f"{min(speeds):,.1f}–{max(speeds):,.1f}",
        "of the floor": f"{median(ratios):.2f}" if ratios else "",
        "relative error": f"{error:.1e}",
    }
