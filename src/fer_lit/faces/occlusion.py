"""Occlusions: a band of pixels in every face, and what fills it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from fer_lit import paper
from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import SIZE
from fer_lit.limits import SEED, Rule, check_rules, name, one_of

BLUR_SIGMA = 4.0
"""Standard deviation of the blur in pixels: enough to dissolve an eye, which is about 8 wide."""
_CHUNK = 2048  # faces occluded at a time, which bounds the memory of noise and blur to 20 MB


def _noise(faces: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    return noise.integers(0, 256, size=faces.shape, dtype=np.uint8)


def _blur(faces: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    blurred = gaussian_filter(faces.astype(np.float32), (0, BLUR_SIGMA, BLUR_SIGMA))
    return np.rint(blurred).astype(np.uint8)


def _mean(faces: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    level = np.rint(faces.mean(axis=(1, 2), keepdims=True)).astype(np.uint8)
    return np.broadcast_to(level, faces.shape)


FILLS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "noise": _noise,
    "black": lambda faces, noise: np.zeros_like(faces),
    "gray": lambda faces, noise: np.full_like(faces, 128),
    "mean": _mean,
    "blur": _blur,
}
"""What a band would show if it covered the whole of each face, uint8, (N, 48, 48), by name."""

_SIDES = ("top", "height", "left", "width")
_RULES = (
    Rule("name", *name("folders")),
    *(Rule(o, lambda v: type(v) is int, "a whole number") for o in _SIDES),
    Rule("noise_seed", *SEED),
    Rule("fill", *one_of(*FILLS)),
)


@dataclass(frozen=True)
class Occlusion:
    """A rectangle of a 48×48 face and its fill; `height=0` hides nothing.

    Attributes:
        name: what runs and tables call it.
        top: first covered row, 0-based; `left` likewise the first column.
        fill: `noise` (uniform 0–255), `black` (0), `gray` (128), `mean` (of the face's own pixels)
            or `blur` (Gaussian, `BLUR_SIGMA`).
        noise_seed: with the index of a face it decides the face's noise.
    """

    name: str
    top: int
    height: int
    left: int
    width: int
    fill: str
    noise_seed: int

    def __post_init__(self):
        check_rules("occlusion", vars(self), _RULES)
        for start, length, what in (("top", "height", "rows"), ("left", "width", "columns")):
            first, count = getattr(self, start), getattr(self, length)
            if first < 0 or count < 0 or first + count > SIZE:
                raise ConfigError(
                    f"occlusion.{start}={first} occlusion.{length}={count}: the band covers {what} "
                    f"{first} to {first + count - 1}, but a face has {what} 0 to {SIZE - 1}"
                )

    @property
    def band(self) -> tuple[slice, slice]:
        """The covered rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def is_papers(self) -> bool:
        """Whether it is the paper's of this name: the same band, filled with noise."""
        bare = self.name == "none" and not self.height
        papers = bare or self.band == (paper.BANDS.get(self.name), slice(0, SIZE))
        return self.fill == "noise" and papers

    @property
    def identity(self) -> dict:
        """Everything that decides pixels, and nothing else: the name does not."""
        return {key: value for key, value in asdict(self).items() if key != "name"}


def occlude(pixels: np.ndarray, occlusion: Occlusion) -> np.ndarray:
    """Return faces, uint8, (N, 48, 48), with the band covered; those given are not changed.

    Noise of face i depends only on (`noise_seed`, i): it is cut from an endless stream in which
    each face owns 48×48 bytes, so neither N nor the band moves it.
    """
    if occlusion.height == 0 or occlusion.width == 0:
        return pixels
    covered = np.array(pixels)
    noise = np.random.default_rng(occlusion.noise_seed)
    rows, columns = occlusion.band
    for start in range(0, len(pixels), _CHUNK):
        faces = pixels[start : start + _CHUNK]
        fill = FILLS[occlusion.fill](faces, noise)
        covered[start : start + _CHUNK, rows, columns] = fill[:, rows, columns]
    return covered
