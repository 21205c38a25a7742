"""Deliveries through a whole node: retried when due, given up, released, skipped, sent again; each subscriber for itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.cli.exits import ExitCode, of_progress
from bus.clock import SystemClock
from bus.errors import NotFound, OperationRefused, SiteInvalid
from bus.message import FINISHED, Delivery, DeliveryState
from tests.node.small_city import (
    LABELS,
    City,
    csv,
    fixed,
    interface,
    people,
    person,
    running_city,
    subscription,
    until,
    write_city,
)

SOON = {"first_seconds": 0.01, "most_seconds": 0.01, "attempts": 2}
GIVEN_UP = DeliveryState.QUARANTINED
SETTLED = (*FINISHED, GIVEN_UP)
HOUR_US = 3600 * 1_000_000


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("city")
    interfaces = [
        interface("people", "csv_utf8", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv", rejects={"max_share": 0.5}),
        interface("others", "csv_utf8", "OTHERS_{business_date:%Y%m%d}_{sequence:03}.csv"),
    ]
    documents = "person_{business_date:%Y%m%d}_{sequence:03}_{document:05}.xml"
    subscriptions = [
        subscription("tax", "people", marker="{name}.end"),
        subscription("slow", "people", retry=SOON),
        subscription("slow_others", "others", retry=SOON),
        subscription("old", "people", "fixed"),
        subscription("ones", "people", filter={"fields": {"kind": {"eq": "1"}}}),
        subscription("papers", "people", "xml_by_3", file=documents, marker="{stem}.end"),
        subscription("past", "people", valid_until="2026-03-01"),
        subscription("future", "people", valid_from="2026-03-02"),
    ]
    write_city(folder, interfaces, subscriptions)
    with running_city(folder) as running:
        yield running


def send(city: City, records: list[dict[str, str]], day: str | None = None, *, of: str = "people", sequence: int = 1) -> str:
    """Have the records accepted; the message."""
    name = f"{of.upper()}_{(day or city.new_day()).replace('-', '')}_{sequence:03}.csv"
    receipt = city.send(of, name, csv(records, encoding="utf-8", titles=LABELS))
    assert receipt.outcome == "accepted", receipt.reason
    assert receipt.message is not None
    return receipt.message


def delivery(city: City, message: str, subscriber: str, within: tuple[DeliveryState, ...] = FINISHED) -> Delivery:
    """The newest delivery of the message to the subscriber, once it is in one of these states."""

    def found() -> Delivery | None:
        (newest,) = city.journal.deliveries(message=message, subscription=subscriber, limit=1)
        return newest if newest.state in within else None

    settled: Delivery = until(found, f"{message} to {subscriber} in {within}")
    return settled


def in_the_way(city: City, day: str, *, of: str = "slow", sequence: int = 1) -> Path:
    """A file that the receiver has not taken yet, under the name that the delivery will have."""
    path = city.folder / "out" / of / f"{of}_{day.replace('-', '')}_{sequence:03}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not yet taken")
    return path


def given_up(city: City, message: str, subscriber: str) -> Any:
    delivery(city, message, subscriber, (GIVEN_UP,))
    return next(entry for entry in city.quarantine(message=message, kind="given_up") if entry.subject == subscriber)


def test_given_up_then_released_then_delivered_while_the_others_have_theirs(city: City) -> None:
    day = city.new_day()
    blocked = in_the_way(city, day)
    message = send(city, people(30), day)
    entry = given_up(city, message, "slow")
    for subscriber in ("tax", "old", "ones", "papers"):
        assert delivery(city, message, subscriber).state is DeliveryState.DELIVERED
    stopped = delivery(city, message, "slow", (GIVEN_UP,))
    assert (stopped.attempts, entry.records) == (2, 30)
    assert "RNK5020E" in stopped.last_error
    assert str(blocked) in stopped.last_error
    assert blocked.read_bytes() == b"not yet taken"
    assert city.operations.quarantine_show(entry.id)["records"] == []
    blocked.unlink()
    city.operations.quarantine_release(entry.id)
    released = delivery(city, message, "slow")
    assert released.state is DeliveryState.DELIVERED
    assert blocked.read_bytes() == csv(people(30), encoding="utf-8", titles=LABELS)
    assert [one.state for one in city.journal.quarantine(message=message, state=None)] == ["released"]


def test_a_quarantined_head_holds_back_the_later_files_of_its_interface_and_subscription_only(city: City) -> None:
    day = city.new_day()
    blocked = in_the_way(city, day)
    first = send(city, people(3), day)
    entry = given_up(city, first, "slow")
    second = send(city, people(4), day, sequence=2)
    for subscriber in ("tax", "old", "ones", "papers"):
        delivery(city, second, subscriber)
    other = send(city, people(2), of="others")
    assert delivery(city, other, "slow_others").state is DeliveryState.DELIVERED
    waiting = delivery(city, second, "slow", (DeliveryState.DUE,))
    assert (waiting.attempts, waiting.fence) == (0, 0)
    city.operations.quarantine_skip(entry.id)
    assert delivery(city, second, "slow").state is DeliveryState.DELIVERED
    assert delivery(city, first, "slow").state is DeliveryState.SKIPPED
    assert blocked.read_bytes() == b"not yet taken"
    blocked.unlink()


def test_who_waits_for_a_file_is_told_when_only_a_person_can_move_it(city: City, tmp_path: Path) -> None:
    """A job scheduler's `intake --wait` ends, abnormally, although one delivery is still due."""
    day = city.new_day()
    blocked = in_the_way(city, day)
    entry = given_up(city, send(city, people(3), day), "slow")
    file = tmp_path / f"PEOPLE_{day.replace('-', '')}_002.csv"
    file.write_bytes(csv(people(4), encoding="utf-8", titles=LABELS))
    number = city.operations.submit(str(file))["intake"]
    progress = until(lambda: (look := city.operations.intake_progress(number))["finished"] and look, "finished")
    states = {one["subscription"]: one["state"] for one in progress["deliveries"]}
    assert states.pop("slow") == "due"
    assert set(states.values()) == {"delivered"}
    assert of_progress(progress) == ExitCode.ABNORMAL
    city.operations.quarantine_skip(entry.id)
    until(lambda: not any(one["state"] == "due" for one in city.operations.intake_progress(number)["deliveries"]), "delivered")
    progress = until(lambda: (look := city.operations.intake_progress(number))["finished"] and look, "finished")
    assert of_progress(progress) == ExitCode.NORMAL
    blocked.unlink()


