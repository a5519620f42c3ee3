"""The trainable heads: from pooled taps to one score per emotion; torch is imported late.

A head is a class with its options and `build(features, classes)`, which returns a module from taps,
block → (B, channels, grid, grid), to logits, (B, classes). `conf/model/head` names it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fer_lit.limits import SHARE, Rule, check_rules, whole

if TYPE_CHECKING:
    from torch import nn

_RULES = (
    Rule("dropout", *SHARE),
    Rule(
        "hidden",
        lambda v: v is None or whole(1, 65_536)[0](v),
        "a number of units from 1 to 65,536, or null",
    ),
)


@dataclass(frozen=True)
class Perceptron:
    """Standardise the concatenated taps, drop some, and one linear layer or a hidden one before it.

    Standardising (batch statistics in training, running ones after) puts taps of different scale
    on an equal footing; without `affine` the other layers alone are trained. Hidden units are
    normalised over the batch before their ReLU, and dropped after it. `dropout` is the share of
    features and of hidden units; without `hidden` units the head is linear.
    """

    dropout: float
    hidden: int | None

    def __post_init__(self):
        check_rules("model", vars(self), _RULES)

    def build(self, features: int, classes: int) -> nn.Module:
        """Return the head for so many features of all taps together, and emotions."""
        from torch import nn

        from fer_lit.networks.concatenated import Concatenated

        parts = OrderedDict[str, nn.Module](standardise=nn.BatchNorm1d(features, affine=False))
        if self.hidden is None:
            parts |= {"dropout": nn.Dropout(self.dropout), "linear": nn.Linear(features, classes)}
            return Concatenated(parts)
        parts["layers"] = nn.Sequential(
            nn.Dropout(self.dropout),
            nn.Linear(features, self.hidden, bias=False),
            nn.BatchNorm1d(self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, classes),
        )
        return Concatenated(parts)
