"""Names of files: patterns that make them and read them back, and what a safe name is.

Owns: the words in braces. Interfaces match incoming names with a pattern, subscriptions make outgoing ones. What is not in braces stands
for itself (`{{` and `}}` for braces); Japanese and spaces are welcome.

| word | format | matches |
|---|---|---|
| `{tenant}` | | 6 digits |
| `{interface}` | | an interface id |
| `{business_date}` | ISO, or `:` and a form of `%Y %y %m %d %j` | a day of the calendar (`%y`: 2000-2099) |
| `{sequence}` `{revision}` `{records}` `{document}` | plain, or `:04` for leading zeros | exactly what it would print |
| `{any}` | | one or more characters; incoming names only |
| `{name}` `{stem}` | | the data file's own name, or that without its last suffix; completion markers only |
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final, Literal

from bus.errors import Permanent, SiteInvalid

Direction = Literal["in", "out", "marker"]
LONGEST_NAME_BYTES: Final = 255
"""The limit of the usual Linux file systems, in UTF-8."""

NUMBERS: Final = ("sequence", "revision", "records", "document")
WORDS: Final = ("tenant", "interface", "business_date", *NUMBERS, "any", "name", "stem")
_ALLOWED: Final[dict[Direction, tuple[str, ...]]] = {"in": WORDS[:-2], "out": WORDS[:-3], "marker": (*WORDS[:-3], "name", "stem")}
_DATE_PARTS: Final = {"Y": "[0-9]{4}", "y": "[0-9]{2}", "m": "[0-9]{2}", "d": "[0-9]{2}", "j": "[0-9]{3}"}
_TOKEN: Final = re.compile(r"\{\{|\}\}|\{(?P<word>[^{}:]*)(?::(?P<format>[^{}]*))?\}|(?P<stray>[{}])|(?P<text>[^{}]+)")


@dataclass(frozen=True, slots=True)
class NameProblem:
    """What is wrong with a name or a pattern: a message id and the facts that fill its text."""

    message_id: str
    facts: dict[str, object]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A literal text (`word` empty) or one word with its format."""

    word: str
    text: str


def name_problem(name: str) -> NameProblem | None:
    """Why `name` may not be the name of a file that the bus reads or writes; None when it may."""
    reason = ""
    if not name:
        reason = "empty"
    elif name.startswith("."):
        reason = "leading dot"
    elif ".." in name:
        reason = ".."
    elif found := next((character for character in name if character in "/\\" or _unseen(character)), None):
        reason = f"U+{ord(found):04X}"
    elif len(name.encode("utf-8")) > LONGEST_NAME_BYTES:
        reason = f"> {LONGEST_NAME_BYTES} bytes"
    if not reason:
        return None
    shown = "".join(f"\\u{ord(character):04x}" if _unseen(character) else character for character in name)
    return NameProblem("RNK5001E", {"name": shown, "reason": reason})


