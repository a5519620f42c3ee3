"""A check by training once more: another initial head must come to the same maps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fer_lit.analysis.checks.likeness import SIMILAR, rank_correlations
from fer_lit.analysis.checks.subject import Row, judged
from fer_lit.analysis.networks import Key, Networks, TrainedNetwork
from fer_lit.feature_bank.bank import FeatureBank, depends_on
from fer_lit.fitting import fit_head
from fer_lit.training import build_data

LONG = 10**9
"""Weights of a head × faces × epochs from which training takes 10 s or more on two cores.

The head of `experiment=demo` is at 4 · 10⁸, the paper's just above, and that of
`experiment=multiscale`, which takes a minute, at 1.5 · 10¹².
"""


def retrained(networks: Networks, key: Key, seed: int) -> TrainedNetwork | str:
    """Return a run's backbone with a head that was trained as the run's was, but for its seed.

    The split, the features and all options are the run's; the initial head, the order of the
    batches and what is dropped are not.

    Returns:
        The network, or why there is none, for people.
    """
    label, own = key
    cfg, network = networks.selection.conditions[label].runs[own].config, networks.trained[key]
    if cfg.model.freeze != "all":
        return "its backbone was trained, too"
    absent = "the features of its training faces are not in the cache"
    if not cfg.features.bank:
        return absent
    data = build_data(cfg, networks.faces)
    bank = FeatureBank(data.views, depends_on(data.faces, data.occlusion), network.reader)
    views = {data.training_view(epoch) for epoch in range(cfg.trainer.max_epochs)}
    if not bank.has(dict.fromkeys(views, data.split.train)):
        return absent
    data.bank = bank
    return network.with_head(fit_head(cfg, data, networks.device, seed))


def trains_long(networks: Networks, keys: Iterable[Key]) -> bool:
    """Return whether to train the heads of these runs once more takes long: see `LONG`."""
    for label, seed in keys:
        run = networks.selection.conditions[label].runs[seed]
        weights = sum(one.numel() for one in networks.trained[label, seed].head.parameters())
        if weights * run.faces["train"] * run.config.trainer.max_epochs > LONG:
            return True
    return False


def check_reproducibility(maps: np.ndarray, again: np.ndarray, seed: int) -> Row:
    """Compare with the maps of a head that was trained once more: they must be alike.

    It passes if the lower end of the interval of the mean ρ is above `SIMILAR`, from which maps of
    random heads would count as alike: what depends on the initial head, no label has taught.
    """
    alike = rank_correlations(maps, again)
    return judged(alike, f"above {SIMILAR}", lambda low, high: low > SIMILAR, seed)
