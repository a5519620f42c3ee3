"""How the learning rate changes from step to step; `model.scheduler` names one of these functions.

Each takes the optimiser and the number of steps, and returns torch's scheduler, or None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

NAMES = ("cosine", "one_cycle", "none")


def cosine(optimizer: Optimizer, steps: int) -> LRScheduler:
    """Return a schedule down to 0 along half a cosine."""
    from torch.optim.lr_scheduler import CosineAnnealingLR

    return CosineAnnealingLR(optimizer, T_max=steps)


def one_cycle(optimizer: Optimizer, steps: int) -> LRScheduler:
    """Return a schedule up and down again (Smith & Topin, "Super-convergence", 2018)."""
    from torch.optim.lr_scheduler import OneCycleLR

    highest = [group["lr"] for group in optimizer.param_groups]
    # The rate before the first step counts, too; beyond its end it would rise again.
    return OneCycleLR(optimizer, highest, total_steps=steps + 1)


def none(optimizer: Optimizer, steps: int) -> None:
    """Return nothing: the rate stays."""
