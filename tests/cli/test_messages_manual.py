"""The pages of all messages are current, complete, and say for each whom it calls."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from bus.cli.language import words
from bus.cli.messages_manual import FILES, called, manual
from contracts.messages import AREAS, Language, catalogue

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_manual_is_what_the_catalogue_says(language: Language) -> None:
    assert (DOCS / FILES[language]).read_text("utf-8") == manual(language), "run: make docs"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_message_stands_once_in_a_whole_row(language: Language) -> None:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in manual(language).splitlines() if re.match(r"\| (RNK|rule\.)", line)]
    assert all(len(row) == 4 for row in rows)
    assert Counter(row[0].strip() for row in rows) == Counter(catalogue().keys())
    assert all(row[2].strip() for row in rows)


def test_every_area_has_its_heading_in_both_languages() -> None:
    assert {f"manual.area.{area}" for area in AREAS} <= set(words())


@pytest.mark.parametrize(
    ("message_id", "whom"),
    [
        ("RNK4040I", "nobody"),
        ("RNK4003E", "vendor"),
        ("RNK4016E", "sender"),
        ("RNK5010E", "operator"),
        ("rule.codes", "sender"),
        ("rule.unmapped", "operator"),
    ],
)
def test_whom_a_message_calls(message_id: str, whom: str) -> None:
    assert called(message_id, catalogue()[message_id]) == whom


def test_an_error_calls_somebody_unless_it_says_that_nothing_is_to_be_done() -> None:
    errors = {message_id: entry for message_id, entry in catalogue().items() if message_id.endswith("E")}
    silent = [entry["action_en"] for message_id, entry in errors.items() if called(message_id, entry) == "nobody"]
    assert all(action.startswith("nothing to do") for action in silent)
