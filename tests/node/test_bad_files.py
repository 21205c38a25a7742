"""Bad input, whole files and single records: the node goes on, nothing good is lost, and the operator sees file, line, field and byte."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.node.small_city import (
    LABELS,
    City,
    csv,
    fixed,
    interface,
    people,
    person,
    reason,
    running_city,
    subscription,
    summed,
    until,
    write_city,
)

HALF = {"max_share": 0.5}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, log: io.StringIO) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("city")
    interfaces = [
        interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_{sequence:03}.csv", rejects=HALF),
        interface("utf8", "csv_utf8", "住民 一覧_{business_date:%Y%m%d}_{sequence:03}.csv", rejects=HALF),
        interface("summed", "summed", "SUM{business_date:%y%m%d}{sequence:03}.csv", rejects=HALF),
        interface("headed", "summed", "HEADED_{sequence:03}.csv", rejects=HALF),
        interface("fixed", "fixed", "FIXED{business_date:%y%m%d}{sequence:03}.DAT", rejects=HALF),
        interface("strict", "csv_cp932", "STRICT_{business_date:%Y%m%d}.csv", rejects={"policy": "reject_file"}),
        interface("share", "csv_cp932", "SHARE_{business_date:%Y%m%d}.csv", rejects={"max_share": 0.25}),
        interface("few", "csv_cp932", "FEW_{business_date:%Y%m%d}.csv", rejects={"max_share": 1, "max_records": 1}),
    ]
    write_city(folder, interfaces, [subscription(f"{one['id']}_tax", one["id"]) for one in interfaces])
    with running_city(folder) as running:
        yield running


def name_of(of: str, day: str, sequence: int = 1) -> str:
    long, short = day.replace("-", ""), day.replace("-", "")[2:]
    return {
        "people": f"PEOPLE_{long}_{sequence:03}.csv",
        "utf8": f"住民 一覧_{long}_{sequence:03}.csv",
        "summed": f"SUM{short}{sequence:03}.csv",
        "headed": f"HEADED_{sequence:03}.csv",
        "fixed": f"FIXED{short}{sequence:03}.DAT",
        "strict": f"STRICT_{long}.csv",
        "share": f"SHARE_{long}.csv",
        "few": f"FEW_{long}.csv",
    }[of]


def assert_refused(city: City, of: str, name: str, data: bytes, message_id: str) -> dict[str, Any]:
    """The file is refused for that reason, told in every place where an operator looks; nothing of it is delivered; the next one goes on.
    Returns the reason's facts."""
    receipt = city.send(of, name, data)
    assert (receipt.outcome, reason(receipt)["message_id"]) == ("refused", message_id), receipt.reason
    aside = city.folder / "drop" / of / "refused"
    assert (aside / name).read_bytes() == data
    assert json.loads((aside / f"{name}.reason.json").read_bytes())["message_id"] == message_id
    assert message_id in (aside / f"{name}.reason.txt").read_text("utf-8")
    assert aside.stat().st_mode & 0o777 == 0o700
    entry = next(found for found in city.quarantine(kind="refused_file") if found.subject == name)
    shown = city.operations.quarantine_show(entry.id)
    assert json.loads(shown["entry"]["facts"]["reason"])["facts"] == reason(receipt)["facts"]
    if receipt.message is not None:
        assert city.journal.deliveries(message=receipt.message) == ()
    day = city.new_day()
    if of != "headed":
        good = {"utf8": csv(people(3), encoding="utf-8", titles=LABELS), "summed": summed(people(3), day), "fixed": fixed(people(3))}
        city.goes_on(of, name_of(of, day), good.get(of, csv(people(3))), f"{of}_tax")
    facts: dict[str, Any] = reason(receipt)["facts"]
    return facts


def assert_rejected(city: City, of: str, data: bytes, expected: list[tuple[int, int, int, str, str]], good: int) -> str:
    """Exactly these records (ordinal, line, byte, field, rule) are rejected and shown; the good ones arrive. Returns the message."""
    day = city.new_day()
    receipt = city.send(of, name_of(of, day), data)
    assert receipt.outcome == "accepted", receipt.reason
    assert receipt.message is not None
    shown = [
        (record["ordinal"], record["line"], rule["byte"], rule["field"], rule["rule"])
        for record in city.broken(receipt.message)
        for rule in record["broken"]
    ]
    assert shown == expected
    (delivery,) = city.deliveries(receipt.message)
    assert delivery.out.records == good
    lines = city.out(f"{of}_tax")[delivery.file_name].decode("utf-8").splitlines()
    assert len(lines) == good + 1
    return receipt.message