def test_released_the_head_goes_before_those_behind_it(city: City) -> None:
    day = city.new_day()
    blocked = in_the_way(city, day)
    first = send(city, people(3), day)
    entry = given_up(city, first, "slow")
    second = send(city, people(4), day, sequence=2)
    blocked.unlink()
    city.operations.quarantine_release(entry.id)
    finished = [delivery(city, message, "slow").finished_at_us for message in (first, second)]
    assert finished == sorted(finished)
    assert delivery(city, first, "slow").number < delivery(city, second, "slow").number


def test_sent_again_to_one_subscriber_from_the_originals(city: City) -> None:
    records = [*people(60), person(1), person(61, kind="9")]
    message = send(city, records)
    for one in city.deliveries(message):
        assert one.state is DeliveryState.DELIVERED
    first = delivery(city, message, "tax")
    taken = {name: data for name, data in city.out("tax").items() if name.startswith(first.file_name)}
    assert len(taken) == 2
    for name in taken:
        (city.folder / "out" / "tax" / name).unlink()
    shutil.rmtree(city.node.parts.work.root, ignore_errors=True)  # the node tidies it at the same time
    again = city.operations.resend(message, "tax")["delivery"]
    assert again["number"] > first.number
    assert delivery(city, message, "tax").id == again["id"]
    assert {name: data for name, data in city.out("tax").items() if name.startswith(first.file_name)} == taken
    assert len(city.journal.deliveries(message=message, limit=100)) == len(city.journal.deliveries(message=message, subscription="tax")) + 5


