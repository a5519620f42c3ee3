"""Numbers as they stand in sentences."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a share, 0–1, as `72.0 %`."""
    return f"{points(share)} %"


def points(share: float) -> str:
    """Return a share or a difference of shares in percentage points, as `−1.3`."""
    return f"{100 * share:.1f}".replace("-", "−")


def p_value(p: float) -> str:
    """Return `p = 0.012`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