def test_0_bytes(city: City) -> None:
    facts = assert_refused(city, "people", name_of("people", city.new_day()), b"", "RNK1201E")
    assert facts["path"].startswith("PEOPLE_")


def test_a_header_and_nothing_else_is_a_file_without_records(city: City) -> None:
    receipt = city.send("people", name_of("people", city.new_day()), csv([]))
    assert receipt.outcome == "accepted"
    (delivery,) = city.deliveries(receipt.message)
    assert city.out("people_tax")[delivery.file_name] == LABELS.encode()


def test_a_truncated_last_record(city: City) -> None:
    data = csv(people(40))
    last = data.rindex(b"\r\n", 0, -2) + 2
    assert_rejected(city, "people", data[:-14], [(40, 41, last, "", "truncated")], 39)


def test_a_last_record_without_its_newline_is_whole(city: City) -> None:
    receipt = city.send("people", name_of("people", city.new_day()), csv(people(3))[:-2])
    (delivery,) = city.deliveries(receipt.message)
    assert delivery.out.records == 3


def test_a_truncated_file_with_a_trailer(city: City) -> None:
    day = city.new_day()
    facts = assert_refused(city, "summed", name_of("summed", day), summed(people(30), day)[:-20], "RNK1205E")
    assert facts["byte"] > 0


def test_a_wrong_record_length(city: City) -> None:
    data = fixed(people(40))
    assert_rejected(city, "fixed", data[:70] + data[75:], [(2, 2, 62, "", "record_length")], 39)


def test_a_truncated_fixed_length_file(city: City) -> None:
    assert_rejected(city, "fixed", fixed(people(40))[:-30], [(40, 40, 39 * 62, "", "truncated")], 39)


def test_mixed_newlines(city: City) -> None:
    data = csv(people(5)).replace(b",10\r\n000003", b",10\n000003")
    end = data.index(b",10\n000003") + 3
    assert_rejected(city, "people", data, [(2, 3, end, "", "newline")], 4)


def test_a_nul(city: City) -> None:
    data = csv(people(5)).replace("倉敷　３郎".encode("cp932"), "倉敷\0３郎".encode("cp932"))
    assert_rejected(city, "people", data, [(3, 4, data.index(b"\0"), "name", "control_character")], 4)


def test_utf8_where_cp932_is_agreed(city: City) -> None:
    facts = assert_refused(city, "people", name_of("people", city.new_day()), csv(people(9), encoding="utf-8"), "RNK4017E")
    assert (facts["rejected"], facts["records"]) == (9, 9)
    entry = next(one for one in city.quarantine(kind="refused_file") if one.records == 9)
    first = city.operations.quarantine_show(entry.id)["records"][0]
    assert (first["line"], first["broken"][0]["field"], first["broken"][0]["rule"]) == (2, "name", "undecodable")
    assert first["broken"][0]["byte"] > first["byte"]


def test_cp932_where_utf8_is_agreed(city: City) -> None:
    data = csv(people(9), titles=LABELS).replace(LABELS.encode("cp932"), LABELS.encode("utf-8"))
    facts = assert_refused(city, "utf8", name_of("utf8", city.new_day()), data, "RNK4017E")
    assert facts["rejected"] == 9


def test_titles_of_another_contract(city: City) -> None:
    data = csv(people(5), titles="number,name,sex,day,amount\r\n")
    facts = assert_refused(city, "people", name_of("people", city.new_day()), data, "RNK1203E")
    assert (facts["column"], facts["expected"], facts["found"]) == (3, "kind", "sex")


def test_duplicate_keys_across_chunks(city: City) -> None:
    records = [*people(100), person(1, kind="2"), person(60)]
    data = csv(records)
    ends = [position + 2 for position in range(len(data)) if data.startswith(b"\r\n", position)]
    message = assert_rejected(
        city,
        "people",
        data,
        [(101, 102, ends[100], "number", "duplicate_key"), (102, 103, ends[101], "number", "duplicate_key")],
        100,
    )
    assert len(city.journal.chunks(message)) > 2
    (entry,) = city.quarantine(message=message)
    assert entry.records == 2


