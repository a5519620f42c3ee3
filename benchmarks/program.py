"""fer-lit's own command line, run as a user runs it, on faces and weights made for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contenders import CLASSES, NETWORKS
from given import make_material
from safetensors.torch import load_file, save_file
from workers import WorkerError

TRAIN = Path(__file__).parents[1] / "train.py"
PAPER_FACES = 20_140
SMALL = 32
"""Input size in pixels where only what does not depend on it is measured."""


@dataclass(frozen=True)
class Program:
    """`train.py` in a temporary folder with a cache of its own, offline.

    Attributes:
        folder: where it runs, and where its cache, faces, weights and outputs lie.
    """

    folder: Path

    @property
    def cache(self) -> Path:
        """Folder of the cache."""
        return self.folder / "cache"

    @property
    def sweeps(self) -> list[Path]:
        """Folders of the sweeps so far, in order."""
        return sorted((self.folder / "outputs" / "sweeps").glob("*"))

    def prepare(
        self,
        faces: int,
        network: str = "googlenet",
        weights: str | None = None,
        image_size: int = SMALL,
    ) -> tuple[str, ...]:
        """Write drawn faces and weights; return the options that make a run read them.

        As a file random weights are the same for every seed, like ImageNet's.

        Args:
            faces: number.
            network: `googlenet` or `googlenet_caffe`.
            weights: see `build_backbone`; random ones get BatchNorm statistics from the faces.
            image_size: height and width of the input on which they are measured, in pixels.
        """
        material = make_material(self.folder, None, faces, network, weights, image_size)
        file = self.folder / "published.safetensors"
        state = load_file(material.weights)
        rename = NETWORKS[network].published_name
        save_file({rename(name.removeprefix("blocks.")): state[name] for name in state}, file)
        return (
            f"data.root={material.folder}",
            f"data.classes=[{','.join(CLASSES)}]",
            f"model={network}",
            f"model.weights={file}",
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start a run or sweep; its output goes to `program.log`."""
        environment = os.environ | {"FER_LIT_CACHE": str(self.cache), "WANDB_MODE": "offline"}
        command = [sys.executable, str(TRAIN), *arguments, "data.download=false"]
        with (self.folder / "program.log").open("w") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    def run(self, *arguments: str) -> Usage:
        """Run it to its end.

        Raises:
            WorkerError: it failed.
        """
        begin = time.perf_counter()
        process = self.start(*arguments)
        try:
            # Not `wait`, which does not tell what was used.
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)  # else it seems to run still
        self.check(process.returncode, arguments)
        return Usage(seconds, used.ru_maxrss * 1024)

    def check(self, code: int, arguments: Sequence[str]) -> None:
        """Fail with the end of the log if the exit status is not 0."""
        if code:
            log = (self.folder / "program.log").read_text(encoding="utf-8")
            raise WorkerError(f"train.py {' '.join(arguments)}: exit status {code}\n{log[-2000:]}")


@dataclass(frozen=True)
class Usage:
    """What a run took: seconds, and the largest resident memory in bytes, as Linux counts it."""

    seconds: float
    memory: int
