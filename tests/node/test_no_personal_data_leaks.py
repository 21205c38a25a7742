"""No value of a record ever leaves the places that are made for records: planted values are looked for everywhere else.

A node runs as its service manager runs it (`renkei up --log-json`, then `renkei up`) and is given every kind of file that can go wrong.
Then its log, its journal, `/metrics`, the reason files and whatever else it leaves behind are searched for the planted values, in every
form that text takes there.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import bus.delivery
from contracts.messages import catalogue
from monitoring.log import severity
from tests.backends import journal_content, own_file
from tests.faults.real_node import RealNode
from tests.node.small_city import (
    CONTRACT,
    LABELS,
    City,
    csv,
    interface,
    people,
    person,
    running_city,
    subscription,
    summed,
    until,
    write_city,
)

NAME, ADDRESS, NUMBER = "漏洩山太郎", "倉敷市漏洩町五六七", "987654321012"
RARE = "漏洩𠮷子"
"""No subscriber of CP932 can hold it."""
PLANTED = (NAME, ADDRESS, NUMBER, RARE)
DAY = "2026-04-01"
FOR_RECORDS = ("var/payloads/", "var/work/", "out/")
"""Where records belong: sealed parts, work files of the night, what receivers get."""

DECIDED = ("RNK4040I", "RNK4041W", "RNK4042W", "RNK4043E")


def contract() -> dict[str, Any]:
    """The small city's contract, with a layout whose control records have no constant to be told by."""
    bare = {
        "format": "csv",
        "encoding": "utf-8",
        "newline": "crlf",
        "titles": "none",
        "header_record": [{"total": "tenant"}, {"total": "business_date"}, {"total": "sequence"}],
        "trailer_record": [{"total": "count"}, {"total": "sum.amount"}],
    }
    return {**CONTRACT, "layouts": {**CONTRACT["layouts"], "bare": bare}}


def bare(header: str, trailer: str) -> bytes:
    records = csv(people(2), encoding="utf-8", titles="").decode()
    return f"{header}\r\n{records}{trailer}\r\n".encode()


BROKEN = [
    *people(9),
    person(10, name="x" + NAME),
    person(11, kind=NUMBER),
    person(12, day=ADDRESS),
    person(13, amount=NAME),
    {**person(14), "number": NUMBER},
    person(15, name=ADDRESS * 3),
]
TWICE = [*people(3), {**person(4), "number": "424242", "name": NAME}, {**person(5), "number": "424242", "name": NAME}]
RAGGED = (NAME + "," * 9 + ADDRESS + "\r\n").encode("cp932")
UNDECODABLE = csv([*people(3), person(4, name=NAME)]).replace(b"10\r\n", b"10\x81\r\n", 1) + RAGGED

FILES: list[tuple[str, str, bytes]] = [
    ("people", "PEOPLE_20260401_001.csv", csv(BROKEN)),
    ("people", "PEOPLE_20260401_001.csv", csv([*people(5), person(6, name=NAME)])),  # a revision: held
    ("people", "PEOPLE_20260401_002.csv", csv(TWICE)),
    ("people", "PEOPLE_20260401_003.csv", UNDECODABLE),
    ("people", "PEOPLE_20260401_004.csv", csv([person(1, name=NAME), *people(3, 2)], titles="")),  # a record where titles should be
    ("people", "PEOPLE_20260401_005.csv", csv([person(1, name=NAME)], titles="number,name,SHUBETSU,day,amount\r\n")),
    ("strict", "STRICT_20260401.csv", csv(BROKEN)),
    ("utf8", "UTF8_20260401_001.csv", csv([*people(3), person(4, name=RARE)], encoding="utf-8", titles=LABELS)),
    ("summed", "SUM260401001.csv", csv([person(1, name=NAME)], titles="")),  # a record where the header should be
    ("summed", "SUM260401002.csv", summed(people(3), DAY, 2, tenant=NAME)),
    ("summed", "SUM260401003.csv", summed(people(3), DAY, 3).replace(b"\r\nT,3,", f"\r\nT,{NUMBER},".encode())),
    ("bare", "BARE_20260401_001.csv", bare(f"{NUMBER},20260401,1", "2,20")),
    ("bare", "BARE_20260401_002.csv", bare(f"332020,20260401,{NUMBER}", "2,20")),
    ("bare", "BARE_20260401_003.csv", bare(f"332020,{NUMBER[:8]},3", "2,20")),
    ("bare", "BARE_20260401_004.csv", bare(f"332020,{NAME},4", "2,20")),
    ("bare", "BARE_20260401_005.csv", bare("332020,20260401,5", f"{NUMBER},20")),
    ("bare", "BARE_20260401_006.csv", bare("332020,20260401,6", f"2,{NAME}")),
    ("dated", "DATED_001.csv", bare(f"332020,{NUMBER[:8]},1", "2,20")),
    ("dated", "DATED_002.csv", bare(f"332020,20260401,{NUMBER}", "2,20")),
]
PLANTED_DIGITS = ("424242", NUMBER[:8], f"{NUMBER[:4]}-{NUMBER[4:6]}-{NUMBER[6:8]}")