def _unseen(character: str) -> bool:
    """Control and format characters, line separators, private use, and the surrogates that stand for undecodable bytes."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def lint(pattern: str, direction: Direction) -> list[NameProblem]:
    """Every problem of a pattern at once. `in` patterns must be readable without doubt."""
    problems = _fatal(pattern)
    pieces = list(_pieces(pattern))
    if problems:
        return problems
    known = _ALLOWED[direction]
    problems = [
        NameProblem("RNK5003E", {"pattern": pattern, "word": piece.word, "known": ", ".join(known)})
        for piece in pieces
        if piece.word and piece.word not in known
    ]
    return problems or (_doubtful(pieces, pattern) if direction == "in" else [])


class NamePattern:
    """A checked pattern. Equal texts are equal patterns.

    Raises:
        SiteInvalid: unknown word or format, or a text that no file may be named; `lint` tells all of it.
    """

    def __init__(self, pattern: str) -> None:
        for problem in _fatal(pattern):
            raise SiteInvalid(problem.message_id, **problem.facts)
        self.pattern = pattern
        self._pieces = tuple(_pieces(pattern))

    @property
    def words(self) -> frozenset[str]:
        """The words it holds."""
        return frozenset(piece.word for piece in self._pieces if piece.word)

    def format(self, **facts: str | int) -> str:
        """The name. `business_date` is ISO text, numbers are ints, `{stem}` follows from `name`; other facts are ignored.

        Raises:
            Permanent: a word without its fact, or a result that no file may be named.
        """
        if "name" in facts:
            facts = {"stem": PurePosixPath(str(facts["name"])).stem, **facts}
        missing = self.words - facts.keys()
        if missing:
            raise Permanent("RNK5007E", pattern=self.pattern, words=", ".join(sorted(missing)))
        name = "".join(_print(piece, facts) for piece in self._pieces)
        if (problem := name_problem(name)) is not None:
            raise Permanent(problem.message_id, **problem.facts)
        return name

    def match(self, name: str) -> dict[str, str | int] | None:
        """The facts in `name`, None when it is not of this pattern. `match(format(**facts))` gives the facts of the pattern back.

        `business_date` is ISO text and a day of the calendar; it is left out when the pattern holds no whole date. A word that stands
        twice must say the same twice.
        """
        found = self._regex.fullmatch(name)
        if found is None:
            return None
        facts: dict[str, str | int] = {}
        date_parts: dict[str, str] = {}
        for group, value in found.groupdict().items():
            word, _, part = group.rpartition("_")[0].partition("__")
            if word == "business_date":
                if date_parts.setdefault(part, value) != value:
                    return None
            elif word != "any" and facts.setdefault(word, int(value) if word in NUMBERS else value) != _typed(word, value):
                return None
        if date_parts:
            day = _day_of(date_parts)
            if day is None:
                return None
            if day:
                facts["business_date"] = day
        return facts

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile("".join(_regex_of(piece, index) for index, piece in enumerate(self._pieces)), re.DOTALL)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamePattern) and other.pattern == self.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"NamePattern({self.pattern!r})"


def _pieces(pattern: str) -> Iterator[_Piece]:
    for token in _TOKEN.finditer(pattern):
        if token["word"] is not None:
            yield _Piece(token["word"] or "{}", token["format"] or "")
        elif token["stray"]:
            yield _Piece(token["stray"], "")
        else:
            yield _Piece("", token["text"] or token[0][0])


def _fatal(pattern: str) -> list[NameProblem]:
    """What makes a text no pattern at all, wherever it stands."""
    pieces = list(_pieces(pattern))
    problems = [problem for piece in pieces if (problem := _piece_problem(piece, pattern))]
    if not problems and (found := name_problem("".join(_sample(piece) for piece in pieces))) is not None:
        problems.append(NameProblem("RNK5002E", {"pattern": pattern, "reason": found.facts["reason"]}))
    return problems


def _piece_problem(piece: _Piece, pattern: str) -> NameProblem | None:
    if piece.word and piece.word not in WORDS:
        return NameProblem("RNK5003E", {"pattern": pattern, "word": piece.word, "known": ", ".join(WORDS)})
    good = {"": True, "business_date": not piece.text or _date_form(piece.text) is not None}.get(
        piece.word, not piece.text or (piece.word in NUMBERS and re.fullmatch(r"0[1-9]", piece.text) is not None)
    )
    return None if good else NameProblem("RNK5004E", {"pattern": pattern, "word": piece.word, "format": piece.text})


def _doubtful(pieces: list[_Piece], pattern: str) -> list[NameProblem]:
    """What keeps a name from being read in one way only."""
    problems = []
    for before, after in pairwise(pieces):
        open_ended = (*NUMBERS, "interface", "any")
        starts_open = after.word in open_ended or after.word in ("tenant", "business_date") or after.text[:1].isdigit()
        if before.word in open_ended and (starts_open if before.word in NUMBERS else after.word in open_ended):
            problems.append(NameProblem("RNK5005E", {"pattern": pattern, "first": before.word, "second": after.word or after.text}))
    forms = [piece.text or "%Y-%m-%d" for piece in pieces if piece.word == "business_date"]
    if forms and not _whole_date({part for form in forms for part in _date_form(form) or ()}):
        problems.append(NameProblem("RNK5006E", {"pattern": pattern}))
    return problems


def _date_form(text: str) -> list[str] | None:
    """The parts of a date form in order, None when it holds anything but `%Y %y %m %d %j` and plain text."""
    parts = re.findall(r"%(.?)", text)
    return parts if parts and all(part in _DATE_PARTS for part in parts) else None


def _whole_date(parts: set[str]) -> bool:
    return bool(parts & {"Y", "y"}) and ("j" in parts or {"m", "d"} <= parts)


def _day_of(parts: dict[str, str]) -> str | None:
    """The ISO day; empty when the parts make no whole date, None when there is no such day."""
    if not _whole_date(set(parts)):
        return ""
    year = int(parts["Y"] if "Y" in parts else "20" + parts["y"])
    try:
        if "m" in parts and "d" in parts:
            day = date(year, int(parts["m"]), int(parts["d"]))
        else:
            day = date.fromordinal(date(year, 1, 1).toordinal() + int(parts["j"]) - 1)
    except (ValueError, OverflowError):
        return None
    told = {"Y": f"{day:%Y}".zfill(4), "y": f"{day:%y}", "m": f"{day:%m}", "d": f"{day:%d}", "j": f"{day:%j}"}
    return day.isoformat() if all(told[part] == value for part, value in parts.items()) else None


def _typed(word: str, value: str) -> str | int:
    return int(value) if word in NUMBERS else value


def _print(piece: _Piece, facts: dict[str, str | int]) -> str:
    if not piece.word:
        return piece.text
    fact = facts[piece.word]
    if piece.word == "business_date":
        day = date.fromisoformat(str(fact))
        return re.sub("%(.)", lambda part: f"{day.year:04}" if part[1] == "Y" else format(day, part[0]), piece.text or "%Y-%m-%d")
    return format(int(fact), piece.text) if piece.word in NUMBERS else str(fact)


def _regex_of(piece: _Piece, index: int) -> str:
    if not piece.word:
        return re.escape(piece.text)
    if piece.word == "business_date":
        split = re.split("%(.)", piece.text or "%Y-%m-%d")
        return "".join(
            f"(?P<business_date__{text}_{index}x{at}>{_DATE_PARTS[text]})" if at % 2 else re.escape(text) for at, text in enumerate(split)
        )
    if piece.word in NUMBERS:
        width = int(piece.text or "1")
        body = f"[0-9]{{{width}}}|[1-9][0-9]{{{width},}}"
    else:
        body = {"tenant": "[0-9]{6}", "interface": "[a-z][a-z0-9_]*", "any": ".+", "name": ".+", "stem": ".+"}[piece.word]
    return f"(?P<{piece.word}___{index}>{body})"


def _sample(piece: _Piece) -> str:
    if not piece.word:
        return piece.text
    words: dict[str, str | int] = {"tenant": "332020", "business_date": "2026-11-20", **dict.fromkeys(NUMBERS, 1)}
    return _print(piece, {**dict.fromkeys(WORDS, "x"), **words})
