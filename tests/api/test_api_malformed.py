"""What hostile or broken callers send is refused with a problem, never with a fault, and changes nothing."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

import pytest

from tests.api.api_site import REGISTER, STRUCTURED, TENANT, WELFARE, Api, cloud_event, data, problem

DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
HUGE = b"9" * 10_000


def _event(**changes: Any) -> bytes:
    return json.dumps({**cloud_event(), **changes}).encode()


EVENTS = {
    "empty": b"",
    "no object": b"[]",
    "not JSON": b"{",
    "invalid UTF-8": b'{"id":"\xff"}',
    "a surrogate": _event(id="\ud800"),
    "a byte order mark": b"\xef\xbb\xbf" + _event(),
    "twice": b'{"id":"a","id":"b"}',
    "deep": DEEP[:2000],
    "huge number": b'{"id":' + HUGE[:1500] + b"}",
    "NaN": b'{"id":NaN}',
    "no id": _event(id=""),
    "id is a number": _event(id=5),
    "other version": _event(specversion="0.3"),
    "no data": json.dumps({k: v for k, v in cloud_event().items() if k != "data"}).encode(),
    "data is a list": _event(data=[]),
    "data is nested": _event(data={**data(), "name": {"a": "b"}}),
    "data has numbers": _event(data={**data(), "amount": 10}),
    "bad time": _event(time="yesterday"),
    "extension in capitals": _event(Extension="x"),
    "control characters": _event(subject="a\nb"),
    "expires never": _event(expirytime="soon"),
    "an unknown request": _event(inreplyto=f"{TENANT}-m99999999"),
    "a request of another tenant": _event(inreplyto="372013-m1"),
    "an absurd request": _event(inreplyto="x" * 2000),
}


@pytest.mark.parametrize("name", EVENTS)
def test_malformed_events_are_refused(api: Api, name: str) -> None:
    for interface, route, key in (("moved", "events", REGISTER), ("question", "requests?wait_seconds=0", "key-of-tax")):
        answer = api.call("POST", f"interfaces/{interface}/{route}", key, STRUCTURED, content=EVENTS[name])
        assert 400 <= answer.status_code < 500, answer.text
        problem(answer, answer.status_code)


HEADERS = {
    "no attributes": {},
    "not percent-encoded UTF-8": {"ce-id": "%ff%fe"},
    "a broken percent": {"ce-id": "%"},
    "an attribute with data": {"ce-data": "{}"},
    "a capital extension": {"ce-Extension": "x", "ce-exten_sion": "y"},
    "a long one": {"ce-subject": "x" * 5000},
    "too many": {f"ce-x{number}": "1" for number in range(60)},
    "control": {"ce-id": "%0a"},
}


@pytest.mark.parametrize("name", HEADERS)
def test_malformed_headers_are_refused(api: Api, name: str) -> None:
    good = {"ce-specversion": "1.0", "ce-id": "h1", "ce-source": "/r", "ce-type": "jp.renkei.moved", "content-type": "application/json"}
    headers = {**(good if HEADERS[name] else {"content-type": "application/json"}), **HEADERS[name]}
    answer = api.call("POST", "interfaces/moved/events", headers=headers, json=data())
    if name == "a broken percent":  # stands for itself
        assert answer.status_code in {202, 400, 409}
    else:
        assert 400 <= answer.status_code < 500, answer.text
        problem(answer, answer.status_code)


BATCHES = {
    "no list": b"{}",
    "an entry is no object": b"[1, null, []]",
    "too many": b"[" + b",".join([b"{}"] * 1001) + b"]",
    "empty": b"[]",
}


@pytest.mark.parametrize("name", BATCHES)
def test_malformed_batches_are_refused_as_a_whole_or_one_by_one(api: Api, name: str) -> None:
    kind = {"content-type": "application/cloudevents-batch+json"}
    answer = api.call("POST", "interfaces/moved/events", headers=kind, content=BATCHES[name])
    assert answer.status_code in {202, 207, 400, 413}, answer.text
    if answer.status_code == 207:
        assert [one["status"] for one in answer.json()["results"]] == [400, 400, 400]


ARGUMENTS: dict[str, bytes] = {
    "not JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "invalid UTF-8": b'{"max":"\xff"}',
    "twice": b'{"max":1,"max":2}',
    "deep": DEEP,
    "huge number": b'{"max":' + HUGE + b"}",
    "infinite": b'{"wait_seconds":1e999}',
    "NaN": b'{"wait_seconds":NaN}',
    "text for a number": b'{"max":"10"}',
    "true for a number": b'{"max":true}',
    "too many": b'{"max":1001}',
    "none": b'{"max":0}',
    "unknown": '{"氏名":"倉敷"}'.encode(),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_malformed_arguments_of_a_pull_are_refused(api: Api, name: str) -> None:
    headers = {"content-type": "application/json"}
    answer = api.call("POST", "subscriptions/welfare_moved/pull", WELFARE, headers, content=ARGUMENTS[name])
    found = problem(answer, answer.status_code)
    assert answer.status_code in {400, 422}
    assert "倉敷" not in answer.text
    assert "氏名" not in answer.text
    assert all({"field", "rule", "words"} <= set(one) for one in found["problems"])


NAMED: dict[str, Any] = {
    "nothing": {},
    "no list": {"deliveries": {}},
    "empty": {"deliveries": []},
    "too many": {"deliveries": [{"delivery": f"{TENANT}-d1", "fence": 1}] * 1001},
    "no id": {"deliveries": [{"delivery": "x", "fence": 1}]},
    "a long id": {"deliveries": [{"delivery": f"{TENANT}-d{'1' * 40}", "fence": 1}]},
    "a negative fence": {"deliveries": [{"delivery": f"{TENANT}-d1", "fence": -1}]},
    "a huge fence": {"deliveries": [{"delivery": f"{TENANT}-d1", "fence": 2**70}]},
    "a reason with a name": {"deliveries": [{"delivery": f"{TENANT}-d1", "fence": 1, "reason": "倉敷 花子"}]},
}


@pytest.mark.parametrize("deed", ["ack", "nack", "renew"])
@pytest.mark.parametrize("name", NAMED)
def test_malformed_bookings_are_refused(api: Api, deed: str, name: str) -> None:
    answer = api.call("POST", f"subscriptions/welfare_moved/{deed}", WELFARE, json=NAMED[name])
    problem(answer, 422, "RNK7209E")
    assert "倉敷" not in answer.text


def test_a_delivery_that_is_not_there_is_stale(api: Api) -> None:
    named = [{"delivery": f"{TENANT}-d99999999999999999", "fence": 1}, {"delivery": "372013-d1", "fence": 1}]
    for deed in ("ack", "nack", "renew"):
        answer = api.call("POST", f"subscriptions/welfare_moved/{deed}", WELFARE, json={"deliveries": named})
        assert [one["outcome"] for one in answer.json()["results"]] == ["stale", "stale"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/docs", 404),
        ("GET", f"/v1/{TENANT}/interfaces/moved/events", 405),
        ("PUT", f"/v1/{TENANT}/interfaces/moved/events", 405),
        ("DELETE", f"/v1/{TENANT}/subscriptions/welfare_moved/pull", 405),
        ("POST", f"/v1/{TENANT}/subscriptions/welfare_moved/events", 405),
        ("POST", f"/v1/{TENANT}/interfaces/moved/events/", 404),
        ("POST", f"/v1/{TENANT}/interfaces/a%2Fb/events", 404),
        ("POST", f"/v1/{TENANT}/interfaces/%00/events", 404),
        ("GET", f"/v1/{TENANT}/messages/%ff%fe", 404),
        ("GET", f"/v1/{TENANT}/messages/{TENANT}-m{'9' * 300}", 404),
        ("GET", f"/v1/{TENANT}/uploads/..%2f..%2fetc", 404),
        ("GET", f"/v1/{TENANT}/messages/{TENANT}-m1/reply?wait_seconds=x", 422),
        ("GET", f"/v1/{TENANT}/messages/{TENANT}-m1/reply?wait_seconds=61", 422),
        ("GET", f"/v1/{TENANT}/messages/{TENANT}-m1/reply?wait_seconds=nan", 422),
    ],
)
def test_what_is_not_served_is_told_as_a_problem(api: Api, method: str, path: str, status: int) -> None:
    answer = api.call(method, path)
    problem(answer, status)
    if status == 405:
        assert answer.headers["allow"]


def test_arguments_need_their_content_type_and_a_bearable_length(api: Api) -> None:
    place = "subscriptions/welfare_moved/pull"
    for kind in ("text/plain", "application/xml", "application/json; charset=shift_jis", ""):
        problem(api.call("POST", place, WELFARE, {"content-type": kind}, content=b"{}"), 415, "RNK7207E")
    assert api.call("POST", place, WELFARE, {"content-type": 'application/json; charset="UTF-8"'}, content=b"{}").status_code == 200
    assert api.call("POST", place, WELFARE).status_code == 200
    problem(api.call("POST", place, WELFARE, {"content-type": "application/json"}, content=b" " * (1024 * 1024 + 1)), 413, "RNK7206E")
    streamed = (b" " * 65536 for _ in range(64))
    problem(api.call("POST", place, WELFARE, {"content-type": "application/json"}, content=streamed), 413, "RNK7206E")


@pytest.mark.parametrize("declared", ["99999999999999999999999", "2097152"])
def test_a_lying_content_length_is_not_waited_for(api: Api, declared: str) -> None:
    for path in ("subscriptions/welfare_moved/pull", "interfaces/moved/events"):
        with contextlib.closing(socket.create_connection(("127.0.0.1", api.node.api_port), timeout=30)) as line:
            head = f"POST /v1/{TENANT}/{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            key = WELFARE if "pull" in path else REGISTER
            line.sendall(f"{head}authorization: Bearer {key}\r\ncontent-length: {declared}\r\n\r\n{{".encode())
            assert line.recv(100).split(b" ")[1] in {b"413", b"400"}


def test_a_caller_that_hangs_up_in_the_middle_harms_nobody(api: Api) -> None:
    for path, key in (("subscriptions/welfare_moved/pull", WELFARE), ("interfaces/moved/events", REGISTER)):
        with contextlib.closing(socket.create_connection(("127.0.0.1", api.node.api_port), timeout=30)) as line:
            head = f"POST /v1/{TENANT}/{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            line.sendall(f"{head}authorization: Bearer {key}\r\ncontent-length: 100\r\n\r\n{{".encode())
    assert api.publish(cloud_event()).status_code == 202
    api.drain()
