"""Figures: what was measured, against what, and what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Against:
    """The rival, measured in the same run or published."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Target:
    """What the value, or its ratio to the rival's, should be."""

    limit: float
    kind: Literal["at most", "at least"]
    of: Literal["value", "ratio"] = "ratio"

    def __str__(self) -> str:
        return f"{self.kind} {self.limit:g}" + (" x" if self.of == "ratio" else "")


@dataclass(frozen=True, slots=True)
class Result:
    """One figure. The target is for people; the published report holds what was measured."""

    metric: str
    value: float
    unit: str
    against: Against | None = None
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        if self.against is None or not self.against.value:
            return None
        return self.value / self.against.value

    @property
    def met(self) -> bool | None:
        """Say whether the target is reached; None without one."""
        if self.target is None:
            return None
        found = self.value if self.target.of == "value" else self.ratio
        if found is None:
            return None
        if self.target.kind == "at most":
            return found <= self.target.limit
        return found >= self.target.limit

    def as_json(self) -> dict[str, Any]:
        against = self.against and {
            "name": self.against.name,
            "value": rounded(self.against.value),
        }
        return {
            "metric": self.metric,
            "value": rounded(self.value),
            "unit": self.unit,
            "against": against,
            "ratio": None if self.ratio is None else rounded(self.ratio),
        }


def rounded(value: float) -> float:
    """Return a value with the digits that it deserves: four that count, or whole if larger."""
    return float(f"{value:.4g}") if abs(value) < 10_000 else round(value)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile, between neighbours by their distance. Raise ValueError for no values."""
    if not values:
        raise ValueError("No values.")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return percentile(values, 50)
