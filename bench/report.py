"""Figures of benchmarks with floors and targets, printed as text, JSON or Markdown."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Measure = Literal["value", "ratio"]


@dataclass(frozen=True)
class Target:
    """The limit of a figure, or of its ratio to the floor: at most, or at least, `limit`."""

    limit: float
    of: Measure = "value"
    at_least: bool = False

    def text(self, unit: str) -> str:
        """Formatted, such as `<= 2.5x` or `>= 1,200 rps`."""
        sign = ">=" if self.at_least else "<="
        return f"{sign} {self.limit:,g}x" if self.of == "ratio" else f"{sign} {number(self.limit, unit)}"


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        row: the benchmark's name.
        what: a description.
        floor: the baseline's figure, measured in the same run; None if there is no baseline.
        more_is_better: true for rates.
    """

    row: str
    what: str
    value: float
    unit: str
    floor: float | None = None
    target: Target | None = None
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times worse than the floor; 1 is equal."""
        if not self.floor or not self.value:
            return None
        return self.floor / self.value if self.more_is_better else self.value / self.floor

    @property
    def verdict(self) -> str:
        """`within` or `missed`; `""` without a target."""
        measured = self.ratio if self.target and self.target.of == "ratio" else self.value
        if self.target is None or measured is None:
            return ""
        kept = measured >= self.target.limit if self.target.at_least else measured <= self.target.limit
        return "within" if kept else "missed"


def machine() -> dict[str, Any]:
    """The machine that was measured on; `load` is the load average of the minute before."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def number(value: float, unit: str) -> str:
    """Three significant digits, and the unit."""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(digits, 3)}f} {unit}"


def columns(figure: Figure) -> tuple[str, ...]:
    """The cells of a figure's line."""
    unit = figure.unit
    return (
        figure.what,
        number(figure.value, unit),
        "" if figure.floor is None else number(figure.floor, unit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}x",
        "" if figure.target is None else figure.target.text(unit),
        figure.verdict,
    )


HEADINGS = ("figure", "measured", "floor", "ratio", "target", "")


def lines(figures: Sequence[Figure]) -> str:
    """A table for a terminal."""
    cells = [columns(figure) for figure in figures]
    widths = [max(len(row[at]) for row in [HEADINGS, *cells]) for at in range(len(HEADINGS))]
    aligned = ["<", ">", ">", ">", "<", "<"]
    return "\n".join(
        "  " + "  ".join(f"{cell:{way}{width}}" for cell, way, width in zip(row, aligned, widths, strict=True)).rstrip()
        for row in [HEADINGS, *cells]
    )  # fmt: skip


def markdown(figures: Iterable[Figure], where: dict[str, Any]) -> str:
    """A table for `docs/performance.md`."""
    rows: list[tuple[str, ...]] = [("row", *HEADINGS[:-1], "verdict")]
    rows.append(("---", "---", "---:", "---:", "---:", "---", "---"))
    rows += [(f"`{figure.row}`", *columns(figure)) for figure in figures]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    conditions = "{cores} cores, Python {python}, {system}, load {load} before, {at}".format(**where)
    return f"{conditions}\n\n{table}\n"


def as_json(figures: Iterable[Figure], where: dict[str, Any]) -> dict[str, Any]:
    """All figures and the machine, for `from_json`."""
    kept = [{**asdict(figure), "ratio": figure.ratio, "verdict": figure.verdict} for figure in figures]
    return {"machine": where, "figures": kept}


def from_json(data: dict[str, Any]) -> tuple[list[Figure], dict[str, Any]]:
    """The figures and the machine from `as_json`."""
    figures = []
    for kept in data["figures"]:
        plain = {key: value for key, value in kept.items() if key not in {"ratio", "verdict"}}
        target = None if plain["target"] is None else Target(**plain["target"])
        figures.append(Figure(**{**plain, "target": target}))
    return figures, data["machine"]


def percentile(values: Iterable[float], share: float) -> float:
    """The nearest-rank percentile for `share` (0 to 1)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * share) - 1)]
