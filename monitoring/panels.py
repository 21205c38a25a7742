"""What a panel of a dashboard is: the question it answers, the queries that answer it, and which numbers are good.

Owns: no panel. The night's stand in `monitoring.night_panels`, those of events in `monitoring.event_panels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Steps = tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query of a panel, and the legend of its series (empty: the panel shows one number)."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `steps` colours numbers: (from this value on, colour), the first one from minus infinity."""

    kind: Literal["stat", "timeseries", "bargauge", "table"]
    title_ja: str
    title_en: str
    meaning: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12
    height: int = 8
    steps: Steps = ()


def good_until(limit: float) -> Steps:
    """Green below the limit, red from there on."""
    return ((float("-inf"), "green"), (limit, "red"))


def good_from(limit: float) -> Steps:
    """Red below the limit, green from there on."""
    return ((float("-inf"), "red"), (limit, "green"))