def test_what_cannot_be_sent_again(city: City) -> None:
    day = city.new_day()
    blocked = in_the_way(city, day)
    message = send(city, people(3), day)
    entry = given_up(city, message, "slow")
    for wrong, subscriber, expected in (
        (message, "slow", OperationRefused),
        (message, "slow_others", OperationRefused),
        (message, "nobody", SiteInvalid),
        ("332020-m9999", "tax", NotFound),
    ):
        with pytest.raises(expected):
            city.operations.resend(wrong, subscriber)
    city.operations.quarantine_skip(entry.id)
    blocked.unlink()


def test_records_that_one_subscriber_cannot_hold_stand_in_quarantine_and_the_rest_arrives(city: City) -> None:
    records = people(60)
    for number in (7, 50):
        records[number - 1]["name"] = "𠮷野　家子"
    message = send(city, records)
    refused = delivery(city, message, "old")
    assert refused.state is DeliveryState.DELIVERED_WITH_REFUSALS
    assert (refused.taken_in.records, refused.out.records, refused.refused.records) == (60, 58, 2)
    assert refused.refused.sums["amount"] == 20
    assert city.out("old")[refused.file_name] == fixed([record for record in records if "𠮷" not in record["name"]])
    (entry,) = city.quarantine(message=message, kind="refused_records")
    assert (entry.delivery, entry.records) == (refused.id, 2)
    shown = city.operations.quarantine_show(entry.id)["records"]
    assert [(one["ordinal"], one["line"], one["broken"][0]["field"], one["broken"][0]["rule"]) for one in shown] == [
        (7, 8, "name", "unrepresentable"),
        (50, 51, "name", "unrepresentable"),
    ]
    assert "𠮷野" not in json.dumps(shown, ensure_ascii=False)
    assert delivery(city, message, "tax").out.records == 60


def test_a_filter_leaves_out_and_the_totals_say_so(city: City) -> None:
    records = [person(number, kind="2" if number % 3 else "1", amount=str(number)) for number in range(1, 61)]
    message = send(city, records)
    filtered = delivery(city, message, "ones")
    assert (filtered.taken_in.records, filtered.out.records, filtered.filtered.records) == (60, 20, 40)
    assert filtered.taken_in.sums["amount"] == filtered.out.sums["amount"] + filtered.filtered.sums["amount"] == 1830
    kept = [record for record in records if record["kind"] == "1"]
    assert city.out("ones")[filtered.file_name] == csv(kept, encoding="utf-8", titles=LABELS)


@pytest.mark.parametrize(("count", "expected"), [(7, [3, 3, 1]), (6, [3, 3]), (0, [0]), (61, [3] * 20 + [1])])
def test_xml_documents_of_so_many_records_each(city: City, count: int, expected: list[int]) -> None:
    message = send(city, people(count))
    written = delivery(city, message, "papers")
    beginning = written.file_name.partition("{")[0]
    documents = {name: data for name, data in city.out("papers").items() if name.startswith(beginning)}
    names = [f"{beginning}{number:05}.xml" for number in range(1, len(expected) + 1)]
    assert sorted(documents) == sorted([*names, f"{beginning}.end"])
    assert [documents[name].count(b"<Person>") for name in names] == expected
    assert [final for _, final in written.publication["renames"]] == [*names, f"{beginning}.end"]
    assert (written.out.records, written.bytes_out > 0) == (count, True)


def test_subscriptions_are_valid_from_and_until_a_business_date(city: City) -> None:
    who = {}
    for day in ("2026-03-01", "2026-03-02"):
        message = send(city, people(1), day, sequence=900)
        who[day] = {one.subscription for one in city.deliveries(message)} & {"past", "future"}
    assert who == {"2026-03-01": {"past"}, "2026-03-02": {"future"}}


def test_a_marker_says_how_many_records_its_file_has(city: City) -> None:
    message = send(city, people(12))
    written = delivery(city, message, "tax")
    assert city.out("tax")[f"{written.file_name}.end"] == f"{written.file_name},12\r\n".encode()


