"""Formats shares as percentages. Pure."""

from __future__ import annotations


def percent(share: float, significant: int = 2) -> str:
    """0.23 -> "23 %", 0.034 -> "3.4 %", 0.0004 -> "0.04 %": `significant` digits, and at most as many decimals.

    The same rule as `percent` in js/lib/chart.mjs, so that a sentence and the panel next to it show the same number.
    """
    value = 100 * share
    rounded = (d for d in range(significant) if round(abs(value), d + 1) >= 10 ** (significant - 1 - d))
    decimals = next(rounded, significant)
    return f"{value:.{decimals}f} %" if round(value, decimals) else "0 %"