@dataclass
class Service:
    """The node as a service, and the files that its service manager and its monitoring see."""

    folder: Path
    logs: dict[str, str] = field(default_factory=dict)
    metrics: bytes = b""

    def night(self, form: str, options: tuple[str, ...], files: list[tuple[str, str, bytes]], last: str) -> None:
        node = RealNode(self.folder, ("-m", "bus.cli.app", "--site", str(self.folder), "up", *options))
        node.log = self.folder / f"node-{form}.log"
        node.start()
        try:
            until(lambda: said(node.log, ("RNK7002I",)), f"the node's start; {node.told()}")
            for of, name, data in files:
                decided = said(node.log, DECIDED)
                drop(self.folder, of, name, data)
                until(partial(more_said, node.log, decided), f"a decision on {name}; {node.told()}")
            until(lambda: said(node.log, (last,)), f"a line with {last}; {node.told()}")
            self.metrics += scraped(self.folder)
        finally:
            assert node.end(signal.SIGTERM) == 0, node.told()
        self.logs[form] = node.log.read_text("utf-8")


def drop(folder: Path, of: str, name: str, data: bytes) -> None:
    path = folder / "drop" / of / name
    path.write_bytes(data)
    path.with_name(f"{name}.end").touch()


def said(log: Path, ids: tuple[str, ...]) -> int:
    """How many lines of the log carry one of these ids."""
    return sum(any(message_id in line[:60] for message_id in ids) for line in log.read_text("utf-8").splitlines())


def more_said(log: Path, decided: int) -> bool:
    return said(log, DECIDED) > decided


def scraped(folder: Path) -> bytes:
    port = own_file(folder, "node.port").read_text("ascii")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        page: bytes = response.read()
    return page


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("leaks")
    dated = "{sequence:03}.csv"
    half = {"max_share": 0.9}
    interfaces = [
        interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}_" + dated, rejects=half),
        interface("utf8", "csv_utf8", "UTF8_{business_date:%Y%m%d}_" + dated, rejects=half),
        interface("strict", "csv_cp932", "STRICT_{business_date:%Y%m%d}.csv", rejects={"policy": "reject_file"}),
        interface("summed", "summed", "SUM{business_date:%y%m%d}" + dated, rejects=half),
        interface("bare", "bare", "BARE_{business_date:%Y%m%d}_" + dated, rejects=half),
        interface("dated", "bare", "DATED_" + dated, rejects=half),
    ]
    never = {"first_seconds": 0.1, "attempts": 1}
    subscriptions = [
        subscription("tax", "people"),
        subscription("xml", "people", "xml"),
        subscription("old", "utf8", "csv_cp932"),
        subscription("gone", "people", retry=never),
    ]
    write_city(folder, interfaces, subscriptions, contract=contract(), chunk_bytes=1024)
    for one in interfaces:
        (folder / "drop" / one["id"]).mkdir(parents=True)
    (folder / "out" / "gone").mkdir(parents=True)
    for day in ("20260401", "20260402"):
        (folder / "out" / "gone" / f"gone_{day}_001.csv").write_text("not yet taken by its receiver", "ascii")
    service = Service(folder)
    service.night("json", ("--log-json",), FILES, "RNK4045E")
    again = [("people", "PEOPLE_20260402_001.csv", csv(BROKEN)), ("people", "PEOPLE_20260402_002.csv", b"")]
    service.night("text", (), again, "RNK4044I")
    return service


