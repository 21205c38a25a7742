"""The demonstration, run whole as a new user runs it, with few records; and its proof, which must be able to fail."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bus.cli.demo_event import TYPE, newcomer, show_move_in
from bus.cli.demo_night import agrees, prepare
from bus.cli.exits import NothingThere
from bus.cli.session import Session
from contracts.record_validator import RecordValidator
from contracts.registry import Registry
from tests.cli.api_double import Answer, serving
from tests.cli.conftest import delivery, message, totals


@pytest.mark.slow
@pytest.mark.parametrize(("language", "word"), [("en", "duplicate"), ("ja", "重複")])
def test_a_night_is_shown_from_the_drop_to_the_duplicate(tmp_path: Path, language: str, word: str) -> None:
    command = [str(Path(sys.executable).with_name("renkei")), "--lang", language, "demo", "--records", "2000", "--bad-share", "0.01"]
    environment = {**os.environ, "COLUMNS": "80"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for shown in ("csv_utf8", "mainframe_fixed", "xml", "2,000", "1,980", word, "RNK6051I", "RNK6053I", "+09:00"):
        assert shown in ended.stdout
    after = ended.stdout.partition("RNK6150I")[2]
    for shown in ("tax_moved_in", "welfare_moved_in", "332020-m2", TYPE, "RNK6151I"):
        assert shown in after
    written = [Path(path) for path in re.findall(r"^  [a-z_]+: (/.*)$", ended.stdout, re.MULTILINE)]
    assert len(written) == 3
    assert all(path.stat().st_size > 0 and path.is_relative_to(tmp_path) for path in written)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_newcomer_is_a_good_record_that_every_subscriber_gets() -> None:
    record = newcomer("332020", "2026-11-20")
    contract = Registry.load().contract("resident@1.0")
    assert RecordValidator(contract).check(record) == []
    assert (record["jumin_jotai"], record["ido_jiyu"], record["ido_ymd"]) == ("1", "01", "2026-11-20")
    assert all(record.values())


class _Asked:
    """What a node would answer of the move-in."""

    def __init__(self, deliveries: list[dict[str, Any]]) -> None:
        self.deliveries = deliveries

    def trace(self, message_id: str) -> dict[str, Any]:
        shown = {"id": "e", "source": "/r", "type": TYPE, "time": "", "subject": "", "expires_at_us": None, "in_reply_to": None}
        return {"message": message(2, records=1), "event": shown, "deliveries": self.deliveries, "quarantine": [], "entries": []}


@pytest.mark.parametrize(
    ("fetched", "acknowledged", "states", "reached"),
    [
        (1, "delivered", ["delivered", "delivered"], True),
        (0, "delivered", ["delivered", "delivered"], False),
        (1, "stale", ["delivered", "delivered"], False),
        (1, "delivered", ["delivered", "claimed"], False),
    ],
)
def test_the_move_in_must_have_reached_both(
    tmp_path: Path, fetched: int, acknowledged: str, states: list[str], reached: bool
) -> None:
    place = prepare(tmp_path / "site")
    lent = {"delivery": "332020-d4", "fence": 1, "number": 1, "attempt": 1, "event": {}}
    answers: dict[str, list[Answer]] = {
        "events": [(202, {"message": "332020-m2", "outcome": "accepted"}, {})],
        "pull": [(200, {"events": [lent] * fetched}, {})],
        "ack": [(200, {"results": [{"outcome": acknowledged}]}, {})],
    }
    out, clock = io.StringIO(), iter(range(1_000_000))
    session = Session("en", place.site.folder, out=Console(file=out, width=400), now=lambda: float(next(clock)))
    rows = [{**delivery(number, state=state), "number": 1, "system": "010"} for number, state in enumerate(states)]
    with serving(answers) as api:
        left = place.site.folder / "var" / "api.port"
        left.parent.mkdir(exist_ok=True)
        left.write_text(str(api.port), "ascii")
        assert show_move_in(session, place, _Asked(rows)) is reached  # type: ignore[arg-type]
    assert ("RNK6151I" in out.getvalue(), "RNK6152E" in out.getvalue()) == (reached, not reached)
    assert json.loads(api.asked[0].body)["ido_jiyu"] == "01"


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(NothingThere):
        prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("a record was lost", {"out": totals(999)}),
    ("a record was doubled", {"out": totals(1001)}),
    ("less was taken in than was good", {"taken_in": totals(999), "out": totals(999)}),
    ("a sum disagrees", {"taken_in": totals(1000, tax="100"), "out": totals(1000, tax="99")}),
    ("not delivered", {"state": "quarantined"}),
]


@pytest.mark.parametrize(("why", "change"), WRONG, ids=[why for why, _ in WRONG])
def test_the_proof_fails_when(tmp_path: Path, why: str, change: dict[str, Any]) -> None:
    file = tmp_path / "out.csv"
    file.touch()
    assert agrees(message(), delivery(), file)
    assert not agrees(message(), {**delivery(), **change}, file)


def test_the_proof_wants_the_file(tmp_path: Path) -> None:
    assert not agrees(message(), delivery(), tmp_path / "gone.csv")


def test_the_proof_counts_rejected_records(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.touch()
    assert agrees(message(rejected=3), delivery(records=997), file)
    assert not agrees({**message(rejected=3), "records": 1001}, delivery(records=997), file)
