"""Laws of values: what is written comes back the same, on every database."""

from __future__ import annotations

import pytest

from bus.clock import ManualClock
from bus.journal.journal import SqlJournal

FACTS: dict[str, object] = {
    "count": 0,
    "large": 2**63,
    "exact": 9_007_199_254_740_993,
    "negative": -(2**70),
    "share": 0.1,
    "tiny": 5e-324,
    "whole": 1.0,
    "yes": True,
    "nothing": None,
    "text": "倉敷　𠮷田 é e\u0301 \u2028 😀",
    "quoted": "\"'\\ %s :name {brace} \\u0041",
    "controls": "\t\r\n\x01\x7f",
    "nul": "a\x00b",
    "empty": "",
    "list": [1, [2.5, None, []], {}],
    "": {"名前": {"deep": [False]}},
}


class ValueLaws:
    """JSON, text and numbers."""

    def test_facts_come_back_as_they_were(self, journal: SqlJournal) -> None:
        made = journal.note("332020", "viewed", "s", FACTS)
        (read,) = journal.entries("332020")
        assert read == made
        assert dict(read.facts) == FACTS
        assert [type(value) for value in read.facts.values()] == [type(value) for value in FACTS.values()]
        assert list(read.facts) == list(FACTS), "in the order they were written"

    @pytest.mark.parametrize("subject", ["", "倉敷　𠮷田 e\u0301 😀", "\"'\\ %s %(x)s :name ?", " a ", "\t\r\n\x01\x7f", "x" * 100_000])
    def test_text_comes_back_as_it_was(self, journal: SqlJournal, subject: str) -> None:
        journal.note("332020", "viewed", subject, {})
        (read,) = journal.entries("332020", subject=subject)
        assert read.subject == subject

    def test_text_that_differs_is_not_the_same(self, journal: SqlJournal) -> None:
        """No collation folds case, width or composition; trailing spaces count."""
        for subject in ("a", "A", "ａ", "a ", "é", "e\u0301"):
            journal.note("332020", "viewed", subject, {})
            assert [entry.subject for entry in journal.entries("332020", subject=subject)] == [subject]

    def test_times_keep_their_microseconds(self, journal: SqlJournal, clock: ManualClock) -> None:
        clock.set_us(253_402_300_799_999_999)
        journal.note("332020", "viewed", "s", {})
        assert journal.entries("332020")[0].at_us == 253_402_300_799_999_999
