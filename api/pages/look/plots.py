"""The lines of a plot as paths of SVG."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 300, 100


def line(values: Sequence[float], top: float) -> str:
    """A line from edge to edge.

    Args:
        values: at equal distances, at least two.
        top: the value at the upper edge.
    """
    step = WIDTH / (len(values) - 1)
    points = (f"{_short(at * step)} {_short(HEIGHT * (1 - value / top))}" for at, value in enumerate(values))
    return "M" + "L".join(points)


def area(values: Sequence[float], top: float) -> str:
    """What lies below the same line."""
    return f"{line(values, top)}V{HEIGHT}H0Z"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
