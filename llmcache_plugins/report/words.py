"""How numbers and names of a report are written."""

from __future__ import annotations

import math

__all__ = ["at_most", "milliseconds", "money", "name"]


def name(text: str, widest: int = 60) -> str:
    """What users have named so, on one line and without control characters: a terminal obeys those.

    >>> name("bgp\\nqueries")
    'bgp?queries'
    """
    shown = "".join(sign if sign.isprintable() else "?" for sign in text)
    return shown if len(shown) <= widest else shown[: widest - 1] + "…"


def milliseconds(seconds: float) -> str:
    """
    >>> milliseconds(3.2125)
    '3,212.50 ms'
    """
    return f"{1000 * seconds:,.2f} ms" if seconds >= 0.001 or not seconds else f"{1000 * seconds:.3g} ms"


def at_most(seconds: float) -> str:
    """A bound of a histogram.

    >>> at_most(0.05)
    '≤ 50 ms'
    """
    return f"≤ {1000 * seconds:,.6g} ms" if math.isfinite(seconds) else "> 100 s"


def money(amount: float, currency: str) -> str:
    """With cents, and with more digits below a cent.

    >>> money(-1234.5, "USD"), money(0.00044, "EUR")
    ('-$1,234.50', '0.00044 EUR')
    """
    size = abs(amount)
    digits = f"{size:,.2f}" if size >= 0.01 or not size else f"{size:.2g}"
    sign = "-" if amount < 0 else ""
    return f"{sign}${digits}" if currency == "USD" else f"{sign}{digits} {currency}"
