"""All checks of an analysis's maps, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fer_lit.analysis.cam import MapSettings, map_faces
from fer_lit.analysis.checks.cascade import cascade, check_cascade
from fer_lit.analysis.checks.drawn_faces import check_drawn_faces
from fer_lit.analysis.checks.knowledge import check_knowledge
from fer_lit.analysis.checks.likeness import check_random_heads, random_heads
from fer_lit.analysis.checks.removal import CONTROLS, check_removal
from fer_lit.analysis.checks.retraining import check_reproducibility, retrained, trains_long
from fer_lit.analysis.checks.subject import Row, Subject, choose_subject, not_applicable
from fer_lit.analysis.networks import Key, Networks, TrainedNetwork
from fer_lit.feature_bank.malloc import large_blocks_kept

CHECKS = {
    "knows the emotions": "The networks tell the emotions of faces that they did not train on "
    "better than chance does",
    "random head": "Maps of heads with random weights differ from those of the trained heads",
    "random backbone": "With the backbone randomised, too, block by block, the maps differ from "
    "those of the trained networks",
    "reproducibility": "A head that is trained once more, from other initial weights, comes to "
    "similar maps",
    "deletion": "Removing the most attended fifth of a face hurts more than removing the fifth "
    "that a random head attends to, or the middle of the face",
    "insertion": "The most attended fifth of a face alone says more of its emotion than the fifth "
    "that a random head attends to, or the middle of the face",
    "ROAD combined": "Whatever share of a face is removed, it matters more whether it is the most "
    "or the least attended one than by the map of a random head, or from the middle outwards",
    "drawn faces": "On drawn faces the attention of a new head peaks at the mouth, where the "
    "emotion was drawn",
}
"""The checks, in the order of the table, and what holds if one is passed."""
_ON_MAPS = [check for check in CHECKS if check not in ("knows the emotions", "drawn faces")]
_STREAM = 3  # of the seeds of heads that are trained once more
_COLUMNS = ["check", "condition", "faces", "value", "from", "to", "wanted", "verdict"]


@dataclass(frozen=True)
class Outcomes:
    """What came of the checks.

    Attributes:
        table: one row for each check and condition: `check`, `condition` (missing for drawn faces),
            `faces`, `value` with `from` and `to` (95 % interval), `wanted`, `verdict`: `pass`,
            `fail` or `not applicable: …`; and, of checks by removal, what their `value` is the
            difference of: `own map`, `random head` and `blob`.
        stages: one row for each condition and stage of its cascade: `condition`, and see `cascade`.
    """

    table: pd.DataFrame
    stages: pd.DataFrame

    def failed(self, *conditions: str) -> list[str]:
        """Return the checks that maps of any of these conditions fail, each as `failed_checks`."""
        concerned = self.table["condition"].isin(conditions) | self.table["condition"].isna()
        return failed_checks(self.table[concerned])


def failed_checks(table: pd.DataFrame) -> list[str]:
    """Return the name of each check that fails, and under which conditions it does."""
    named = []
    for check, rows in table[table["verdict"] == "fail"].groupby("check", sort=False):
        where = ", ".join(rows["condition"].dropna())
        named.append(f"{check} (under {where})" if where else check)
    return named


@large_blocks_kept()
def check_maps(
    networks: Networks, indices: np.ndarray, settings: MapSettings, seed: int
) -> Outcomes:
    """Check the maps of each condition's first network.

    Args:
        networks: and their photographs; the first network of each condition is checked.
        indices: int64, (P,): the photographs to choose from.
        settings: how maps are made.
        seed: of what is random.
    """
    first = [networks.keys(label)[0] for label in networks.conditions]
    # Where training takes long one head stands for all.
    again = first[:1] if trains_long(networks, first) else first
    outcomes: dict[str, dict[str, Row]] = {}
    stages: list[Row] = []
    for key in first:
        label = key[0]
        predictions = networks.selection.conditions[label].runs[key[1]].predictions
        outcomes[label] = {"knows the emotions": check_knowledge(predictions, seed)}
        subject = choose_subject(networks, label, indices, settings, seed)
        if subject is None:
            nothing = not_applicable("none of the photographs is held out")
            outcomes[label] |= dict.fromkeys(_ON_MAPS, nothing)
            continue
        of_maps, own = _check(networks, key, subject, again)
        outcomes[label] |= of_maps
        stages += [{"condition": label, **row} for row in own]
    rows = [
        {"check": check, "condition": label, **of_condition[check]}
        for check in CHECKS
        for label, of_condition in outcomes.items()
        if check in of_condition
    ]
    drawn = check_drawn_faces(networks, settings, seed)
    rows.append({"check": "drawn faces", "condition": None, **drawn})
    table = pd.DataFrame(rows, columns=[*_COLUMNS, "own map", *CONTROLS]).astype({"faces": "Int64"})
    types = {"faces": "Int64", "value": float, "from": float, "to": float}
    cascades = pd.DataFrame(stages, columns=["condition", "block", "randomised", *types])
    return Outcomes(table, cascades.astype(types))


def _check(
    networks: Networks, key: Key, subject: Subject, again: Sequence[Key]
) -> tuple[dict[str, Row], list[Row]]:
    """Return the outcomes of the checks on a network's maps by name, and its cascade's stages.

    `again` are the networks whose heads are trained once more.
    """
    network, seed, heads = subject.network, subject.seed, random_heads(subject)
    other: TrainedNetwork | str = f"only {again[0][0]} is trained again, which takes long"
    if key in again:
        other = retrained(networks, key, *subject.seeds(1, _STREAM))
    others = [] if isinstance(other, str) else [other]
    makers = [network, *heads, *others]
    maps, *found = map_faces(makers, subject.pixels, subject.labels, subject.settings)
    random = found[: len(heads)]
    outcomes = {
        "random head": check_random_heads(maps, random, seed),
        "random backbone": not_applicable("the backbone has random weights already"),
        "reproducibility": not_applicable(other)
        if isinstance(other, str)
        else check_reproducibility(maps, found[-1], seed),
        **check_removal(subject, maps, random),
    }
    stages = []
    model = networks.selection.conditions[key[0]].runs[key[1]].config.model
    if model.weights is not None or model.freeze != "all":
        stages = cascade(subject, maps)
        outcomes["random backbone"] = check_cascade(stages)
    return outcomes, stages
