"""The log: one line per record whatever stands in the facts, severity by id, text in the language asked for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from contracts.errors import RenkeiError
from contracts.messages import Language
from monitoring.foreign_log import take_over_logging
from monitoring.log import log, set_up_log, severity

AT = datetime(2026, 11, 19, 16, 30, tzinfo=UTC)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    set_up_log(zone=ZoneInfo("Asia/Tokyo"), stream=stream, now=lambda: AT)
    yield stream
    set_up_log()


def test_a_line_has_time_id_text_and_facts(lines: io.StringIO) -> None:
    log("RNK1006E", where="tenant.systems", key="id", event=1, facts=2)
    assert lines.getvalue() == (
        '2026-11-20T01:30:00+09:00 RNK1006E tenant.systems: the required key "id" is missing where=tenant.systems key=id event=1 facts=2\n'
    )


@pytest.mark.parametrize("hidden", ["\n", "\r\n", "\x1b[2J", "\x85", "\u2028", "\u2029"])
def test_nothing_in_a_fact_makes_a_second_line(lines: io.StringIO, hidden: str) -> None:
    log("RNK1006E", where=f"JUMIN{hidden}2026-11-20 RNK9999I all is well", key="id")
    assert len(lines.getvalue().splitlines()) == 1
    assert hidden not in lines.getvalue().removesuffix("\n")


def test_a_value_with_spaces_is_quoted(lines: io.StringIO) -> None:
    log("RNK1006E", where="a", key="住民 \"全件\".csv")
    assert lines.getvalue().rstrip().endswith('key="住民 \\"全件\\".csv"')


def test_json_and_japanese() -> None:
    stream = io.StringIO()
    set_up_log(language="ja", zone=UTC, as_json=True, stream=stream, now=lambda: AT)
    log("RNK1006E", where="a", key="id\n")
    set_up_log()
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record["id"] == "RNK1006E"
    assert record["severity"] == "error"
    assert "必要な項目" in record["text"]
    assert record["facts"] == {"where": "a", "key": "id\n"}


def test_severity_is_the_last_letter() -> None:
    assert [severity(message_id) for message_id in ("RNK4001I", "RNK4001W", "RNK4001E", "?")] == ["info", "warning", "error", "error"]


def test_an_error_among_the_facts_is_told_in_the_logs_language() -> None:
    stream = io.StringIO()
    set_up_log(language="ja", zone=UTC, as_json=True, stream=stream, now=lambda: AT)
    log("RNK4046W", tenant="332020", subscription="tax", delivery="332020-d1", reason=RenkeiError("RNK5012E", path="/out", error="EROFS"))
    set_up_log()
    record = json.loads(stream.getvalue())
    assert record["facts"]["reason"].startswith("RNK5012E /out は読み取り専用です")
    assert record["facts"]["reason"] in record["text"]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_an_error_that_the_text_tells_is_not_told_again(language: Language) -> None:
    stream = io.StringIO()
    set_up_log(language=language, zone=UTC, stream=stream, now=lambda: AT)
    log("RNK4208W", tenant="332020", endpoint="welfare", seconds=30, reason="RNK5601E endpoint welfare did not take the event (HTTP 500)")
    set_up_log()
    line = stream.getvalue()
    assert line.count("RNK5601E") == line.count("HTTP 500") == 1
    assert line.endswith(" tenant=332020 endpoint=welfare seconds=30\n")


@pytest.fixture
def libraries() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_what_libraries_log_is_one_line_of_ours_without_their_values(lines: io.StringIO, libraries: None) -> None:
    take_over_logging()
    try:
        raise ValueError("cannot parse 山田太郎")
    except ValueError as error:
        logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: 山田太郎 %s", "山田太郎", exc_info=error)
    logging.getLogger("some.library").warning("slow: %s", "山田太郎")
    logging.getLogger("some.library").info("all is well")
    first, second = lines.getvalue().splitlines()
    assert " RNK8021E asyncio met an error: Task exception was never retrieved (ValueError (test_log.py:" in first
    assert " RNK8020W some.library warns: slow: %s (-) " in second
    assert "山田" not in lines.getvalue()
