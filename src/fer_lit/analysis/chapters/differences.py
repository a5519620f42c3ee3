"""How conditions differ in accuracy, and what that says about networks trained on other faces."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from fer_lit import comparison, stats
from fer_lit.analysis.chapter import ALL, Table
from fer_lit.analysis.labels import Pair
from fer_lit.runs.predictions import matched, shared_seeds

_COLUMNS = ("a", "b", "seeds", "faces", "difference", "low", "high", "interval", "statistic", "p")
_TESTS = ("statistic", "p", "p_holm", "p_equivalence", "p_equivalence_holm", "verdict")
_DROP_COLUMNS = (
    *("condition", "reference", "emotion", "faces", "recall", "reference_recall", "drop"),
    *("low", "high", "interval"),
)


def difference_table(
    predictions: pd.DataFrame,
    pairs: Sequence[Pair],
    ratios: Mapping[str, float | None],
    margin: float,
) -> pd.DataFrame:
    """Return how conditions differ within the seeds that they share, with the tests of it.

    Where the seeds repeat the split, three times or more, these are Nadeau and Bengio's corrected
    resampled t-test of no difference, and two such tests, one-sided, of a difference of the margin
    or more (TOST); the same tests by the error over faces count where their p is larger.

    Args:
        predictions: see `join_predictions`.
        pairs: which conditions are compared; without `shared_seeds` there is no row.
        ratios: see `Condition.ratio`.
        margin: the smallest difference that would matter, 0–1.

    Returns:
        One row for each pair: `a`, `b`, `seeds`, `faces` (different photographs), `difference`
        (mean over seeds of the accuracy of a minus that of b, 0–1), `low` and `high` (95 %
        interval), `interval` (over `splits` or `faces`), `statistic` (t), `p` and `p_holm` of no
        difference, `p_equivalence` and `p_equivalence_holm` of a difference of the margin or more
        (Holm's correction is over the pairs), `verdict` (see `comparison.verdict`). Tests are
        missing, and the verdict is inconclusive, where too few splits tell of other networks.
    """
    rows = []
    for pair in pairs:
        if seeds := shared_seeds(predictions, pair):
            right = matched(predictions, pair, seeds)
            found = compared(right, *pair, common_ratio(ratios, pair), margin)
            names = dict(zip(("a", "b"), pair, strict=True))
            numbers = found._asdict()
            faces = right.index.get_level_values("image").nunique()
            row = names | {"seeds": len(seeds), "faces": faces, "difference": numbers.pop("value")}
            rows.append(row | numbers)
    table = pd.DataFrame(rows, columns=[*_COLUMNS, "p_equivalence"])
    for name in ("p", "p_equivalence"):
        table[f"{name}_holm"] = stats.holm(table[name])
    corrected = zip(table["p_holm"], table["p_equivalence_holm"], strict=True)
    verdicts = [comparison.verdict(*both, margin) for both in corrected]
    table["verdict"] = pd.Series(verdicts, table.index, dtype=object)
    return table[[*_COLUMNS[:-2], *_TESTS]]


def as_table(rows: pd.DataFrame, margin: float) -> Table:
    """Return the `difference_table` as the report shows it, in two halves to fit a page."""
    points = comparison.in_points(margin)
    captions = {
        "Differences of accuracy (a minus b), means over the seeds that both have, with 95 % "
        "intervals. These are over splits or over faces, whichever is wider; below three splits "
        "over faces alone, which tells nothing of networks trained on other faces.": _COLUMNS[:-2],
        "What the same differences say about networks trained on other faces: Nadeau and Bengio's "
        "corrected resampled t-test of no difference, and two one-sided tests of a difference of "
        f"{points} or more (p equivalence), or the same by the error over faces where p is larger, "
        "with Holm's correction over the pairs. The corrected t is the headline, as it alone "
        "allows for training faces that splits share. Different: the first test rejects; "
        f"equivalent within {points}: only the second does; else inconclusive, as always below "
        "three splits.": ["a", "b", *_TESTS],
    }
    return Table("differences", rows, captions)


def drop_table(
    predictions: pd.DataFrame,
    references: Mapping[str, str],
    ratios: Mapping[str, float | None],
) -> pd.DataFrame:
    """Return what each occlusion costs, emotion by emotion, on the same photographs.

    Only `shared_seeds` of a condition and its reference count; without any there is no row.

    Args:
        predictions: see `join_predictions`.
        references: condition → the one that it is compared with.
        ratios: see `Condition.ratio`.

    Returns:
        For each condition, one row per emotion, then one for all emotions together (`emotion` is
        `all`): `condition`, `reference`, `emotion`, `faces` (different photographs), `recall`,
        `reference_recall` (means over seeds), `drop` (the second minus the first), `low`, `high`
        and `interval` (as in `difference_table`). Recalls are 0–1; of an emotion without faces they
        are missing.
    """
    known, emotions = set(predictions["condition"]), predictions["label"].cat.categories
    rows = []
    for condition, reference in references.items():
        pair = (reference, condition)
        seeds = shared_seeds(predictions, pair) if known.issuperset(pair) else []
        if condition != reference and seeds:
            right, ratio = matched(predictions, pair, seeds), common_ratio(ratios, pair)
            labels = right.index.get_level_values("label")
            parts = {emotion: right[labels == emotion] for emotion in emotions} | {ALL: right}
            for emotion, part in parts.items():
                key = {"condition": condition, "reference": reference, "emotion": emotion}
                rows.append(key | _drop(part, *pair, ratio))
    return pd.DataFrame(rows, columns=_DROP_COLUMNS)


def _drop(
    right: pd.DataFrame, reference: str, condition: str, ratio: float | None
) -> dict[str, object]:
    if right.empty:
        return {"faces": 0}
    means = right.groupby(level="seed").mean().mean()
    found = compared(right, reference, condition, ratio, margin=0.0)
    return {
        "faces": right.index.get_level_values("image").nunique(),
        "recall": means[condition],
        "reference_recall": means[reference],
        "drop": found.value,
        **{name: getattr(found, name) for name in ("low", "high", "interval")},
    }


def compared(
    right: pd.DataFrame, a: str, b: str, ratio: float | None, margin: float
) -> comparison.Difference:
    """Return the `paired_difference` of two conditions, columns of a `matched` table."""
    return comparison.paired_difference(*difference_arrays(right, a, b), ratio, margin)


def difference_arrays(
    right: pd.DataFrame, a: str, b: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return differences, photographs and networks as `paired_difference` takes them."""
    differences = right[a].to_numpy(float) - right[b].to_numpy(float)
    numbers = [pd.factorize(right.index.get_level_values(level))[0] for level in ("image", "seed")]
    return differences, *numbers


def common_ratio(ratios: Mapping[str, float | None], pair: Pair) -> float | None:
    """Return the mean of two conditions' `Condition.ratio`; None where either has none."""
    own = [ratios[label] for label in pair]
    return None if None in own else sum(own) / 2
