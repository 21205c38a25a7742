"""What a person at the command line is told: in their language, whole, and what goes on without a node."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len
from rich.console import Console

from bus.cli import show
from bus.cli.app import run
from bus.cli.link import Operations
from bus.cli.session import Session
from bus.example import write_example
from contracts.messages import Language
from contracts.synthetic.files import generate
from monitoring.log import set_up_log
from tests.cli.conftest import Night, Renkei, delivery, message, quarantine_entry

NOT_TAKEN = "RNK5020E out/tax/a.csv has not yet been taken by its receiver"


def test_the_version_is_told(renkei: Renkei, capsys: pytest.CaptureFixture[str]) -> None:
    assert renkei("--version").code == 0
    assert capsys.readouterr().out.startswith("renkei ")


@pytest.mark.parametrize(("language", "code"), [("fr", 2), ("english", 2), ("ja_JP.UTF-8", 0), ("en-GB", 0), ("JA", 0)])
def test_a_language_that_is_not_spoken_is_a_wrong_command_line(renkei: Renkei, language: str, code: int) -> None:
    assert renkei("--lang", language, "messages").code == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["messages", "--bogus"],
        ["messages", "--limit", "0"],
        ["messages", "--limit", "many"],
        ["messages", "--state", "wrong"],
        ["intake"],
        ["trace", "a", "b"],
        ["quarantine", "bogus"],
    ],
)
def test_a_wrong_command_line_is_told_in_japanese(renkei: Renkei, arguments: list[str]) -> None:
    ended = renkei("--lang", "ja", *arguments)
    assert ended.code == 2
    for english in ("Invalid", "Input should", "No such", "Value error", "Missing", "Got unexpected", "is not one of"):
        assert english not in ended.err


def test_errors_of_deliveries_are_told_in_the_language(renkei: Renkei, night: Night) -> None:
    night.deliveries_held = [{**delivery(state="due"), "last_error": NOT_TAKEN}]
    assert "has not yet been taken" in renkei("deliveries").out
    told = renkei("--lang", "ja", "deliveries").out
    assert "RNK5020E out/tax/a.csv は受け手がまだ取り込んでいません" in told


def test_an_entry_is_shown_with_its_reason_and_what_each_rule_means(renkei: Renkei, night: Night) -> None:
    reason = json.dumps({"message_id": "RNK1201E", "facts": {"path": "a.csv"}, "text": "the file is empty (0 bytes): a.csv"})
    counted = [{"field": "shimei", "rule": "required", "severity": "reject", "count": 3}]
    night.quarantine_held = [{**quarantine_entry(), "facts": {"reason": reason, "broken": counted, "earlier": "332020-m1"}}]
    told = renkei("--lang", "ja", "quarantine", "show", "332020-q1").out
    assert "RNK1201E ファイルが空です(0 バイト): a.csv" in told
    assert "message_id" not in told
    assert "氏名: 値がありません" in told
    assert "先に受け取ったメッセージ" in told
    assert "count=" not in told


def test_an_event_that_could_not_be_taken_is_shown_with_every_broken_rule(renkei: Renkei, night: Night) -> None:
    broken = [{"field": "atenabango", "rule": "length"}, {"field": "shimei", "rule": "required"}]
    reason = json.dumps({"message_id": "RNK4304E", "facts": {"contract": "moved-in@1.0", "count": 2}, "broken": broken})
    night.quarantine_held = [{**quarantine_entry(kind="poison"), "facts": {"reason": reason, "interface": "moved_in"}}]
    told = renkei("quarantine", "show", "332020-q1").out
    assert "RNK4304E the event breaks its contract moved-in@1.0 (2 rules)" in told
    assert re.search(r"atenabango +length", told)
    assert re.search(r"shimei +required", told)


@pytest.mark.parametrize(("error", "code", "told"), [("", 0, "released 3 deliveries of tax"), ("the disk is full", 8, "the disk is full")])
def test_releasing_all_waits_for_its_end(
    renkei: Renkei, night: Night, monkeypatch: pytest.MonkeyPatch, error: str, code: int, told: str
) -> None:
    monkeypatch.setattr("bus.cli.quarantine.time.sleep", lambda seconds: None)
    look = {"operation": "332020-o1", "released": 3, "finished": False, "error": ""}
    night.looks = [look, look, {**look, "finished": True, "error": error}]
    ended = renkei("quarantine", "release-all", "--tenant", "332020", "--subscription", "tax")
    assert (ended.code, told in ended.out + ended.err) == (code, True)
    assert night.asked.count(("operation_progress", "332020-o1")) == 3


def test_a_time_in_the_journal_is_shown_as_a_time() -> None:
    facts = {"attempts": 1, "due_at_us": 1_795_168_435_956_146}
    assert show.cell(facts, "en", UTC) == "failed attempts=1, next attempt=2026-11-20 09:53:55+00:00"


@pytest.mark.parametrize(
    ("time", "shown"),
    [("2026-11-20T09:53:02.091Z", "2026-11-20 18:53:02+09:00"), ("2026-11-20T23:59:60Z", "2026-11-20T23:59:60Z"), (None, "")],
)
def test_the_time_of_an_event_is_shown_in_the_sites_zone(time: str | None, shown: str) -> None:
    assert show.cell(show.written(time), "en", ZoneInfo("Asia/Tokyo")) == shown


def test_totals_are_shown_as_figures(renkei: Renkei, night: Night) -> None:
    night.messages_held = [message()]
    trace = renkei("trace", "332020-m1").out
    assert "sums=" not in trace


def test_status_says_whether_a_node_runs(renkei: Renkei) -> None:
    assert "running" in renkei("status").out
    assert json.loads(renkei("status", "--json").out)["runs"] is True


@pytest.fixture
def _own_log() -> Iterator[None]:
    """The log, set up anew by commands of this process, is given back a stream that stays open."""
    yield
    set_up_log(stream=io.StringIO())


@pytest.mark.usefixtures("_own_log")
def test_without_a_node_a_file_is_taken_in_before_the_command_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site, file = tmp_path / "site", tmp_path / "JUMIN_20261119_001.csv"
    write_example(site)
    generate("resident@1.0", "mainframe_csv", file, records=50, seed=1, bad_share=0.0, business_date="2026-11-19")
    at_site = {"RENKEI_SITE": str(site)}
    assert run(["intake", str(file), "--json"], at_site) == 0
    assert json.loads(capsys.readouterr().out)["message"]["state"] == "accepted"
    assert list((site / "var" / "submitted").iterdir()) == []
    assert run(["status", "--json"], at_site) == 0
    assert json.loads(capsys.readouterr().out)["runs"] is False


def test_a_narrow_terminal_breaks_no_id_and_no_name(night: Night, tmp_path: Path) -> None:
    night.deliveries_held = [{**delivery(), "file_name": "resident_332020_20261119_001.csv"}]
    night.messages_held = [message()]

    @contextmanager
    def opens(folder: Path, language: Language) -> Iterator[Operations]:
        yield night

    for command, whole in (("deliveries", "resident_332020_20261119_001.csv"), ("messages", "JUMIN_20261119_001.csv")):
        out = io.StringIO()
        session = Session("ja", tmp_path, out=Console(file=out, width=80, highlight=False), opens=opens)
        assert run(["--lang", "ja", command], {}, session) == 0
        assert whole in out.getvalue()
        assert "332020-m1" in out.getvalue()
        assert max(cell_len(line) for line in out.getvalue().splitlines()) <= 80
