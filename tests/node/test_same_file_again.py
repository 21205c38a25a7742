"""The same identity again: duplicates, revisions held or accepted, refused files tried anew, and what a crash left half told."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.files.source import FilesSource
from bus.errors import OperationRefused
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState
from tests.node.small_city import City, csv, interface, people, person, reason, running_city, subscription, until, write_city


def build(folder: Path) -> None:
    interfaces = [
        interface("held", "csv_cp932", "HELD_{business_date:%Y%m%d}_{sequence:03}.csv"),
        interface("open", "csv_cp932", "OPEN_{business_date:%Y%m%d}_{sequence:03}.csv", on_revision="accept"),
        interface("still", "csv_cp932", "STILL_{business_date:%Y%m%d}.csv"),
    ]
    named = "{business_date:%Y%m%d}_{sequence:03}_{revision}.csv"
    subscriptions = [
        subscription("held_tax", "held", file=f"held_{named}"),
        subscription("open_tax", "open", file=f"open_{named}"),
        subscription("still_tax", "still"),
    ]
    write_city(folder, interfaces, subscriptions, drops={"still": {"marker": None, "stable_seconds": 0.2}})


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, log: io.StringIO) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("city")
    build(folder)
    with running_city(folder) as running:
        yield running


def name_of(of: str, day: str, sequence: int = 1) -> str:
    return f"{of.upper()}_{day.replace('-', '')}_{sequence:03}.csv"


def test_the_same_file_again_is_a_duplicate_and_changes_nothing(city: City) -> None:
    name = name_of("held", city.new_day())
    first = city.send("held", name, csv(people(3)))
    (delivery,) = city.deliveries(first.message)
    published = (city.folder / "out" / "held_tax" / delivery.file_name).stat()
    again = city.send("held", name, csv(people(3)))
    assert (again.outcome, again.message) == ("duplicate", first.message)
    assert city.deliveries(first.message) == [delivery]
    now = (city.folder / "out" / "held_tax" / delivery.file_name).stat()
    assert (now.st_ino, now.st_mtime_ns) == (published.st_ino, published.st_mtime_ns)


def test_the_same_bytes_on_another_day_are_another_file(city: City) -> None:
    messages = [city.send("held", name_of("held", city.new_day()), csv([])).message for _ in range(2)]
    assert len(set(messages)) == 2


def test_a_refused_file_is_tried_anew_when_it_is_dropped_again(city: City) -> None:
    name, wrong = name_of("held", city.new_day()), csv([person(number, kind="9") for number in range(4)])
    first = city.send("held", name, wrong)
    again = city.send("held", name, wrong)
    assert (first.outcome, again.outcome) == ("refused", "refused")
    assert first.message != again.message
    refused = city.folder / "drop" / "held" / "refused"
    assert (refused / name).read_bytes() == (refused / f"{name}.2").read_bytes() == wrong
    right = city.send("held", name, csv(people(4)))
    assert right.outcome == "accepted"
    (delivery,) = city.deliveries(right.message)
    assert delivery.state is DeliveryState.DELIVERED
    assert city.journal.message(right.message).corrects is None


def test_a_revision_is_held_then_released_and_delivered_as_a_correction(city: City) -> None:
    name = name_of("held", city.new_day())
    first = city.send("held", name, csv(people(3)))
    revised = city.send("held", name, csv(people(5)))
    assert revised.outcome == "held"
    assert reason(revised)["facts"]["earlier"] == first.message
    assert city.journal.deliveries(message=revised.message) == ()
    assert city.send("held", name, csv(people(5))).outcome == "duplicate"
    (entry,) = city.quarantine(message=revised.message, kind="held_revision")
    assert city.operations.quarantine_show(entry.id)["records"] == []
    released = city.operations.quarantine_release(entry.id)
    assert released["entry"]["state"] == "released"
    (delivery,) = city.deliveries(revised.message)
    message = city.journal.message(revised.message)
    assert (message.state, message.corrects, message.revision) == ("accepted", first.message, 2)
    assert city.out("held_tax")[delivery.file_name] == csv(people(5), encoding="utf-8", titles="番号,氏名,種別,年月日,金額\r\n")
    assert delivery.file_name.endswith("_2.csv")
    assert len(city.operations.quarantine_release(entry.id)["deliveries"]) == 1
    assert len(city.deliveries(revised.message)) == 1


def test_a_held_revision_that_is_skipped_is_refused(city: City) -> None:
    name = name_of("held", city.new_day())
    city.send("held", name, csv(people(3)))
    revised = city.send("held", name, csv(people(4)))
    (entry,) = city.quarantine(message=revised.message, kind="held_revision")
    city.operations.quarantine_skip(entry.id)
    assert city.journal.message(revised.message).state == "refused"
    with pytest.raises(OperationRefused):
        city.operations.quarantine_release(entry.id)
    assert city.send("held", name, csv(people(4))).outcome == "held"


def test_rejected_records_are_released_when_a_corrected_file_is_accepted(city: City) -> None:
    name = name_of("open", city.new_day())
    first = city.send("open", name, csv([*people(30), person(31, kind="9")]))
    (entry,) = city.quarantine(message=first.message, kind="rejected_records")
    with pytest.raises(OperationRefused, match="RNK3012E"):
        city.operations.quarantine_release(entry.id)
    mended = city.send("open", name, csv(people(31)))
    assert city.journal.message(mended.message).corrects == first.message
    assert city.operations.quarantine_release(entry.id)["entry"]["state"] == "released"
    assert [delivery.out.records for delivery in city.deliveries(mended.message)] == [31]


def test_a_revision_may_be_accepted_at_once(city: City) -> None:
    name = name_of("open", city.new_day())
    first = city.send("open", name, csv(people(3)))
    revised = city.send("open", name, csv(people(2)))
    assert revised.outcome == "accepted"
    assert city.journal.message(revised.message).corrects == first.message
    (delivery,) = city.deliveries(revised.message)
    assert delivery.state is DeliveryState.DELIVERED
    (earlier,) = city.deliveries(first.message)
    assert {earlier.file_name, delivery.file_name} <= city.out("open_tax").keys()


def test_without_a_marker_a_file_is_taken_when_it_stands_still_and_nobody_writes(city: City, log: io.StringIO) -> None:
    name = f"STILL_{city.new_day().replace('-', '')}.csv"
    data = csv(people(200))
    path = city.folder / "drop" / "still" / name
    with path.open("wb", buffering=0) as file:
        file.write(data[:1000])
        until(lambda: any("RNK5035I" in line and name in line for line in log.getvalue().splitlines()))
        looks = log.getvalue().count("\n")
        other = f"STILL_{city.new_day().replace('-', '')}.csv"
        city.drop("still", other, csv(people(2)), marker=False)
        until(lambda: city.receipts(other))
        assert looks
        assert not city.receipts(name)
        file.write(data[1000:])
    receipt = until(lambda: city.receipts(name))[0]
    assert receipt.bytes == len(data)
    assert city.deliveries(receipt.message)[0].out.records == 200


def test_a_file_written_to_while_it_is_read_is_refused(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    name, data = name_of("held", city.new_day()), csv(people(200))
    original, written = SqlJournal.begin, threading.Event()

    def begin_and_write(journal: SqlJournal, new: Any) -> Any:
        begun = original(journal, new)
        if new.file_name == name and not written.is_set():
            (claimed,) = (city.folder / "drop" / "held" / "claimed").glob(f"*/{name}")
            with claimed.open("ab") as file:
                file.write(b"more\r\n")
            written.set()
        return begun

    monkeypatch.setattr(SqlJournal, "begin", begin_and_write)
    receipt = city.send("held", name, data)
    assert written.is_set()
    assert (receipt.outcome, reason(receipt)["message_id"]) == ("refused", "RNK4018E")
    assert reason(receipt)["facts"]["before"] == len(data)
    city.goes_on("held", name, data, "held_tax")


def test_what_the_product_stumbles_over_is_set_aside_and_the_node_goes_on(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    name = name_of("held", city.new_day())

    def stumble(file: str, *_: object) -> None:
        if file == name:
            raise ZeroDivisionError("山田")

    monkeypatch.setattr("bus.intake.check_declared", stumble)
    receipt = city.send("held", name, csv(people(3)))
    assert (receipt.outcome, reason(receipt)["message_id"]) == ("refused", "RNK4023E")
    assert reason(receipt)["facts"]["kind"] == "ZeroDivisionError"
    assert "山田" not in receipt.reason
    city.goes_on("held", name_of("held", city.new_day()), csv(people(3)), "held_tax")


def test_a_file_that_cannot_be_decided_upon_now_holds_up_no_other(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, other = name_of("held", city.new_day()), name_of("held", city.new_day())
    original, mended = SqlJournal.begin, threading.Event()

    def begin(journal: SqlJournal, new: Any) -> Any:
        if new.file_name == stuck and not mended.is_set():
            raise OSError(5, "Input/output error")
        return original(journal, new)

    monkeypatch.setattr(SqlJournal, "begin", begin)
    city.drop("held", stuck, csv(people(3)))
    city.drop("held", other, csv(people(3)))
    until(lambda: city.receipts(other))
    assert not city.receipts(stuck)
    mended.set()
    assert until(lambda: city.receipts(stuck))[0].outcome == "accepted"


@pytest.mark.parametrize("outcome", ["accepted", "duplicate", "held", "refused", "unread"])
def test_a_crash_before_the_source_is_told_gives_one_receipt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str) -> None:
    build(tmp_path)
    name = "unknown.csv" if outcome == "unread" else "HELD_20260401_001.csv"
    data = csv([person(1, kind="9")]) if outcome == "refused" else csv(people(3))
    with running_city(tmp_path) as city:
        if outcome in ("duplicate", "held"):
            city.send("held", name, data if outcome == "duplicate" else csv(people(2)))
        before = len(city.receipts(name))
        with monkeypatch.context() as crashing:
            for method in ("accepted", "refused"):
                crashing.setattr(FilesSource, method, _never)
            city.drop("held", name, data)
            until(lambda: len(city.receipts(name)) > before)
            node_messages = city.journal.messages()
    with running_city(tmp_path) as city:
        until(lambda: not list((tmp_path / "drop" / "held" / "claimed").iterdir()))
        receipts = city.receipts(name)
        assert len(receipts) == before + 1
        assert receipts[0].outcome == {"unread": "refused"}.get(outcome, outcome)
        assert [message.id for message in city.journal.messages()] == [message.id for message in node_messages]
        kept = list((tmp_path / "drop" / "held" / "refused").glob(name))
        assert len(kept) == (outcome in ("refused", "unread"))
        assert len(city.quarantine(kind="refused_file")) == len(kept)
        if kept:
            assert json.loads(kept[0].with_name(f"{name}.reason.json").read_bytes())["message_id"] == reason(receipts[0])["message_id"]


def _never(*_: object, **__: object) -> None:
    raise OSError(5, "the node ends here")


def test_a_crash_between_refusing_and_the_receipt_refuses_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path)
    name, data = "HELD_20260401_001.csv", csv([person(1, kind="9")])
    with running_city(tmp_path) as city, monkeypatch.context() as crashing:
        crashing.setattr(SqlJournal, "receipt", _never)
        city.drop("held", name, data)
        until(lambda: city.quarantine(kind="refused_file"))
    with running_city(tmp_path) as city:
        (receipt,) = until(lambda: city.receipts(name))
        until(lambda: not list((tmp_path / "drop" / "held" / "claimed").iterdir()))
        (message,) = city.journal.messages()
        assert (receipt.message, message.state) == (message.id, "refused")
        assert len(city.quarantine(kind="refused_file")) == 1
        assert (tmp_path / "drop" / "held" / "refused" / name).read_bytes() == data
        again = city.send("held", name, data)
        assert (again.outcome, again.message == message.id) == ("refused", False)
