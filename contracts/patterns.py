"""Patterns of fields, in the part of regular expressions that Python and polars understand alike.

Owns: reading a pattern and refusing what the two engines treat differently or not at all. Allowed: characters, `.`, classes
`[a-z]` `[^0-9]`, `\\d` (ASCII digits) and `\\w` (ASCII letters, digits, `_`), escaped punctuation, groups `( )` and `(?: )`, `|`, and the
quantifiers `? * + {n} {n,} {n,m}`. Not allowed: anchors (the whole value always has to match), look-around, back references, flags,
lazy or possessive quantifiers, `\\s` and other classes that depend on Unicode tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import polars as pl

MOST_REPEATS: Final = 1000
_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")
_ESCAPED: Final = frozenset("\\.+*?()|[]{}^$#&-~/")
_SHORTHAND: Final = {"d": "0-9", "w": "0-9A-Za-z_"}
_ONE_CLASS: Final = re.compile(r"(\[(?!\^)(?:[^\]\\]|\\.)+\])(\{([0-9]+)(,?)([0-9]*)\}|[?*+]?)")
_COUNT: Final = re.compile(r"\{([0-9]{1,4})(,?)([0-9]{0,4})\}")


class PatternRefused(ValueError):
    """The pattern is not in the common part; the text says why, and at which character (from 1)."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern both engines read alike. `body` needs anchors: use `python()` and `polars()`."""

    text: str
    body: str

    def one_ascii_class(self) -> tuple[frozenset[int], int, int] | None:
        """For a pattern that is one class of ASCII characters and a quantifier: the characters, and how often at least and at most."""
        found = _ONE_CLASS.fullmatch(self.body)
        if found is None:
            return None
        one = re.compile(found[1])
        allowed = frozenset(code for code in range(128) if one.fullmatch(chr(code)))
        if not allowed or len(found[1]) < 3 or not found[1].isascii():
            return None
        least, comma, most = {"": ("1", "", ""), "?": ("0", ",", "1"), "*": ("0", ",", ""), "+": ("1", ",", "")}.get(
            found[2], (found[3], found[4], found[5])
        )
        return allowed, int(least), int(most) if most else 1 << 31 if comma else int(least)

    def python(self) -> re.Pattern[str]:
        """For `fullmatch`."""
        return re.compile(self.body)

    def polars(self) -> str:
        """For `str.contains`, anchored at both ends."""
        return rf"\A(?:{self.body})\z"


@lru_cache(maxsize=1024)
def read_pattern(text: str) -> Pattern:
    """Read a pattern.

    Raises:
        PatternRefused: with the reason and the place.
    """
    reader = _Reader(text)
    body = reader.alternatives()
    if reader.at != len(text):
        raise reader.refused("unexpected )")
    pattern = Pattern(text, body)
    try:
        pattern.python()
        pl.select(pl.lit("").str.contains(pattern.polars(), strict=True))
    except (re.error, OverflowError, pl.exceptions.PolarsError) as error:
        raise PatternRefused(str(error).splitlines()[0]) from error
    return pattern


def _literal(character: str) -> str:
    return f"\\{character}" if character in _ESCAPED else character


class _Reader:
    """Recursive descent over the pattern; each method returns the part as both engines write it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def refused(self, reason: str) -> PatternRefused:
        return PatternRefused(f"{reason} (character {self.at + 1} of {self.text!r})")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        character = self.peek()
        if not character:
            raise self.refused("the pattern ends too early")
        self.at += 1
        return character

    def alternatives(self) -> str:
        parts = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            parts.append(self.sequence())
        return "|".join(parts)

    def sequence(self) -> str:
        parts = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.atom() + self.quantifier())
        return "".join(parts)

    def atom(self) -> str:
        character = self.take()
        if character == "(":
            return self.group()
        if character == "[":
            return self.character_class()
        if character == ".":
            return "[^\n]"
        if character == "\\":
            single, several = self.escape()
            return f"[{several}]" if several else _literal(single)
        if character in "^$":
            self.at -= 1
            raise self.refused(f"{character} is not needed: the whole value always has to match")
        if character in "*+?{}]":
            self.at -= 1
            raise self.refused(f"{character} has to be escaped here")
        return _literal(self._plain(character))

    def _plain(self, character: str) -> str:
        if ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F or 0xD800 <= ord(character) <= 0xDFFF:
            raise self.refused("control characters are never valid in a value")
        return character

    def group(self) -> str:
        if self.peek() == "?":
            self.at += 1
            if self.take() != ":":
                raise self.refused("only plain groups ( ) and (?: )")
        inside = self.alternatives()
        if self.take() != ")":
            raise self.refused("missing )")
        return f"(?:{inside})"

    def escape(self) -> tuple[str, str]:
        """One escaped character, or the inside of a class it stands for."""
        character = self.take()
        if character in _SHORTHAND:
            return "", _SHORTHAND[character]
        if character in _PUNCTUATION:
            return character, ""
        raise self.refused(f"\\{character} is not understood alike everywhere; write a class such as [0-9]")

    def character_class(self) -> str:
        negated = self.peek() == "^"
        self.at += negated
        parts = []
        while self.peek() != "]":
            parts.append(self.class_item())
        self.at += 1
        if not parts:
            raise self.refused("an empty class")
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def class_item(self) -> str:
        first, several = self.class_character()
        if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] == "]":
            return several or _literal(first)
        self.at += 1
        last, several_last = self.class_character()
        if several or several_last or last < first:
            raise self.refused("a range needs a lower and a higher character")
        return f"{_literal(first)}-{_literal(last)}"

    def class_character(self) -> tuple[str, str]:
        character = self.take()
        if character == "[":
            raise self.refused("[ in a class has to be escaped")
        return self.escape() if character == "\\" else (self._plain(character), "")

    def quantifier(self) -> str:
        character = self.peek()
        if character == "{":
            found = _COUNT.match(self.text, self.at)
            if found is None:
                raise self.refused("a count is {n}, {n,} or {n,m}")
            low, high = int(found[1]), int(found[3] or found[1])
            if high < low or max(low, high) > MOST_REPEATS or (found[3] and not found[2]):
                raise self.refused(f"a count goes from lower to higher, up to {MOST_REPEATS}")
            self.at = found.end()
            said = found[0]
        elif character and character in "?*+":
            self.at += 1
            said = character
        else:
            return ""
        if self.peek() and self.peek() in "?*+{":
            raise self.refused("one quantifier at a time; no lazy or possessive ones")
        return said
