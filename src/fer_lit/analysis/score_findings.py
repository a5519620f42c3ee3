"""What an analysis found out about accuracies, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fer_lit.analysis.report import Statement
from fer_lit.analysis.wording import p_value, percent, points
from fer_lit.paper import BANDS

Row = Mapping[str, Any]


def accuracy_statements(
    accuracies: Sequence[Row], drops: Sequence[Row], tests: Sequence[Row], seed_tests: Sequence[Row]
) -> list[Statement]:
    """Return what the networks achieve, and what each occlusion costs."""
    single = [_over_faces(row) for row in accuracies if row["mean_low"] is None]
    repeated = [_over_splits(row) for row in accuracies if row["mean_low"] is not None]
    texts = []
    if repeated:
        numbers = sorted({row["seeds"] for row in accuracies if row["mean_low"] is not None})
        texts.append(
            f"Accuracy on faces not trained on, mean over {' or '.join(map(str, numbers))} seeds "
            f"with its 95 % interval: {', '.join(repeated)}."
        )
    if single:
        texts.append(f"Accuracy on faces not trained on: {', '.join(single)}.")
    texts += [_cost(row, tests, seed_tests) for row in drops if row["emotion"] == "all"]
    return [Statement(text, None) for text in texts]


def configuration_statements(
    pairs: Sequence[tuple[str, str]], tests: Sequence[Row], seed_tests: Sequence[Row]
) -> list[Statement]:
    """Return how two configurations differ under each occlusion.

    Of three and more there are too many pairs for sentences; the tables have them.

    Args:
        pairs: conditions under the same occlusion (see `comparisons.option_pairs`).
        tests: McNemar's.
        seed_tests: those over seeds.
    """
    times = Counter(label for pair in pairs for label in pair)
    statements = []
    for a, b in pairs:
        row = _of_pair(tests, a, b)
        if row and times[a] == times[b] == 1:
            better, worse = (row["b"], row["a"]) if row["difference"] < 0 else (row["a"], row["b"])
            evidence = "; ".join(_evidence(tests, seed_tests, better, worse))
            text = f"{better} is right {points(abs(row['difference']))} points more often than "
            statements.append(Statement(f"{text}{worse} ({evidence}).", None))
    return statements


def protocol_statements(protocols: Sequence[Row]) -> list[Statement]:
    """Return how accuracy differs between each two split protocols."""
    pairs = dict.fromkeys((row["protocol_a"], row["protocol_b"]) for row in protocols)
    return [
        Statement(
            _between_protocols(
                [row for row in protocols if (row["protocol_a"], row["protocol_b"]) == pair]
            ),
            None,
        )
        for pair in pairs
    ]


def transfer_statements(transfer: Sequence[Row], references: Mapping[str, str]) -> list[Statement]:
    """Return what a network that has never seen a band makes of it.

    Args:
        transfer: the table.
        references: condition → the same without occlusion.
    """
    mean = {(row["trained"], row["tested"]): row["mean"] for row in transfer}
    own = {
        (references[row["trained"]], row["tested"]): row["mean"] for row in transfer if row["own"]
    }
    statements = []
    for reference in dict.fromkeys(references.values()):
        pairs = [
            f"{band} {percent(mean[reference, band])} "
            f"(trained under it: {percent(own[reference, band])})"
            for band in BANDS
            if (reference, band) in mean and (reference, band) in own
        ]
        which = "" if reference == "none" else f" ({reference})"
        if pairs:
            text = f"Networks trained without occlusion{which}, tested under a band they have "
            statements.append(Statement(f"{text}never seen: {', '.join(pairs)}.", None))
    return statements


def _over_faces(row: Row) -> str:
    return f"{row['condition']} {percent(row['accuracy'])}"


def _over_splits(row: Row) -> str:
    interval = f"{points(row['mean_low'])} to {points(row['mean_high'])}"
    return f"{row['condition']} {percent(row['mean'])} ({interval})"


def _cost(row: Row, tests: Sequence[Row], seed_tests: Sequence[Row]) -> str:
    drop = row["drop"]
    interval = f"95 % interval of the drop {points(row['low'])} to {points(row['high'])}"
    evidence = _evidence(tests, seed_tests, row["reference"], row["condition"])
    return (
        f"Under {row['condition']} accuracy is {points(abs(drop))} points "
        f"{'lower' if drop >= 0 else 'higher'} than under {row['reference']} "
        f"({'; '.join([interval, *evidence])})."
    )


def _evidence(tests: Sequence[Row], seed_tests: Sequence[Row], a: str, b: str) -> list[str]:
    """Return what the tests say about a pair: the photographs', then the seeds'."""
    evidence = []
    if row := _of_pair(tests, a, b):
        evidence.append(f"McNemar's test {p_value(row['p_holm'])} after Holm's correction")
    row = _of_pair(seed_tests, a, b)
    if row and row["p"] is not None:
        ends = row["low"], row["high"]
        low, high = ends if row["a"] == a else (-ends[1], -ends[0])
        difference = row["difference"] if row["a"] == a else -row["difference"]
        evidence.append(
            f"over {row['seeds']} seeds {points(difference)}, 95 % interval {points(low)} to "
            f"{points(high)}, corrected t-test {p_value(row['p_holm'])}"
        )
    return evidence


def _of_pair(tests: Sequence[Row], a: str, b: str) -> Row | None:
    return next((row for row in tests if {row["a"], row["b"]} == {a, b}), None)


def _between_protocols(rows: Sequence[Row]) -> str:
    first = rows[0]
    differences = [
        f"{row['condition']} {points(row['difference'])}"
        + ("" if row["low"] is None else f" ({points(row['low'])} to {points(row['high'])})")
        for row in rows
    ]
    duplicates = [_duplicates(first, side) for side in ("a", "b")]
    return (
        f"Accuracy under protocol {first['protocol_a']} minus that under {first['protocol_b']}, in "
        f"points, with 95 % intervals: {', '.join(differences)}. Held-out faces with a near "
        f"duplicate among the training faces: {', '.join(duplicates)}."
    )


def _duplicates(row: Row, side: str) -> str:
    exact, near = row[f"exact_{side}"], row[f"near_{side}"]
    counts = "not counted" if near is None else f"{near:,}"
    of_these = f" ({exact:,} of them exact)" if near else ""
    return f"{row[f'protocol_{side}']} {counts}{of_these}"