def test_a_retry_waits_for_its_time_across_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = {"first_seconds": 1e9, "most_seconds": 3000, "attempts": 9}
    write_city(
        tmp_path,
        [interface("people", "csv_utf8", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")],
        [subscription("slow", "people", retry=later), subscription("tax", "people")],
    )
    monkeypatch.setattr("bus.retry.Backoff.due_us", lambda _self, _attempt, now_us: now_us + HOUR_US)
    with running_city(tmp_path) as city:
        blocked = in_the_way(city, "2026-04-01")
        message = send(city, people(3), "2026-04-01")
        waiting = until(lambda: next((one for one in city.journal.deliveries(message=message, subscription="slow") if one.attempts), None))
        assert (waiting.state, waiting.attempts) == (DeliveryState.DUE, 1)
        delivery(city, message, "tax")
    blocked.unlink()
    with running_city(tmp_path) as city:
        second = send(city, people(2), "2026-04-02")
        delivery(city, second, "tax")
        still = city.journal.delivery(waiting.id)
        assert (still.state, still.attempts, still.due_at_us, still.fence) == (waiting.state, 1, waiting.due_at_us, waiting.fence)
        now_us = SystemClock.now_us
        monkeypatch.setattr(SystemClock, "now_us", lambda clock: now_us(clock) + HOUR_US)
        assert delivery(city, message, "slow").state is DeliveryState.DELIVERED
        assert delivery(city, second, "slow").state is DeliveryState.DELIVERED


@pytest.mark.parametrize("gone", ["subscription", "tenant"])
def test_what_is_configured_no_more_is_given_up_and_can_be_skipped(tmp_path: Path, gone: str) -> None:
    taken_from = [interface("people", "csv_utf8", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv")]
    often = {"first_seconds": 0.2, "most_seconds": 0.2, "attempts": 10_000}
    both = [subscription("slow", "people", retry=often), subscription("tax", "people")]
    write_city(tmp_path, taken_from, both)
    with running_city(tmp_path) as city:
        in_the_way(city, "2026-04-01")
        message = send(city, people(3), "2026-04-01")
        (slow,) = city.journal.deliveries(message=message, subscription="slow")
        until(lambda: city.journal.delivery(slow.id).attempts)
        delivery(city, message, "tax")
    if gone == "subscription":
        write_city(tmp_path, taken_from, both[1:])
    else:
        (tmp_path / "332020.yaml").write_text((tmp_path / "332020.yaml").read_text("utf-8").replace('"332020"', '"372013"'), "utf-8")
    with running_city(tmp_path) as city:
        entry = given_up(city, message, "slow")
        assert "RNK4020E" in city.journal.delivery(slow.id).last_error
        city.operations.quarantine_skip(entry.id)
        assert delivery(city, message, "slow").state is DeliveryState.SKIPPED


def test_work_files_go_when_nobody_waits_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.delivery_dispatch.TIDY_SECONDS", 0.0)
    taken_from = [
        interface("people", "csv_utf8", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv"),
        interface("others", "csv_utf8", "OTHERS_{business_date:%Y%m%d}_{sequence:03}.csv"),
    ]
    write_city(tmp_path, taken_from, [subscription("slow", "people", retry=SOON), subscription("tax", "people")])
    with running_city(tmp_path) as city:
        work = city.node.parts.work
        in_the_way(city, "2026-04-01")
        waiting = send(city, people(3), "2026-04-01")
        entry = given_up(city, waiting, "slow")
        delivered = send(city, people(3), "2026-04-02")
        delivery(city, delivered, "tax")
        nobodys = send(city, people(3), "2026-04-03", of="others")
        held = city.send("people", "PEOPLE_20260401_001.csv", csv(people(9), encoding="utf-8", titles=LABELS)).message
        until(lambda: nobodys not in work.messages())
        assert {waiting, held} <= set(work.messages())
        city.operations.quarantine_skip(entry.id)
        city.operations.quarantine_skip(city.quarantine(kind="held_revision")[0].id)
        until(lambda: not work.messages())
