"""A check of what is explained: maps of a network that knows nothing explain nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fer_lit.analysis.checks.subject import Row

_RESAMPLES = 9999


def check_knowledge(predictions: pd.DataFrame, seed: int) -> Row:
    """Compare the balanced accuracy on held-out faces with chance: it must be above it.

    Chance is 1 / emotions, whatever a network says and however frequent the emotions are. It
    passes if the lower end of the interval is above that; the interval is a bootstrap over the
    faces of each emotion, of which the binomial distribution is the exact one.

    Args:
        predictions: of one run (see `prediction_frame`).
        seed: of the bootstrap.
    """
    of_emotions = predictions.groupby("label", observed=True)["right"].agg(["mean", "size"])
    recalls, faces = of_emotions["mean"].to_numpy(), of_emotions["size"].to_numpy()
    chance = 1 / len(predictions["label"].cat.categories)
    random = np.random.default_rng(seed)
    resampled = random.binomial(faces, recalls, size=(_RESAMPLES, len(faces))) / faces
    low, high = map(float, np.quantile(resampled.mean(axis=1), (0.025, 0.975)))
    return {
        "faces": int(faces.sum()),
        "value": float(recalls.mean()),
        "from": low,
        "to": high,
        "wanted": f"above {chance:.2f}",
        "verdict": "pass" if low > chance else "fail",
    }
