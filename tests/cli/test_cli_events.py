"""`publish`, `subscribe` and `keys`: what they ask of the API, what they show, and how they end."""

from __future__ import annotations

import hashlib
import io
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from bus.example import write_example
from tests.cli.api_double import Answer, serving
from tests.cli.conftest import Night, Renkei, delivery, message

TAKEN: Answer = (202, {"message": "332020-m17", "outcome": "accepted"}, {})
REFUSED = {
    "type": "about:blank",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "the event breaks 2 rules of resident@1.0",
    "action": "correct the record",
    "message_id": "RNK4399E",
    "problems": [
        {"field": "shimei", "rule": "required", "severity": "reject", "value": "", "words": {"ja": "氏名がありません", "en": "no name"}},
        {"field": "seibetsu", "rule": "codes", "severity": "reject", "value": "*", "words": {"ja": "性別", "en": "not a code"}},
    ],
}
EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/register",
    "type": "jp.renkei.moved_in",
    "renkeimessage": "332020-m17",
    "data": {"atenabango": "1", "shimei": "架空"},
}
TO = ["--tenant", "332020", "--interface", "moved_in", "--type", "jp.renkei.moved_in", "--source", "/住民 記録"]
FROM = ["subscribe", "--tenant", "332020", "--subscription", "tax_moved_in"]


def lent(number: int) -> dict[str, Any]:
    return {"delivery": f"332020-d{number}", "fence": number, "number": number, "attempt": 1, "lease_until": "", "event": EVENT}


def record(tmp_path: Path) -> str:
    file = tmp_path / "record.json"
    file.write_bytes(b'{"atenabango":"1" }')
    return str(file)


def test_an_event_is_published_in_binary_mode_as_it_stands(renkei: Renkei, tmp_path: Path) -> None:
    with serving({"events": [TAKEN]}) as api:
        ended = renkei("publish", record(tmp_path), *TO, "--id", "e-1", "--url", api.url)
    assert (ended.code, ended.err) == (0, "")
    assert "RNK6110I" in ended.out
    assert "332020-m17" in ended.out
    (asked,) = api.asked
    assert asked.path == "/v1/332020/interfaces/moved_in/events"
    assert asked.body == b'{"atenabango":"1" }'
    headers = {name: value for name, value in asked.headers.items() if name.startswith(("ce-", "content-type", "auth"))}
    time = headers.pop("ce-time")
    assert re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", time)
    assert headers == {
        "ce-specversion": "1.0",
        "ce-id": "e-1",
        "ce-type": "jp.renkei.moved_in",
        "ce-source": "/%E4%BD%8F%E6%B0%91%20%E8%A8%98%E9%8C%B2",
        "content-type": "application/json",
    }


