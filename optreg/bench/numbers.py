"""Numbers as a person reads them."""

from __future__ import annotations


def digits(value: float) -> str:
    """Two or three digits, or all before the point."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 or size == 0 else f"{value:.2g}"


def milliseconds(seconds: float) -> str:
    """Seconds, in milliseconds."""
    return digits(seconds * 1e3)
