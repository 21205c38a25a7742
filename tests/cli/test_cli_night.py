"""The commands about the night's work: what they ask for, what they show, and the exit code a job scheduler reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Night, Renkei, delivery, message, quarantine_entry

REFUSAL = json.dumps({"message_id": "RNK6006E", "facts": {"file": "part 2"}, "text": "no such file: part 2"})


def look(outcome: str, *, rejected: int = 0, states: tuple[str, ...] = ("delivered",)) -> dict[str, Any]:
    made = [delivery(number, subscription=f"s{number}", state=state) for number, state in enumerate(states, 1)]
    return {
        "stage": "deliver",
        "done": 1000,
        "total": 1000,
        "finished": True,
        "receipt": {"outcome": outcome, "reason": REFUSAL},
        "message": message(rejected=rejected),
        "deliveries": made,
    }


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    file = tmp_path / "JUMIN_20261119_001.csv"
    file.write_bytes(b"1\r\n")
    return file


@pytest.mark.parametrize(
    ("outcome", "rejected", "states", "code", "message_id"),
    [
        ("accepted", 0, ("delivered", "delivered"), 0, "RNK6011I"),
        ("accepted", 3, ("delivered",), 4, "RNK6012W"),
        ("accepted", 0, ("delivered", "delivered_with_refusals"), 4, "RNK6011I"),
        ("accepted", 0, ("delivered", "quarantined"), 8, "RNK6016E"),
        ("duplicate", 0, ("delivered",), 4, "RNK6013W"),
        ("held", 0, (), 4, "RNK6014W"),
        ("refused", 0, (), 8, "RNK6015E"),
    ],
)
def test_intake_waits_and_ends_as_the_file_did(
    renkei: Renkei, night: Night, dropped: Path, outcome: str, rejected: int, states: tuple[str, ...], code: int, message_id: str
) -> None:
    waiting = {"stage": "read", "done": 500, "total": 1000, "finished": False}
    night.looks = [waiting, waiting, look(outcome, rejected=rejected, states=states)]
    ended = renkei("intake", str(dropped), "--wait")
    assert ended.code == code, ended.err
    assert message_id in ended.out
    assert night.asked[0] == ("submit", str(dropped), None, None)


def test_a_refusal_is_told_in_the_language(renkei: Renkei, night: Night, dropped: Path) -> None:
    night.looks = [look("refused")]
    assert "RNK6006E ファイルがありません: part 2" in renkei("--lang=ja", "intake", str(dropped), "--wait").out


def test_a_duplicate_is_called_duplicate(renkei: Renkei, night: Night, dropped: Path) -> None:
    night.looks = [look("duplicate")]
    assert "duplicate" in renkei("intake", str(dropped), "--wait").out
    night.looks = [look("duplicate")]
    assert "重複" in renkei("--lang", "ja", "intake", str(dropped), "--wait").out


def test_a_duplicate_does_not_wait_for_earlier_deliveries(renkei: Renkei, night: Night, dropped: Path) -> None:
    night.looks = [{**look("duplicate", states=("due", "quarantined")), "finished": False}]
    ended = renkei("intake", str(dropped), "--wait", "--timeout-seconds", "5")
    assert ended.code == 4
    assert "RNK6016E" not in ended.out


def test_intake_without_wait_says_its_number(renkei: Renkei, night: Night, dropped: Path) -> None:
    ended = renkei("intake", str(dropped), "--interface", "resident", "--tenant", "332020")
    assert (ended.code, night.asked) == (0, [("submit", str(dropped), "resident", "332020")])
    assert "i1" in ended.out


def test_intake_in_json_is_json_alone(renkei: Renkei, night: Night, dropped: Path) -> None:
    night.looks = [{"stage": "read", "done": 1, "total": 9, "finished": False}] * 20 + [look("accepted")]
    ended = renkei("intake", str(dropped), "--wait", "--json")
    assert json.loads(ended.out)["message"]["id"] == "332020-m1"
    assert ended.err == ""


def test_intake_of_no_file_is_not_found(renkei: Renkei, night: Night, tmp_path: Path) -> None:
    ended = renkei("intake", str(tmp_path / "none.csv"))
    assert (ended.code, night.asked) == (5, [])
    assert "RNK6006E" in ended.err


def test_the_wait_can_run_out(renkei: Renkei, night: Night, dropped: Path) -> None:
    night.looks = [{"stage": "read", "done": 1, "total": 9, "finished": False}]
    ended = renkei("intake", str(dropped), "--wait", "--timeout-seconds", "5")
    assert ended.code == 6
    assert "RNK6007E" in ended.err


def test_progress_speaks_after_two_seconds_with_rate_and_time_left(renkei: Renkei, night: Night, dropped: Path) -> None:
    looks = [{"stage": "read", "done": done, "total": 1000, "finished": False} for done in range(0, 1000, 100)]
    night.looks = [*looks, look("accepted")]
    ended = renkei("intake", str(dropped), "--wait")
    assert "reading and validating: " in ended.err
    assert "/ 1,000" in ended.err
    assert "records/s" in ended.err
    assert "s left" in ended.err


def test_messages_ask_for_what_was_filtered(renkei: Renkei, night: Night) -> None:
    night.messages_held = [message(rejected=3)]
    ended = renkei("messages", "--tenant", "332020", "--interface", "resident", "--business-date", "2026-11-19", "--state", "accepted")
    assert night.asked == [("messages", "332020", "resident", "2026-11-19", "accepted", 100)]
    for shown in ("332020-m1", "2026-11-19", "1,000", "997", "JUMIN_20261119_001.csv"):
        assert shown in ended.out


@pytest.mark.parametrize(
    ("command", "key"), [(["messages"], "messages_held"), (["deliveries"], "deliveries_held"), (["quarantine", "list"], "quarantine_held")]
)
def test_every_list_has_json(renkei: Renkei, night: Night, command: list[str], key: str) -> None:
    rows = {"messages_held": [message()], "deliveries_held": [delivery()], "quarantine_held": [quarantine_entry()]}[key]
    setattr(night, key, rows)
    ended = renkei(*command, "--json")
    assert json.loads(ended.out) == rows


def test_an_empty_list_says_so(renkei: Renkei) -> None:
    assert renkei("deliveries").out.strip() == "nothing"
    assert json.loads(renkei("deliveries", "--json").out) == []


def test_trace_shows_one_message_end_to_end(renkei: Renkei, night: Night) -> None:
    night.messages_held = [message(rejected=3)]
    night.deliveries_held = [delivery(1), delivery(2, subscription="pension_resident", state="quarantined")]
    night.quarantine_held = [quarantine_entry()]
    ended = renkei("trace", "332020-m1")
    for shown in ("332020-m1", "ab" * 32, "1 / 1", "332020-r1", "pension_resident", "332020-q1", "records=1,000"):
        assert shown in ended.out


def test_an_unknown_message_is_not_found(renkei: Renkei) -> None:
    ended = renkei("trace", "332020-m9")
    assert ended.code == 5
    assert "RNK3001E" in ended.err


def test_values_are_never_cut(renkei: Renkei, night: Night) -> None:
    night.deliveries_held = [{**delivery(), "last_error": "RNK5011E " + "x" * 500}]
    shown = "".join(line.strip() for line in renkei("deliveries").out.splitlines())
    assert shown.count("x") >= 500
    assert "…" not in shown


def test_resend_goes_to_one_subscriber(renkei: Renkei, night: Night) -> None:
    ended = renkei("resend", "332020-m1", "tax_resident")
    assert night.asked == [("resend", "332020-m1", "tax_resident")]
    assert "332020-d9" in ended.out


def test_quarantine_is_shown_exported_released_and_skipped(renkei: Renkei, night: Night, tmp_path: Path) -> None:
    night.quarantine_held = [quarantine_entry()]
    shown = renkei("quarantine", "show", "332020-q1").out
    for part in ("2,104", "shimei", "required", "山＊＊"):
        assert part in shown
    target = tmp_path / "out.csv"
    assert str(target) in renkei("quarantine", "export", "332020-q1", str(target)).out
    assert "RNK6021I" in renkei("quarantine", "release", "332020-q1").out
    assert "RNK6022I" in renkei("quarantine", "skip", "332020-q1").out
    assert [name for name, *_ in night.asked] == ["quarantine_export", "quarantine_release", "quarantine_skip"]


def test_quarantine_lists_open_entries_unless_all_are_wanted(renkei: Renkei, night: Night) -> None:
    renkei("quarantine", "list", "--kind", "given_up")
    renkei("quarantine", "list", "--all")
    assert [asked[2:5:2] for asked in night.asked] == [("given_up", "open"), (None, None)]


def test_status_is_shown(renkei: Renkei) -> None:
    shown = renkei("status").out
    assert "setouchi" in shown
    assert "tax_resident" in shown
    assert json.loads(renkei("status", "--json").out)["site"] == "setouchi"