def test_a_record_from_standard_input_gets_an_id_of_its_own(renkei: Renkei, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    with serving({"events": [(202, {"message": "332020-m17", "outcome": "duplicate"}, {})]}) as api:
        ended = renkei("publish", "-", *TO, "--url", api.url, "--json")
    answer = json.loads(ended.out)
    assert (ended.code, answer["outcome"], answer["message"]) == (0, "duplicate", "332020-m17")
    assert api.asked[0].headers["ce-id"] == answer["event"]
    assert len(answer["event"]) == 36


@pytest.mark.parametrize(("language", "meaning"), [("en", "no name"), ("ja", "氏名がありません")])
def test_a_refusal_shows_every_broken_rule_in_the_persons_language(renkei: Renkei, tmp_path: Path, language: str, meaning: str) -> None:
    with serving({"events": [(422, REFUSED, {})]}) as api:
        ended = renkei("--lang", language, "publish", record(tmp_path), *TO, "--url", api.url)
        assert api.asked[0].headers["accept-language"] == language
    assert ended.code == 8
    assert "RNK4399E the event breaks 2 rules" in ended.err
    assert "correct the record" in ended.err
    assert meaning in ended.out
    assert "seibetsu" in ended.out


@pytest.mark.parametrize(
    ("status", "answer", "code", "said"),
    [
        (404, {**REFUSED, "status": 404, "problems": []}, 5, "RNK4399E"),
        (409, {**REFUSED, "status": 409, "problems": []}, 8, "RNK4399E"),
        (500, b"<html>", 8, "RNK6112E"),
        (500, [1], 8, "RNK6112E"),
        (429, {**REFUSED, "status": 429}, 3, "RNK6115E"),
        (503, b"", 3, "RNK6115E"),
    ],
)
def test_other_refusals(renkei: Renkei, tmp_path: Path, status: int, answer: Any, code: int, said: str) -> None:
    with serving({"events": [(status, answer, {"retry-after": "7"})]}) as api:
        ended = renkei("publish", record(tmp_path), *TO, "--url", api.url)
    assert ended.code == code
    assert said in ended.err
    assert code != 3 or "7 s" in ended.err


def test_nobody_answers(renkei: Renkei, tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, but it does not listen
        ended = renkei("publish", record(tmp_path), *TO, "--url", f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert ended.code == 3
    assert "RNK6113E" in ended.err


def test_without_a_node_of_the_site_nothing_is_served(renkei: Renkei, tmp_path: Path) -> None:
    assert "RNK6003E" in renkei("publish", record(tmp_path), *TO).err
    (tmp_path / "site.yaml").write_text("site: x\ntenants: [a.yaml]\n", "utf-8")
    ended = renkei("publish", record(tmp_path), *TO)
    assert ended.code == 3
    assert "RNK6114E" in ended.err


def test_the_running_nodes_port_is_found(renkei: Renkei, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("site: x\ntenants: [a.yaml]\n", "utf-8")
    (tmp_path / "var").mkdir()
    with serving({"events": [TAKEN]}) as api:
        (tmp_path / "var" / "api.port").write_text(str(api.port), "ascii")
        assert renkei("publish", record(tmp_path), *TO).code == 0


def test_the_key_goes_with_the_call_but_never_in_the_clear(renkei: Renkei, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("renkei_abc\n", "ascii")
    with serving({"events": [TAKEN]}) as api:
        renkei("publish", record(tmp_path), *TO, "--url", api.url, "--key-file", str(key))
        assert api.asked[0].headers["authorization"] == "Bearer renkei_abc"
    ended = renkei("publish", record(tmp_path), *TO, "--url", "http://bus.example:9461", "--key-file", str(key))
    assert ended.code == 2
    assert "RNK6124E" in ended.err
    assert "renkei_abc" not in ended.err + ended.out


@pytest.mark.parametrize(("content", "said"), [(None, "RNK6116E"), (b"", "RNK6117E"), (b"two words", "RNK6117E"), (b"\xff", "RNK6116E")])
def test_key_files_that_are_none(renkei: Renkei, tmp_path: Path, content: bytes | None, said: str) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_bytes(content)
    ended = renkei("publish", record(tmp_path), *TO, "--url", "https://127.0.0.1:1", "--key-file", str(key))
    assert ended.code == 2
    assert said in ended.err


def test_events_are_shown_then_acknowledged(renkei: Renkei) -> None:
    pulls: list[Answer] = [(200, {"events": [lent(1), lent(2)]}, {}), (200, {"events": []}, {})]
    with serving({"pull": pulls, "ack": [(200, {"results": [{"outcome": "delivered"}, {"outcome": "delivered"}]}, {})]}) as api:
        ended = renkei(*FROM, "--url", api.url)
    assert ended.code == 0
    for shown in ("332020-d1", "332020-d2", "e-1", "/register", "jp.renkei.moved_in", "架空", "332020-m17"):
        assert shown in ended.out
    assert api.asked[0].path == "/v1/332020/subscriptions/tax_moved_in/pull"
    assert api.bodies("pull") == [{"max": 100, "wait_seconds": 0}, {"max": 98, "wait_seconds": 0}]
    assert api.bodies("ack") == [{"deliveries": [{"delivery": "332020-d1", "fence": 1}, {"delivery": "332020-d2", "fence": 2}]}]


def test_no_more_than_asked_for_as_json_lines(renkei: Renkei) -> None:
    with serving({"pull": [(200, {"events": [lent(1)]}, {})], "ack": [(200, {"results": [{"outcome": "delivered"}]}, {})]}) as api:
        ended = renkei(*FROM, "--max", "3", "--json", "--url", api.url)
    assert [json.loads(line) for line in ended.out.splitlines()] == [lent(1)] * 3
    assert [body["max"] for body in api.bodies("pull")] == [3, 2, 1]


def test_waiting_ends_when_nothing_comes(renkei: Renkei) -> None:
    with serving({"pull": [(200, {"events": []}, {})]}) as api:
        ended = renkei(*FROM, "--wait", "90", "--url", api.url)  # the test's clock goes on a second with each look
    assert (ended.code, "RNK6119I" in ended.out) == (0, True)
    waits = [body["wait_seconds"] for body in api.bodies("pull")]
    assert waits[0] == 60
    assert waits[-1] == 1
    assert waits == sorted(waits, reverse=True)


def test_looking_only_hands_the_events_back(renkei: Renkei) -> None:
    with serving({"pull": [(200, {"events": [lent(1)]}, {})], "nack": [(200, {"results": [{"outcome": "due"}]}, {})]}) as api:
        ended = renkei(*FROM, "--no-ack", "--url", api.url)
    assert ended.code == 0
    assert api.bodies("nack") == [
        {"deliveries": [{"delivery": "332020-d1", "fence": 1, "reason": "looked_at", "retry_after_seconds": 0}]}
    ]
    assert len(api.bodies("pull")) == 1


def test_what_was_lent_to_another_meanwhile_is_a_warning(renkei: Renkei) -> None:
    pulls: list[Answer] = [(200, {"events": [lent(1)]}, {}), (200, {"events": []}, {})]
    with serving({"pull": pulls, "ack": [(200, {"results": [{"outcome": "stale"}]}, {})]}) as api:
        ended = renkei(*FROM, "--url", api.url)
    assert ended.code == 4
    assert "RNK6118W" in ended.err


def test_another_systems_subscription_is_not_found(renkei: Renkei) -> None:
    with serving({"pull": [(404, {**REFUSED, "status": 404, "problems": []}, {})]}) as api:
        assert renkei(*FROM, "--url", api.url).code == 5


# --- what operators see of events


def event_message(night: Night, **changed: Any) -> None:
    night.messages_held.append({**message(17, records=1), "kind": "event", "file_name": "e-1", "business_date": "2026-11-20"})
    shown = {"id": "e-1", "source": "/register", "type": "jp.renkei.moved_in", "time": "2026-11-20T01:02:03Z", "subject": ""}
    night.events_held["332020-m17"] = {**shown, "form": "binary", "expires_at_us": None, "in_reply_to": None, **changed}
    one = {**delivery(45, subscription="tax_moved_in", state="claimed"), "number": 9, "system": "010", "attempts": 2, "file_name": ""}
    night.deliveries_held.append({**one, "finished_at_us": None})


def test_the_trace_of_an_event_shows_what_an_event_has(renkei: Renkei, night: Night) -> None:
    event_message(night, subject="********", expires_at_us=1_795_000_000_000_000, in_reply_to="332020-m16")
    ended = renkei("trace", "332020-m17")
    assert ended.code == 0
    shown = dict(line.split(maxsplit=1) for line in ended.out.replace("event id", "event_id").splitlines() if len(line.split()) == 2)
    assert shown["event_id"].strip() == "e-1"
    for said in ("jp.renkei.moved_in", "/register", "event subject", "********", "in reply to", "332020-m16", "tax_moved_in", "claimed"):
        assert said in ended.out
    for never in ("layout", "chunks", "receipts", "file name", "SHA-256"):
        assert never not in ended.out


def test_what_an_event_has_not_is_left_out(renkei: Renkei, night: Night) -> None:
    event_message(night)
    for language, words in (("en", ("event subject", "in reply to", "expires at")), ("ja", ("イベントの対象", "問い合わせ", "期限"))):
        ended = renkei("--lang", language, "trace", "332020-m17")
        assert not any(word in ended.out for word in words)
    assert "イベントの ID" in ended.out


def test_the_list_of_messages_names_events_by_their_id(renkei: Renkei, night: Night) -> None:
    event_message(night)
    assert "e-1" in renkei("messages").out
    assert json.loads(renkei("trace", "332020-m17", "--json").out)["event"]["type"] == "jp.renkei.moved_in"


# --- keys


def test_a_new_key_is_shown_once_with_the_line_for_the_configuration(renkei: Renkei, tmp_path: Path) -> None:
    write_example(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")}
    ended = renkei("keys", "new", "--tenant", "332020", "--system", "010", "--ends", "2999-03-31")
    assert ended.code == 0
    key, line = ended.out.splitlines()[-2:]
    (entry,) = yaml.safe_load(line)
    assert entry == {"sha256": hashlib.sha256(key.encode()).hexdigest(), "ends": "2999-03-31"}
    assert len(key) >= 43
    assert "332020.yaml" in ended.out
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")} == before
    again = json.loads(renkei("keys", "new", "--tenant", "332020", "--system", "010", "--ends", "2999-03-31", "--json").out)
    assert again["key"] != key
    assert again["sha256"] == hashlib.sha256(again["key"].encode()).hexdigest()


@pytest.mark.parametrize(
    ("tenant", "system", "ends", "code", "said"),
    [
        ("332020", "010", "2999-02-30", 2, "RNK6121E"),
        ("332020", "010", "2020-03-31", 2, "RNK6121E"),
        ("332020", "999", "2999-03-31", 5, "RNK6120E"),
        ("999997", "010", "2999-03-31", 5, "RNK6123E"),
    ],
)
def test_keys_for_nobody(renkei: Renkei, tmp_path: Path, tenant: str, system: str, ends: str, code: int, said: str) -> None:
    write_example(tmp_path)
    ended = renkei("keys", "new", "--tenant", tenant, "--system", system, "--ends", ends)
    assert ended.code == code
    assert said in ended.err


# --- renkei up


def test_role_and_name_are_handed_on(renkei: Renkei, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: list[dict[str, Any]] = []
    monkeypatch.setattr("bus.cli.site_commands.serve", lambda folder, language, **given: served.append(given))
    monkeypatch.delenv("RENKEI_NODE", raising=False)
    assert renkei("up").code == 0
    assert renkei("up", "--role", "api", "--node", "two").code == 0
    monkeypatch.setenv("RENKEI_NODE", "three")
    assert renkei("up", "--role", "dispatch").code == 0
    assert [(given["role"], given["node"]) for given in served] == [("all", None), ("api", "two"), ("dispatch", "three")]
    assert renkei("up", "--role", "king").code == 2