def forms(value: str) -> dict[str, bytes]:
    """Every form in which text may stand in a file: encodings, JSON escapes, base64 at each of its three offsets."""
    found = {code: value.encode(code, "ignore") for code in ("utf-8", "cp932", "utf-16-le")}
    found["json"] = json.dumps(value)[1:-1].encode()
    found["repr"] = ascii(value)[1:-1].encode()
    for code in ("utf-8", "cp932"):
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + value.encode(code, "ignore")).rstrip(b"=")
            found[f"base64 {code} {shift}"] = encoded[(shift * 4 + 2) // 3 : -2]
    return {form: data for form, data in found.items() if len(data) >= 6}


def leaks(where: Mapping[str, bytes], values: tuple[str, ...]) -> list[str]:
    return [
        f"{value} as {form} in {place}: ...{data[max(0, at - 60) : at + 40]!r}"
        for place, data in where.items()
        for value in values
        for form, wanted in forms(value).items()
        if (at := data.find(wanted)) >= 0
    ]


def left_behind(folder: Path) -> dict[str, bytes]:
    """Every file of the site but those made for records: refused and dropped files themselves are the sender's originals."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    originals = re.compile(r"drop/.*(?<!\.reason\.json)(?<!\.reason\.txt)")
    return {name: path.read_bytes() for name, path in files.items() if not (name.startswith(FOR_RECORDS) or originals.fullmatch(name))}


def test_the_search_finds_what_is_there(service: Service) -> None:
    records = {str(path): path.read_bytes() for path in (service.folder / "var" / "payloads").rglob("*") if path.is_file()}
    for value in PLANTED:
        assert leaks(records, (value,)), f"{value} was never taken in"
    reasons = [path for path in service.folder.rglob("*.reason.*") if "refused" in str(path)]
    assert len(reasons) >= 2 * 10, "files with each kind of fault were refused"
    assert leaks({"a": json.dumps({"found": NAME}).encode()}, (NAME,))


def test_no_planted_value_stands_where_records_do_not_belong(service: Service) -> None:
    journal = journal_content(service.folder)
    assert any(b"PEOPLE_20260401" in data for data in journal.values())
    places = left_behind(service.folder) | journal | {"/metrics": service.metrics}
    assert {"node-json.log", "node-text.log"} <= set(places)
    assert not leaks(places, PLANTED), "\n".join(leaks(places, PLANTED))


def test_no_planted_digits_in_logs_reasons_and_metrics(service: Service) -> None:
    """Short digits may stand in the journal's own numbers by chance, so only what people and machines read is searched."""
    places = {name: data for name, data in left_behind(service.folder).items() if ".reason." in name or name.endswith(".log")}
    assert not leaks(places | {"/metrics": service.metrics}, PLANTED_DIGITS), "\n".join(leaks(places, PLANTED_DIGITS))


def test_a_title_that_was_changed_is_told_and_a_record_in_its_place_is_not(service: Service) -> None:
    refused = service.folder / "drop" / "people" / "refused"
    told = [json.loads((refused / f"PEOPLE_20260401_00{number}.csv.reason.json").read_text("utf-8"))["facts"]["found"] for number in (5, 4)]
    assert told == ["SHUBETSU", "***"]


def test_metrics_name_only_what_the_configuration_names(service: Service) -> None:
    labels = set(re.findall(r'(?:tenant|interface|subscription)="([^"]*)"', service.metrics.decode()))
    assert labels == {"332020", "people", "utf8", "strict", "summed", "bare", "dated", "tax", "xml", "old", "gone", ""}


def test_a_service_manager_gets_one_json_object_a_line(service: Service) -> None:
    lines = [json.loads(line) for line in service.logs["json"].splitlines()]
    assert {line["id"] for line in lines} >= {"RNK7002I", "RNK4040I", "RNK4042W", "RNK4043E", "RNK4044I", "RNK4045E"}
    for line in lines:
        assert list(line) == ["at", "id", "severity", "text", "facts"], line
        assert line["id"] in catalogue()
        assert line["severity"] == severity(line["id"])
        assert line["at"].endswith("+09:00")


def test_a_service_manager_gets_one_line_of_text_with_its_id(service: Service) -> None:
    lines = service.logs["text"].splitlines()
    assert len(lines) >= 4
    for line in lines:
        found = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+09:00 (RNK\d{4}[IWE]) \S", line)
        assert found, line
        assert found[1] in catalogue()


def test_an_unforeseen_error_of_a_delivery_tells_its_kind_and_not_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stumble(*_: object, **__: object) -> None:
        raise ValueError(f"cannot parse {NAME} living in {ADDRESS}")

    monkeypatch.setattr(bus.delivery, "write_output", stumble)
    never = {"first_seconds": 0.1, "attempts": 1}
    one = interface("people", "csv_cp932", "PEOPLE_{business_date:%Y%m%d}.csv")
    write_city(tmp_path, [one], [subscription("tax", "people", retry=never)])
    with running_city(tmp_path) as city:
        assert "ValueError" in given_up(city)
    assert not leaks(left_behind(tmp_path), PLANTED)


def given_up(city: City) -> str:
    message = city.send("people", "PEOPLE_20260401.csv", csv(people(2))).message
    (delivery,) = until(lambda: [found for found in city.journal.deliveries(message=message) if found.last_error], "a failed delivery")
    return str(delivery.last_error)
