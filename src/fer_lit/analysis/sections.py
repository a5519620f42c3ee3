"""What the report of an analysis says besides the findings: its sections, and how it was made."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from omegaconf import DictConfig

from fer_lit.analysis.attention import MapSettings
from fer_lit.analysis.mapping import MappedPhotographs
from fer_lit.analysis.report import Section, Table
from fer_lit.analysis.results import Results, Row
from fer_lit.analysis.selection import Selection
from fer_lit.runs.folder import describe_process

_CAPTIONS = {
    "band_map": "The band map. Trained: networks trained under this band. Tested: networks trained "
    "without occlusion, which meet the band for the first time. Reference: these without a band. "
    "Every photograph counts once, with 95 % Wilson intervals; drops are against the reference, on "
    "the same photographs, with 95 % bootstrap intervals over photographs.",
    "accuracy": "Accuracy of each condition. Every photograph counts once, predicted by the first "
    "seed's network that did not train on it, with its 95 % Wilson interval (low, high). Mean and "
    "standard deviation are those of the single networks; mean low and mean high are the 95 % "
    "interval of the mean over repeated splits, whose training faces overlap, by Nadeau and "
    "Bengio's corrected t.",
    "recall": "Macro F1, recall of each emotion, and the expected calibration error (ECE, in 15 "
    "bins) of the same predictions.",
    "splits": "How the faces were split: numbers of faces, means over seeds. Duplicates: how many "
    "validation and test faces have one among the training faces; near ones include exact ones.",
    "protocols": "Split protocols side by side. They test other faces, so nothing is paired: the "
    "difference (a minus b) has Welch's 95 % interval with Nadeau and Bengio's variances where "
    "both have several splits, Newcombe's over the faces where both have one, and else Welch's "
    "with the variance over faces for the single split.",
    "drop": "What each occlusion costs by emotion, on the same photographs, with 95 % bootstrap "
    "intervals over photographs.",
    "tests": "Tests on the same photographs, about these networks: Cochran's Q over all occlusions "
    "of a configuration (a names it), McNemar's between conditions that differ in one respect, "
    "with Holm's correction.",
    "seed_tests": "Differences of accuracy within each seed, about networks trained on other "
    "faces, too: Nadeau and Bengio's corrected resampled t-test over repeated splits, with 95 % "
    "intervals and Holm's correction.",
    "transfer": "Transfer: mean accuracy over seeds of the networks trained under one condition "
    "and tested under another, on the face as it is (view 0).",
    "attention": "Share of attention inside each band, with 95 % bootstrap intervals over "
    "photographs, which know nothing of how networks differ: SD is that of the single networks' "
    "shares. Uniform attention would give each band 20.8 %.",
    "attention_change": "Change of these shares against the reference, on the same photographs: "
    "95 % bootstrap intervals and permutation tests over photographs, for these networks; Holm's "
    "correction over emotions and bands (“all” apart).",
    "maps": "The averaged maps: photographs, pairs of a photograph and a network that did not "
    "train on it, and how many of their maps are zero everywhere.",
    "checks": "Checks of the maps. Random head: rank correlation with the maps of heads whose "
    "weights are random. Deletion: how much more probability the label loses when the most "
    "attended fifth of a face is filled in from its surroundings than when other cells are. "
    "Drawn faces: the row at which the maps of a new head peak, which learnt drawn faces, whose "
    "emotion is in the mouth.",
    "calibration": "Calibration by bin of confidence.",
}
_SECTIONS = (
    ("What each row of the face is worth", ("band_map",), ("band_map",)),
    (
        "What covering costs",
        ("accuracy", "confusion"),
        ("accuracy", "recall", "drop", "tests", "seed_tests"),
    ),
    ("How the faces were split", (), ("splits", "protocols")),
    ("From one condition to another", ("transfer",), ("transfer",)),
    ("Where the networks look", ("samples", "maps", "maps_over_faces"), ("maps",)),
    ("Attention to eyes, nose and mouth", ("shares", "row_profile"), ("attention",)),
    ("What an occlusion changes", ("difference",), ("attention_change",)),
    ("Single photographs", ("examples",), ()),
    ("Can the maps be trusted?", (), ("checks",)),
    ("Are the networks as sure as they should be?", ("calibration",), ("calibration",)),
)
"""Title, figures (by the beginning of their names) and tables of each section."""


def sections_of(results: Results) -> list[Section]:
    """Return the report's sections; what there is nothing of is left out."""
    sections, rows = [], _fit_to_page(results.tables)
    for title, figures, tables in _SECTIONS:
        pictures = [
            picture
            for figure in figures
            for name, picture in results.pictures.items()
            if name == figure or name.startswith(f"{figure}_to_")
        ]
        filled = [Table(_CAPTIONS[name], rows[name]) for name in tables if rows.get(name)]
        if pictures or filled:
            sections.append(Section(title, (), tuple(pictures), tuple(filled)))
    return sections


