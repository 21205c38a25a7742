"""Facts that are English words, told in Japanese: an error within an error, a library's complaint, a suggestion.

Owns: the phrase book (`phrases.yaml`). A fact is looked up whole: either it is one of our messages with its id before it
(`RNK5020E out.csv has not yet been taken by its receiver`), as logs and the journal keep errors, or a phrase of the book. Everything else,
names and values above all, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Final

import yaml

_WITH_ID: Final = re.compile(r"(RNK[0-9]{4}[EWI]) (.*)", re.DOTALL)


def split_id(told: str) -> tuple[str, str] | None:
    """The message id before a text and the text; None when there is none."""
    found = _WITH_ID.fullmatch(told)
    return (found[1], found[2]) if found else None


def facts_in(told: str, template: str) -> dict[str, object] | None:
    """The facts with which `template` says `told`; None when it does not."""
    found = _reader(template).fullmatch(told)
    return dict(found.groupdict()) if found else None


def phrase(told: str) -> tuple[str, Mapping[str, object]] | None:
    """The Japanese template of a phrase of the book, and its facts."""
    for english, japanese in _phrases().items():
        facts = facts_in(told, english)
        if facts is not None:
            return japanese, facts
    return None


@cache
def _phrases() -> dict[str, str]:
    return dict(yaml.safe_load((files(__package__) / "phrases.yaml").read_text("utf-8")))


@cache
def _reader(template: str) -> re.Pattern[str]:
    """A pattern that reads the facts back out of a text; a fact that stands twice must be the same twice."""
    parts: list[str] = []
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(re.escape(literal))
        if name:
            parts.append(f"(?P={name})" if f"(?P<{name}>" in "".join(parts) else f"(?P<{name}>.*?)")
    return re.compile("".join(parts), re.DOTALL)