def test_every_broken_rule_names_line_field_and_byte_with_values_masked(city: City) -> None:
    records = [person(1), person(2, kind="9"), person(3, day="2026-02-30", amount="1x"), person(4, name=""), person(5), person(6)]
    data = csv(records)
    message = assert_rejected(
        city,
        "people",
        data,
        [
            (2, 3, data.index(b",9,") + 1, "kind", "codes"),
            (3, 4, data.index(b"2026-02-30"), "day", "type"),
            (3, 4, data.index(b"1x"), "amount", "type"),
            (4, 5, data.index(b"000004,,") + 7, "name", "required"),
        ],
        3,
    )
    lettered = csv([*people(3), {**person(4), "number": "12x456"}])
    wrong = assert_rejected(city, "people", lettered, [(4, 5, len(csv(people(3))), "number", "pattern")], 3)
    (record,) = city.broken(wrong)
    assert "12x456" not in json.dumps(record)
    assert city.journal.message(message).broken


def test_a_trailer_that_agrees(city: City) -> None:
    day = city.new_day()
    receipt = city.send("summed", name_of("summed", day), summed([person(1), person(2, amount="-25")], day))
    assert receipt.outcome == "accepted"
    assert city.journal.message(receipt.message).declared["sum.amount"] == "-15"


@pytest.mark.parametrize(
    ("wrong", "what", "declared", "found"), [({"count": 31}, "count", "31", "30"), ({"amount": 299}, "sum.amount", "299", "300")]
)
def test_a_trailer_that_disagrees(city: City, wrong: dict[str, int], what: str, declared: str, found: str) -> None:
    day = city.new_day()
    facts = assert_refused(city, "summed", name_of("summed", day), summed(people(30), day, **wrong), "RNK4016E")
    assert (facts["what"], facts["declared"], facts["found"]) == (what, declared, found)
    assert facts["file"] == name_of("summed", day)


def test_rejected_records_count_in_the_declared_totals(city: City) -> None:
    day = city.new_day()
    receipt = city.send("summed", name_of("summed", day), summed([*people(3), person(4, kind="9")], day))
    assert receipt.outcome == "accepted"
    assert city.journal.message(receipt.message).rejected.sums["amount"] == 10


def test_a_record_that_cannot_be_read_leaves_the_declared_sum_open_but_not_the_count(city: City) -> None:
    day = city.new_day()
    data = summed(people(4), day).replace("倉敷".encode("cp932"), b"\xfd\xfd", 1)
    receipt = city.send("summed", name_of("summed", day), data)
    assert receipt.outcome == "accepted", receipt.reason
    day = city.new_day()
    data = summed(people(4), day, count=5).replace("倉敷".encode("cp932"), b"\xfd\xfd", 1)
    assert assert_refused(city, "summed", name_of("summed", day), data, "RNK4016E")["what"] == "count"


def test_a_business_date_that_disagrees_with_the_header(city: City) -> None:
    facts = assert_refused(city, "summed", name_of("summed", city.new_day()), summed(people(3), "2025-12-31"), "RNK4014E")
    assert (facts["what"], facts["declared"]) == ("business_date", "2025-12-31")


def test_a_sequence_that_disagrees_with_the_header(city: City) -> None:
    day = city.new_day()
    facts = assert_refused(city, "summed", name_of("summed", day), summed(people(3), day, 7), "RNK4014E")
    assert (facts["what"], facts["declared"]) == ("sequence", "7")


def test_a_sequence_that_no_journal_can_hold(city: City) -> None:
    day = city.new_day()
    assert_refused(city, "people", name_of("people", day, 10**20), csv(people(3)), "RNK4015E")


@pytest.mark.parametrize(("written", "message_id"), [("        ", "RNK1204E"), ("20261332", "RNK4015E")])
def test_a_business_date_that_is_none(city: City, written: str, message_id: str) -> None:
    data = summed(people(3), "2026-05-05", 107).replace(b"20260505", written.encode())
    assert_refused(city, "headed", "HEADED_107.csv", data, message_id)
    (city.folder / "drop" / "headed" / "refused" / "HEADED_107.csv").unlink()


