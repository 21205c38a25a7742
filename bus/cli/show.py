"""How rows, facts and errors are shown: tables for people, JSON for programs, one line per error with its id.

Owns: formatting only. Values arrive masked; nothing here decides what may be seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bus.cli.language import word
from bus.cli.session import Session
from contracts.errors import DocumentInvalid, Problem, RenkeiError
from contracts.messages import Language, action, retold, text

Reading = Callable[[Mapping[str, Any]], object]
LAST_COLUMN: Final = 30
"""The last column, where long words stand, may be wrapped down to so many characters."""
GAP: Final = 3
"""Characters between two columns."""
Columns = Sequence[tuple[str, str | Reading]]
"""Column by column: the word that heads it, and the key of the row or how to read the value."""


def as_json(session: Session, value: object) -> None:
    """One JSON document on standard output."""
    session.out.file.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def rows(session: Session, found: Iterable[Mapping[str, Any]], columns: Columns, *, json_too: bool, title: str = "") -> None:
    """A list: a JSON array, or a table; a word instead of an empty table."""
    listed = list(found)
    if json_too:
        as_json(session, listed)
        return
    if title:
        session.out.print(Text(word(title, session.language), style="bold"))
    if not listed:
        session.out.print(word("nothing", session.language))
        return
    samples = [[_read(row, how) for _, how in columns] for row in listed]
    numeric = [all(isinstance(values[index], int) for values in samples) for index in range(len(columns))]
    heads = [word(heading, session.language) for heading, _ in columns]
    cells = [[cell(value, session.language, session.zone) for value in values] for values in samples]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    if sum(widths[:-1]) + min(widths[-1], LAST_COLUMN) + GAP * len(widths) > session.out.width:
        _one_below_the_other(session, heads, cells)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, head in enumerate(heads):
        last = index == len(heads) - 1
        table.add_column(head, justify="right" if numeric[index] else "left", overflow="fold", no_wrap=not last)
    for values in cells:
        table.add_row(*map(Text, values))
    session.out.print(table)


def _one_below_the_other(session: Session, heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """A list that is too wide for the terminal: each row as its own few lines, so that no id or name is broken; empty values left out."""
    for values in cells:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for head, value in zip(heads, values, strict=True):
            if value:
                table.add_row(head, Text(value))
        session.out.print(table)
        session.out.print()


def facts(session: Session, found: Mapping[str, object]) -> None:
    """Name and value, one a line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in found.items():
        table.add_row(word(name, session.language), Text(cell(value, session.language, session.zone)))
    session.out.print(table)


def _read(row: Mapping[str, Any], how: str | Reading) -> object:
    return row.get(how, "") if isinstance(how, str) else how(row)


def cell(value: object, language: Language, zone: tzinfo | None = None) -> str:
    """A value as text: numbers grouped, absent as nothing, states and kinds in the language."""
    if isinstance(value, Moment | Told):
        return value.shown(zone) if isinstance(value, Moment) else reason(value.words, language)
    if isinstance(value, bool):
        return word("yes" if value else "no", language)
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    if isinstance(value, Mapping):
        return _mapping(value, language, zone)
    if isinstance(value, list | tuple):
        return ", ".join(cell(part, language) for part in value)
    return "" if value is None else word(f"value.{value}", language).removeprefix("value.")


def _mapping(found: Mapping[str, Any], language: Language, zone: tzinfo | None) -> str:
    """Names and values, times (`_at_us`) as such; totals as their number of records and, where there are any, their sums."""
    if set(found) == {"records", "sums"}:
        sums = f" ({cell(found['sums'], language)})" if found["sums"] else ""
        return f"{found['records']:,}{sums}"
    parts = {name: Moment(part) if name.endswith("_at_us") and isinstance(part, int) else part for name, part in found.items()}
    return ", ".join(f"{word(name, language)}={reason(cell(part, language, zone), language)}" for name, part in parts.items())


@dataclass(frozen=True, slots=True)
class Told:
    """An error or a refusal as the journal keeps it."""

    words: object


@dataclass(frozen=True, slots=True)
class Moment:
    """UTC microseconds; shown in the site's time zone to the second, with its offset."""

    us: int | None

    def shown(self, zone: tzinfo | None) -> str:
        """The time in `zone` (None: the machine's); nothing for none."""
        if self.us is None:
            return ""
        return datetime.fromtimestamp(self.us / 1_000_000, UTC).astimezone(zone).isoformat(sep=" ", timespec="seconds")


def count(name: str) -> Reading:
    """Reads the number of records of the totals under `name`."""
    return lambda row: int((row.get(name) or {}).get("records", 0))


def at(name: str) -> Reading:
    """Reads the time under `name`."""
    return lambda row: Moment(row.get(name))


def written(time: str | None) -> Moment | str | None:
    """A time as an event's attribute writes it (RFC 3339), to be shown like all others; one that cannot be read stays as it is."""
    try:
        found = datetime.fromisoformat(time or "")
    except ValueError:
        return time
    return Moment(round(found.timestamp() * 1_000_000)) if found.tzinfo else time


def told(name: str) -> Reading:
    """Reads the error or refusal under `name`."""
    return lambda row: Told(row.get(name))


def reason(told: object, language: Language) -> str:
    """A refusal as the journal keeps it (`{"message_id", "facts", "text"}` as JSON, or an English text with its id before it), in the
    language; any other text as it is."""
    try:
        kept = json.loads(str(told))
        return f"{kept['message_id']} {text(kept['message_id'], language, **kept['facts'])}"
    except (ValueError, TypeError, KeyError):
        return retold(str(told or ""), language)


def within(*names: str) -> Reading:
    """Reads a value some levels down; nothing when a level is missing."""

    def read(row: Mapping[str, Any]) -> object:
        value: Any = row
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    return read


def say(session: Session, message_id: str, /, **found: object) -> None:
    """One message with its id on standard output, and what to do on the next line."""
    _line(session.out, message_id, text(message_id, session.language, **found), action(message_id, session.language, **found))


def warn(session: Session, message_id: str, /, **found: object) -> None:
    """The same on standard error."""
    _line(session.err, message_id, text(message_id, session.language, **found), action(message_id, session.language, **found))


def as_told(session: Session, message_id: str, what: str, then: str) -> None:
    """A message as a node told it, in the words it came with, on standard error."""
    _line(session.err, message_id, what, then)


def problem(console: Console, found: Problem, language: Language) -> None:
    """A mistake in a document at its place, and what to do."""
    place = f"{found.file}:{found.line}:{found.column}"
    _line(console, f"{place}: {found.message_id}", found.text(language), found.action(language))


def problem_facts(found: Problem, language: Language) -> dict[str, object]:
    """A mistake in a document as JSON."""
    return {
        "id": found.message_id,
        "file": str(found.file),
        "line": found.line,
        "column": found.column,
        "where": found.where,
        "text": found.text(language),
        "action": found.action(language),
    }


def error(session: Session, found: RenkeiError) -> None:
    """An error on standard error: id, what happened and where, what to do; every problem of a document in its own lines."""
    if isinstance(found, DocumentInvalid):
        for one in found.problems:
            problem(session.err, one, session.language)
        warn(session, "RNK6004E", count=len(found.problems))
        return
    _line(session.err, found.message_id, found.text(session.language), found.action(session.language))


def _line(console: Console, head: str, what: str, then: str) -> None:
    style = "bold red" if head.endswith("E") else "yellow" if head.endswith("W") else "green"
    console.print(Text(head, style=style) + Text(f" {what}"), soft_wrap=True)
    if then:
        console.print(Text(f"  → {then}", style="dim"), soft_wrap=True)
