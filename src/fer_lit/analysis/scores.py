"""What the runs' own predictions say, before any network is loaded."""

from __future__ import annotations

import numpy as np

from fer_lit.analysis import comparisons, score_findings
from fer_lit.analysis.accuracy import accuracy_table, calibration_table, drop_table
from fer_lit.analysis.confusion import confusion_matrices, confusion_table
from fer_lit.analysis.paired_tests import paired_test_table, seed_test_table
from fer_lit.analysis.protocols import protocol_table, splits_table
from fer_lit.analysis.results import Results
from fer_lit.analysis.selection import Selection


def score(selection: Selection, results: Results) -> dict[str, np.ndarray]:
    """Add tables, findings and notes; return the confusion matrices by condition."""
    emotions, conditions = list(selection.config.data.classes), selection.conditions
    predictions = {
        label: {seed: run.predictions for seed, run in one.runs.items()}
        for label, one in conditions.items()
    }
    ratios = {label: one.ratio for label, one in conditions.items()}
    tables = results.tables
    tables["accuracy"] = accuracy_table(predictions, ratios, emotions)
    tables["splits"] = splits_table(conditions)
    tables["protocols"] = protocol_table(conditions, comparisons.protocol_pairs(conditions))
    tables["drop"] = [
        row
        for label, one in conditions.items()
        if one.reference in predictions and label != one.reference
        for row in drop_table(
            {name: predictions[name] for name in (one.reference, label)}, emotions, one.reference
        )
    ]
    of_options = comparisons.option_pairs(conditions)
    pairs = comparisons.occlusion_pairs(conditions) + of_options
    sets = comparisons.occlusion_sets(conditions)
    tables["tests"], notes = paired_test_table(predictions, pairs, sets)
    tables["seed_tests"] = seed_test_table(predictions, pairs, ratios)
    tables["calibration"] = calibration_table(predictions)
    results.notes += notes
    tests = tables["tests"], tables["seed_tests"]
    results.statements += score_findings.accuracy_statements(
        tables["accuracy"], tables["drop"], *tests
    )
    results.statements += score_findings.configuration_statements(of_options, *tests)
    results.statements += score_findings.protocol_statements(tables["protocols"])
    matrices = confusion_matrices(predictions, len(emotions))
    tables["confusion"] = confusion_table(matrices, emotions)
    return matrices
