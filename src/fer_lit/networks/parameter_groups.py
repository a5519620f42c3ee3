"""What is trained, and how fast."""

from __future__ import annotations

from typing import Any

from torch import nn

from fer_lit.networks.backbone import Backbone


def parameter_groups(
    head: nn.Module, backbone: Backbone, lr: float, lr_decay: float
) -> list[dict[str, Any]]:
    """Return the parameters to optimise with their learning rates: the head, then deep to early.

    Early blocks know what all pictures have in common, so they have less to learn: discriminative
    fine-tuning (Howard & Ruder, "Universal language model fine-tuning for text classification",
    ACL 2018). Blocks without weights, which pool, make no step.

    Args:
        head: trained at `lr`.
        backbone: only its trained blocks are optimised.
        lr: above 0.
        lr_decay: learning rate of a block, times that of the next deeper one; the deepest trained
            block has `lr * lr_decay`.
    """
    groups = [{"params": list(head.parameters()), "lr": lr}]
    for name in reversed(backbone.trained):
        parameters = list(backbone.blocks[name].parameters())
        if parameters:
            lr *= lr_decay
            groups.append({"params": parameters, "lr": lr})
    return groups
