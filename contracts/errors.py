"""The root of Renkei's one error tree, and problems found in a document.

    RenkeiError
    ├── DocumentInvalid      a YAML document (contract, layout, site ...) has problems; lists all of them
    ├── ContractUnknown      no contract, layout or translation of that name
    ├── EventUnreadable      the data of one event is not one flat JSON object of texts
    ├── FileUnreadable       a whole file cannot be read as its layout says (header, trailer, record length)
    └── bus.errors.BusError  everything the bus adds: see there

Every error carries a stable message id (`RNK1001E`: number, then I, W or E for severity) and the facts that fill its text.
The texts, in Japanese and English, stand in `contracts/messages/`; code decides by type, never by text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.messages import Language, action, text


class RenkeiError(Exception):
    """An error a person will read: what happened, where, and what to do next."""

    def __init__(self, message_id: str, /, **facts: object) -> None:
        super().__init__(message_id, facts)
        self.message_id = message_id
        self.facts = facts

    def text(self, language: Language = "en") -> str:
        """What happened and where, in `language`."""
        return text(self.message_id, language, **self.facts)

    def action(self, language: Language = "en") -> str:
        """What to do next, in `language`; empty when there is nothing to do."""
        return action(self.message_id, language, **self.facts)

    def __str__(self) -> str:
        return f"{self.message_id} {self.text()}"

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling between a batch worker and its parent."""
        return _rebuild, (type(self), self.message_id, self.facts)


def _rebuild(kind: type[RenkeiError], message_id: str, facts: dict[str, object]) -> RenkeiError:
    return kind(message_id, **facts)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a document, with its place. `line` and `column` are 1-based; 0 when the place is the file itself."""

    message_id: str
    file: Path
    line: int
    column: int
    where: str
    facts: dict[str, object]

    def text(self, language: Language = "en") -> str:
        """What is wrong, in `language`."""
        return text(self.message_id, language, where=self.where, **self.facts)

    def action(self, language: Language = "en") -> str:
        """What to do, in `language`."""
        return action(self.message_id, language, where=self.where, **self.facts)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message_id} {self.text()}"


class DocumentInvalid(RenkeiError):
    """A document has one or more problems; `problems` lists every one of them, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("RNK1000E", count=len(problems), problems="\n".join(map(str, problems)))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[object, ...]:
        return DocumentInvalid, (self.problems,)


class ContractUnknown(RenkeiError):
    """No contract, layout or translation of that name is registered."""


class FileUnreadable(RenkeiError):
    """The file as a whole cannot be read as its layout says; no record of it may be used."""


class EventUnreadable(RenkeiError):
    """The data of an event is not one flat JSON object of texts; no field of it was looked at. Holds no value of it."""
