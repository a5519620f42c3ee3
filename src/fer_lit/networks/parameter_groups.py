"""What is trained, and how fast."""

from typing import Any

from torch import nn

from fer_lit.networks.backbone import Backbone


def parameter_groups(
    head: nn.Module, backbone: Backbone, lr: float, lr_decay: float
) -> list[dict[str, Any]]:
    """Return the parameters to optimise with their learning rates: the head, then deep to early.

    The rate is multiplied by `lr_decay` from the head to the deepest trained block and from each to
    the one before it, since early blocks know what all pictures have in common: discriminative
    fine-tuning (Howard & Ruder, "Universal language model fine-tuning for text classification", ACL
    2018). Blocks without weights, which pool, make no step.
    """
    groups = [{"params": list(head.parameters()), "lr": lr}]
    for name in reversed(backbone.trained):
        parameters = list(backbone.blocks[name].parameters())
        if parameters:
            lr *= lr_decay
            groups.append({"params": parameters, "lr": lr})
    return groups
