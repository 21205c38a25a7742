"""When the journal is away, too much waits, a fault of ours happens, or the node ends: what callers are told, and what stays true."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.errors import JournalUnavailable
from bus.journal.journal import SqlJournal
from tests.api.api_site import STRUCTURED, TENANT, WELFARE, Api, cloud_event, in_thread, problem, running_api, write_site
from tests.node.small_city import until


def _away(*_: object, **__: object) -> Any:
    raise JournalUnavailable("RNK3001E", reason="/secret/path: disk I/O error")


def test_while_the_journal_is_away_nothing_is_taken_and_callers_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.drain()
    event = cloud_event()
    lost = []
    with monkeypatch.context() as away:
        for name in ("commit", "message", "event", "renew_events", "delivery", "reply_to"):
            away.setattr(SqlJournal, name, _away)
        lost.append(api.publish(event))
        lost.append(api.call("POST", "subscriptions/welfare_moved/pull", WELFARE, json={}))
        lost.append(api.call("GET", f"messages/{TENANT}-m1"))
        lost.append(api.call("GET", f"messages/{TENANT}-m1/reply"))
        lost.append(api.call("POST", "interfaces/question/requests", "key-of-tax", STRUCTURED, json=cloud_event()))
        for deed in ("ack", "renew", "nack"):
            named = {"deliveries": [{"delivery": f"{TENANT}-d1", "fence": 1}]}
            lost.append(api.call("POST", f"subscriptions/welfare_moved/{deed}", WELFARE, json=named))
        batch = {"content-type": "application/cloudevents-batch+json"}
        several = api.call("POST", "interfaces/moved/events", headers=batch, json=[cloud_event()])
        assert [one["status"] for one in several.json()["results"]] == [503]
    for answer in lost:
        problem(answer, 503, "RNK7213E")
        assert int(answer.headers["retry-after"]) > 0
        assert "secret" not in answer.text
    assert api.publish(event).json()["outcome"] == "accepted"
    api.drain()


def test_a_stream_ends_while_the_journal_is_away_and_its_reader_comes_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as away:
        away.setattr(SqlJournal, "commit", _away)
        answer = api.call("GET", "subscriptions/welfare_stream/events", WELFARE)
    assert answer.status_code == 200
    assert answer.text.startswith("retry:")
    assert "data:" not in answer.text


def test_when_too_much_waits_publishers_are_told_to_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_site(tmp_path, sign_in="none", most_waiting=2)
    real, entered, go_on = SqlJournal.commit, threading.Event(), threading.Event()

    def slowly(self: SqlJournal, *given: Any, **named: Any) -> Any:
        entered.set()
        go_on.wait(30)
        return real(self, *given, **named)

    with running_api(tmp_path) as api:
        monkeypatch.setattr(SqlJournal, "commit", slowly)
        waiting = [
            in_thread(lambda: httpx.post(f"{api.url}/v1/{TENANT}/interfaces/moved/events", json=cloud_event(), headers=STRUCTURED))
            for _ in range(2)
        ]
        until(lambda: api.node.events.commit._accepting == 2)
        answer = api.publish(cloud_event())
        problem(answer, 429, "RNK4301E")
        assert answer.headers["retry-after"] == "1"
        go_on.set()
        for thread, found in waiting:
            thread.join(30)
            assert found[0].status_code == 202


@pytest.mark.parametrize("path", [f"/v1/{TENANT}/interfaces/moved/events", f"/v1/{TENANT}/subscriptions/welfare_moved/pull"])
def test_a_fault_of_ours_is_told_by_number_and_never_with_its_words(api: Api, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("倉敷 花子 1990")

    stream = io.StringIO()
    with monkeypatch.context() as fault:
        fault.setattr("bus.api.applications.log", lambda message_id, **facts: print(message_id, facts, file=stream))
        fault.setattr("bus.api.rights.Rights.events", broken)
        fault.setattr("bus.api.rights.Rights.subscription", broken)
        answer = api.call("POST", path, content=b"{}")
    found = problem(answer, 500, "RNK7211E")
    logged = stream.getvalue()
    number = found["detail"].split("number ")[1][:8]
    assert f"'fault': '{number}'" in logged
    for told in (answer.text, logged):
        assert "花子" not in told
        assert "Traceback" not in told


def test_a_lease_outlives_the_node_that_gave_it(tmp_path: Path) -> None:
    write_site(tmp_path, sign_in="none")
    with running_api(tmp_path) as api:
        api.publish(cloud_event())
        (lent,) = api.pull()
    with running_api(tmp_path) as api:
        assert api.pull() == []
        assert api.settle("renew", lent, lease_seconds=60) == ["renewed"]
        assert api.settle("ack", lent) == ["delivered"]


def test_a_stream_goes_on_after_the_node_was_started_anew(tmp_path: Path) -> None:
    write_site(tmp_path, sign_in="none")
    with running_api(tmp_path) as api:
        names = [cloud_event() for _ in range(3)]
        for one in names:
            api.publish(one, "streamed")
        with httpx.stream("GET", f"{api.url}/v1/{TENANT}/subscriptions/welfare_stream/events", timeout=60) as answer:
            lines = answer.iter_lines()
            first = next(line for line in lines if line.startswith("id: ") and line != "id: 0")
    with running_api(tmp_path) as api:
        headers = {"last-event-id": first.removeprefix("id: ")}
        place = f"{api.url}/v1/{TENANT}/subscriptions/welfare_stream/events"
        with httpx.stream("GET", place, headers=headers, timeout=60) as answer:
            data = (line for line in answer.iter_lines() if line.startswith("data: "))
            assert [names[1]["id"] in next(data), names[2]["id"] in next(data)] == [True, True]