def _fit_to_page(tables: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Return the tables with the widest, that of accuracies, cut in two."""
    columns = list(tables["accuracy"][0])
    cut = columns.index("macro_f1")
    parts = {"accuracy": columns[:cut], "recall": [columns[0], *columns[cut:]]}
    return tables | {
        name: [{column: row[column] for column in own} for row in tables["accuracy"]]
        for name, own in parts.items()
    }


def maps_table(mapped: MappedPhotographs) -> list[dict]:
    """Return what is behind each averaged map."""
    attention = mapped.attention
    return [
        {
            "condition": condition,
            "emotion": emotion,
            "photographs": int(attention.photographs[row, column]),
            "pairs": int(attention.pairs[row, column]),
            "all_zero_share": float(attention.zero_share[row, column]),
        }
        for column, condition in enumerate(attention.conditions)
        for row, emotion in enumerate(attention.emotions)
        if attention.photographs[row, column]
    ]


def facts_about(
    cfg: DictConfig,
    selection: Selection,
    settings: MapSettings | None,
    seconds: Mapping[str, float],
) -> dict[str, str | list[str]]:
    """Return how the analysis and its runs were made, for people.

    Args:
        cfg: of the analysis.
        selection: the runs.
        settings: how maps were made; None if there are none.
        seconds: of the stages.
    """
    process = describe_process()
    first = selection.runs[0].provenance
    facts = {
        "command": shlex.join(["python", *process["command"]]),
        "commands of the runs": _distinct(
            shlex.join(["python", *run.provenance["command"]]) for run in selection.runs
        ),
        "runs": [run.name for run in selection.runs],
        "data": f"{first['data']}: {sum(first['faces'].values()):,} faces "
        f"({', '.join(f'{name} {count:,}' for name, count in first['faces'].items())}), "
        f"{first['duplicates']:,} duplicates, {first['blank']:,} blank; {first['source']}",
        "data fingerprint": first["data_fingerprint"],
        "backbone": _distinct(
            f"{run.config.model.network}, weights digest {run.provenance['backbone_digest'][:12]}, "
            f"computed in {run.provenance['precision']['backbone']}"
            for run in selection.runs
        ),
        "seeds of the runs": ", ".join(_distinct(str(run.config.seed) for run in selection.runs)),
        "seed of the analysis": str(cfg.seed),
    }
    if settings:
        facts["attention maps"] = (
            f"{cfg.method} of {settings.layer}, of the {settings.target} emotion's "
            f"{settings.score}, by pytorch-grad-cam; enlarged to the 48×48 face by linear "
            f"interpolation; up to {cfg.samples:,} photographs of each emotion"
        )
    versions = ", ".join(f"{name} {number}" for name, number in process["packages"].items())
    return facts | {
        "versions": f"Python {process['python']}, {versions}",
        "commit": str(process["git_commit"]),
        "made": process["started"],
        "seconds": ", ".join(f"{stage} {time:,.0f}" for stage, time in seconds.items()),
    }


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
