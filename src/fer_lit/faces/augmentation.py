"""What the random views of a face are drawn from: seeded draws; torch is imported late."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lit.limits import SEED, Rule, check_rules, number

if TYPE_CHECKING:
    from torch import Tensor

REFERENCE_SIZE = 224
"""Input size in pixels that `translate` is stated at, as in MATLAB's example for GoogLeNet."""


def _is_range(value: Any) -> bool:
    numbers = isinstance(value, list | tuple) and all(type(end) in (int, float) for end in value)
    return numbers and len(value) == 2 and 0.1 <= value[0] <= value[1] <= 10


_RULES = (
    Rule("flip", *number(lambda v: 0 <= v <= 1, "a probability from 0 to 1")),
    Rule(
        "translate",
        *number(lambda v: 0 <= v <= REFERENCE_SIZE, f"a number from 0 to {REFERENCE_SIZE}"),
    ),
    Rule("scale", _is_range, "[smallest, largest], both from 0.1 to 10"),
    Rule("seed", *SEED),
)


@dataclass(frozen=True)
class Augmentation:
    """Random reflection, translation and scale of the training faces.

    `matlab` is MATLAB's transfer learning example, with one scale for both axes.

    Attributes:
        flip: probability of a left-right reflection, 0–1.
        translate: largest shift in x and in y, in pixels of a 224-pixel input.
        scale: smallest and largest factor.
        seed: with the view and the index of a face it decides the draws.
    """

    flip: float
    translate: float
    scale: tuple[float, float]
    seed: int

    def __post_init__(self):
        check_rules("augmentation", vars(self), _RULES)

    @property
    def changes_faces(self) -> bool:
        """Whether any part is switched on."""
        return self.flip > 0 or self.translate > 0 or tuple(self.scale) != (1, 1)

    @property
    def identity(self) -> dict:
        """Everything that decides the draws."""
        return asdict(self)

    def draw(self, view: int, count: int) -> Tensor:
        """Draw a view of some faces: float32, (count, 4).

        Reflection (1 or -1), shift in x and in y (a share of the half width, positive to the right
        and down), scale. View 0 is the face as it is. Row i depends only on (`seed`, `view`, i).
        """
        import torch

        if view == 0:
            return torch.tensor([[1.0, 0.0, 0.0, 1.0]]).expand(count, 4)
        uniform = np.random.default_rng([self.seed, view]).random((count, 4))
        smallest, largest = self.scale
        shift = 2 * self.translate / REFERENCE_SIZE
        draws = np.empty((count, 4), dtype=np.float32)
        draws[:, 0] = np.where(uniform[:, 0] < self.flip, -1, 1)
        draws[:, 1:3] = (2 * uniform[:, 1:3] - 1) * shift
        draws[:, 3] = smallest + (largest - smallest) * uniform[:, 3]
        return torch.from_numpy(draws)


AS_THEY_ARE = Augmentation(flip=0, translate=0, scale=(1, 1), seed=0)
"""Changes nothing: for those who want view 0 alone."""