def test_the_business_date_may_stand_in_the_header_alone(city: City) -> None:
    receipt = city.send("headed", "HEADED_007.csv", summed(people(3), "2026-05-06", 7))
    assert receipt.outcome == "accepted"
    assert city.journal.message(receipt.message).identity.business_date == "2026-05-06"


def test_another_tenants_file(city: City) -> None:
    day = city.new_day()
    facts = assert_refused(city, "summed", name_of("summed", day), summed(people(3), day, tenant="372013"), "RNK4013E")
    assert (facts["tenant"], facts["found"]) == ("332020", "372013")


@pytest.mark.parametrize("name", ["unknown.csv", "住民　名簿 その１.csv", "PEOPLE_20261332_001.csv"])
def test_a_name_that_no_interface_has(city: City, name: str) -> None:
    facts = assert_refused(city, "people", name, csv(people(3)), "RNK4010E")
    assert (facts["file"], facts["endpoint"]) == (name, "people_drop")


def test_japanese_and_spaced_names_are_names(city: City) -> None:
    day = city.new_day()
    city.goes_on("utf8", name_of("utf8", day), csv(people(3), encoding="utf-8", titles=LABELS), "utf8_tax")
    assert name_of("utf8", day).startswith("住民 一覧_")


def test_reject_file(city: City) -> None:
    facts = assert_refused(city, "strict", name_of("strict", city.new_day()), csv([*people(99), person(100, kind="9")]), "RNK4017E")
    assert (facts["rejected"], facts["records"], facts["policy"]) == (1, 100, "reject_file")
    entry = next(one for one in city.quarantine(kind="refused_file") if one.subject.startswith("STRICT"))
    (record,) = city.operations.quarantine_show(entry.id)["records"]
    assert (record["line"], record["broken"][0]["field"]) == (101, "kind")


def test_the_share_that_may_be_rejected(city: City) -> None:
    bad = [person(number, kind="9") for number in (1, 2)]
    receipt = city.send("share", name_of("share", city.new_day()), csv([*bad, *people(6, first=3)]))
    assert receipt.outcome == "accepted"
    assert_refused(city, "share", name_of("share", city.new_day()), csv([*bad, *people(5, first=3)]), "RNK4017E")


def test_the_number_that_may_be_rejected(city: City) -> None:
    bad = [person(number, kind="9") for number in (1, 2)]
    receipt = city.send("few", name_of("few", city.new_day()), csv([*bad[:1], *people(3, first=3)]))
    assert receipt.outcome == "accepted"
    facts = assert_refused(city, "few", name_of("few", city.new_day()), csv([*bad, *people(90, first=3)]), "RNK4017E")
    assert facts["rejected"] == 2


def test_what_is_no_file_is_left_and_told(city: City, log: io.StringIO, tmp_path: Any) -> None:
    drop = city.folder / "drop" / "people"
    (drop / "folder.csv").mkdir()
    outside = tmp_path / "outside.csv"
    outside.write_bytes(csv(people(3)))
    (drop / "link.csv").symlink_to(outside)
    os.mkfifo(drop / "fifo.csv")
    for name in ("folder.csv", "link.csv", "fifo.csv"):
        (drop / f"{name}.end").touch()
    for message_id, name in (("RNK5031W", "folder.csv"), ("RNK5030W", "link.csv"), ("RNK5032W", "fifo.csv")):
        until(lambda wanted=f"name={name}", id_=message_id: any(id_ in line and wanted in line for line in log.getvalue().splitlines()))
    assert (drop / "folder.csv").is_dir()
    assert (drop / "link.csv").is_symlink()
    assert (drop / "fifo.csv").is_fifo()
    assert outside.exists()
    day = city.new_day()
    city.goes_on("people", name_of("people", day), csv(people(3)), "people_tax")
    told = [line for line in log.getvalue().splitlines() if "RNK5031W" in line]
    assert len(told) == 1
    for name in ("link.csv", "fifo.csv"):
        (drop / name).unlink()
    (drop / "folder.csv").rmdir()


def test_a_file_waits_for_its_marker(city: City, log: io.StringIO) -> None:
    day = city.new_day()
    name = name_of("people", day)
    path = city.drop("people", name, csv(people(3)), marker=False)
    until(lambda: any("RNK5034I" in line and name in line for line in log.getvalue().splitlines()))
    assert path.exists()
    assert not city.receipts(name)
    path.with_name(f"{name}.end").touch()
    until(lambda: city.receipts(name))
