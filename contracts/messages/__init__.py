"""The catalogue of messages: every stable id with its text and action in Japanese and English.

Owns: the ids. One YAML file per area, one block of numbers each (see `AREAS`). Errors, log records, the CLI and reports take their
words from here, so that one id says one thing everywhere. A test fails on an id used without an entry, and on an entry never used.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, Literal, TypedDict

import yaml

from contracts.messages.retelling import facts_in, phrase, split_id

Language = Literal["ja", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ja", "en")

AREAS: Final = {
    "contracts": "RNK1",
    "site": "RNK2",
    "journal": "RNK3",
    "batch": "RNK4",
    "files": "RNK5",
    "operations": "RNK6",
    "node": "RNK7",
    "monitoring": "RNK8",
    "rules": "rule.",
}
"""File name (without .yaml) to the beginning its ids must have. `rules` holds the words for each rule a record can break."""


class Entry(TypedDict, total=False):
    """What the catalogue says of one id. `{name}` in a text is filled from the facts."""

    ja: str
    en: str
    action_ja: str
    action_en: str


@cache
def catalogue() -> dict[str, Entry]:
    """All entries by id.

    Raises:
        ValueError: an id stands twice, or outside its area's block.
    """
    entries: dict[str, Entry] = {}
    for area, beginning in AREAS.items():
        source = files(__package__) / f"{area}.yaml"
        if not source.is_file():
            continue
        for message_id, entry in (yaml.safe_load(source.read_text("utf-8")) or {}).items():
            if message_id in entries or not message_id.startswith(beginning):
                raise ValueError(f"{area}.yaml: {message_id} stands twice or outside the block {beginning}")
            entries[message_id] = entry
    return entries


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"


def _fill(template: str, facts: dict[str, object]) -> str:
    return template.format_map(_Facts(facts))


def text(message_id: str, language: Language = "en", /, **facts: object) -> str:
    """The text of `message_id`; the id and the bare facts when the catalogue has no entry, so that nothing is silent."""
    entry = catalogue().get(message_id)
    if entry is None:
        return f"{message_id} {facts}"
    return _fill(entry[language], _told(facts, language))


@lru_cache(4096)
def retold(words: str, language: Language, /, name: str = "") -> str:
    """English words in `language`: a message of ours with its id before it, as logs and the journal keep errors, or a phrase of the book.
    Anything else stays as it is. `name`: that of the fact, where the book has words for this fact alone."""
    if language == "en":
        return words
    if (parts := split_id(words)) and (entry := catalogue().get(parts[0])):
        facts = facts_in(parts[1], entry["en"])
        return words if facts is None else f"{parts[0]} {text(parts[0], language, **facts)}"
    found = phrase(f"{name}={words}") or phrase(words)
    return _fill(found[0], _told(found[1], language)) if found else words


def action(message_id: str, language: Language = "en", /, **facts: object) -> str:
    """What to do about `message_id`; empty when the catalogue names nothing."""
    entry = catalogue().get(message_id, {})
    key: Literal["action_ja", "action_en"] = "action_ja" if language == "ja" else "action_en"
    return _fill(entry.get(key, ""), _told(facts, language))


def _told(facts: Mapping[str, object], language: Language) -> dict[str, object]:
    return {name: retold(fact, language, name) if isinstance(fact, str) else fact for name, fact in facts.items()}
