"""Counters and gauges by label values: cheap to count in, quick to write out, and never more of them than the ceiling allows.

Owns: how one series becomes one line of the page, and the room that all of them share. A site of 1,700 tenants has tens of thousands of
series, counted in for every event and written out at every scrape; the library's own objects take ten times as long for either.

A series costs room for as long as the node runs. While there is plenty, a counter is declared at 0, so that its first increase is seen.
After that a counter begins with its first count: it is shown at 0 once, and with its count from the next scrape on, for the same reason.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

Labels = tuple[str, ...]

OTHER: Final = "other"
"""What a counter's tenant, interface, subscription or endpoint is called beyond the ceiling."""
_NAMED: Final = frozenset({"tenant", "interface", "subscription", "endpoint"})


class Part(Protocol):
    """Whatever takes room on the page."""

    @property
    def left_out(self) -> int:
        """Series of its own that there was no room for."""
        ...

    def lines(self) -> Iterator[str]:
        """Its lines on the page."""
        ...


class Page:
    """The page, and its room: at most `ceiling` series, and up to `declared` of them before their first count."""

    def __init__(self, ceiling: int, declared: int) -> None:
        self.lock: Final = threading.RLock()
        self.used = 0
        self.parts: Final[list[Part]] = []
        self._ceiling = ceiling
        self._declared = declared

    @property
    def plenty(self) -> bool:
        """Whether what has not been counted yet may take room."""
        return self.used < self._declared

    def take(self, series: int = 1) -> bool:
        """Take room for so many series. False: there is not as much, and none was taken."""
        with self.lock:
            if self.used + series > self._ceiling:
                return False
            self.used += series
            return True

    def give_back(self, series: int) -> None:
        """So many series are gone."""
        with self.lock:
            self.used -= series

    @property
    def left_out(self) -> int:
        """Series that there was no room for."""
        return sum(part.left_out for part in self.parts)

    def text(self) -> str:
        """All parts, one line per series."""
        return "".join(line for part in self.parts for line in part.lines())


class _Cell:
    """One series: the line up to its value, and the value. A counter that was not declared is `unseen` until it was shown at 0."""

    __slots__ = ("line", "unseen", "value")

    def __init__(self, line: str, *, unseen: bool = False) -> None:
        self.line = line
        self.value = 0.0
        self.unseen = unseen


class _Family:
    """The series of one metric. Safe to use from several threads."""

    kind = ""

    def __init__(self, page: Page, name: str, text: str, labels: Labels) -> None:
        self.name: Final = name
        self._page = page
        self._labels = labels
        self._head = f"# HELP {name} {_escaped(text)}\n# TYPE {name} {self.kind}\n"
        self._cells: dict[Labels, _Cell] = {}

    def _line(self, values: Labels) -> str:
        pairs = sorted(zip(self._labels, values, strict=True))
        said = ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in pairs)
        return f"{self.name}{{{said}}} " if said else f"{self.name} "


class Counters(_Family):
    """A metric that only grows. `labels` are the names of the label values that `add` is given, in this order."""

    kind = "counter"

    def __init__(self, page: Page, name: str, text: str, *labels: str) -> None:
        super().__init__(page, name, text, labels)
        page.parts.append(self)
        self._lock = threading.Lock()
        self._shown: list[_Cell] = []
        self.left_out = 0
        """label values that are counted under `other`"""

    def declare(self, values: Labels) -> None:
        """Make the series exist at 0, while there is plenty of room."""
        with self._page.lock:
            if values not in self._cells and self._page.plenty:
                self._begin(values, unseen=False)

    def add(self, values: Labels, amount: float = 1.0) -> None:
        """Count. Beyond the ceiling under `other`. Nothing is no count: it makes no series exist."""
        cell = self._cells.get(values)
        if cell is None:
            if not amount:
                return
            cell = self._begin(values, unseen=True)
        with self._lock:
            cell.value += amount

    def _begin(self, values: Labels, *, unseen: bool) -> _Cell:
        with self._page.lock:
            if values in self._cells:
                return self._cells[values]
            if not self._page.take():
                self.left_out += 1
                return self._elsewhere(values, unseen=unseen)
            return self._show(values, unseen=unseen)

    def _elsewhere(self, values: Labels, *, unseen: bool) -> _Cell:
        """The series that stands for all that are left out; it takes no room."""
        other = tuple(OTHER if label in _NAMED else value for label, value in zip(self._labels, values, strict=True))
        cell = self._cells.get(other) or self._show(other, unseen=unseen)
        self._cells[values] = cell
        return cell

    def _show(self, values: Labels, *, unseen: bool) -> _Cell:
        cell = self._cells[values] = _Cell(self._line(values), unseen=unseen)
        self._shown.append(cell)
        return cell

    def lines(self) -> Iterator[str]:
        """Its part of the page for Prometheus. What was counted for the first time since the page was last read stands at 0."""
        yield self._head
        with self._page.lock:
            shown = self._shown.copy()
        for cell in shown:
            if cell.unseen:
                cell.unseen = False
                yield f"{cell.line}0.0\n"
            else:
                yield f"{cell.line}{cell.value!r}\n"


class Gauges(_Family):
    """A metric that goes up and down. `labels` are the names of the label values that `set` is given, in this order."""

    kind = "gauge"

    def __init__(self, page: Page, name: str, text: str, *labels: str) -> None:
        super().__init__(page, name, text, labels)
        page.parts.append(self)
        self._left_out: set[Labels] = set()

    @property
    def left_out(self) -> int:
        """Series that there is no room for."""
        return len(self._left_out)

    def set(self, values: Labels, value: float) -> None:
        """Show this value; without room, not at all."""
        cell = self._cells.get(values)
        if cell is None:
            with self._page.lock:
                if values not in self._cells and not self._page.take():
                    self._left_out.add(values)
                    return
                cell = self._cells.setdefault(values, _Cell(self._line(values)))
        cell.value = float(value)

    def rest(self, values: Labels) -> None:
        """There is nothing to see: 0 while there is plenty of room, no series otherwise."""
        if self._page.plenty:
            self.set(values, 0)
            return
        with self._page.lock:
            self._left_out.discard(values)
            if self._cells.pop(values, None) is not None:
                self._page.give_back(1)

    def replace(self, values: Mapping[Labels, float]) -> None:
        """Show these and no others."""
        with self._page.lock:
            gone = self._cells.keys() - values.keys()
            for labels in gone:
                del self._cells[labels]
            self._page.give_back(len(gone))
            self._left_out.clear()
            for labels, value in values.items():
                self.set(labels, value)

    def lines(self) -> Iterator[str]:
        """Its part of the page for Prometheus."""
        yield self._head
        with self._page.lock:
            shown = list(self._cells.values())
        for cell in shown:
            yield f"{cell.line}{cell.value!r}\n"


def _escaped(text: str, *, quote: bool = False) -> str:
    """As the text format 0.0.4 of Prometheus wants it."""
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text
