"""Requests and replies over real sockets: waited for, asked for later, late, and never."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.api_site import REGISTER, STRUCTURED, TAX, TENANT, WELFARE, Api, cloud_event, in_thread, problem
from tests.node.small_city import until


def ask(api: Api, wait_seconds: float, interface: str = "question", **attributes: Any) -> httpx.Response:
    place = f"interfaces/{interface}/requests?wait_seconds={wait_seconds}"
    return api.call("POST", place, TAX, STRUCTURED, json=cloud_event(**attributes))


def answer(api: Api, lent: dict[str, Any] | str, interface: str = "answer", key: str = REGISTER) -> dict[str, Any]:
    request = lent if isinstance(lent, str) else lent["event"]["renkeimessage"]
    reply = cloud_event(inreplyto=request)
    assert api.publish(reply, interface, key).status_code == 202
    return reply


def test_a_caller_waits_for_its_reply(api: Api) -> None:
    api.drain("asked", REGISTER)
    thread, found = in_thread(lambda: httpx.post(
        f"{api.url}/v1/{TENANT}/interfaces/question/requests?wait_seconds=60",
        headers={"authorization": f"Bearer {TAX}", **STRUCTURED}, json=cloud_event(), timeout=90,
    ))  # fmt: skip
    (lent,) = api.pull("asked", REGISTER, wait_seconds=30)
    assert lent["event"]["renkeiexpires"].endswith("Z")
    reply = answer(api, lent)
    thread.join(30)
    assert found[0].status_code == 200
    assert found[0].headers["content-type"] == "application/cloudevents+json"
    got = found[0].json()
    assert {name: got[name] for name in reply} == reply
    assert "renkeidelivery" not in got
    api.settle("ack", lent, subscription="asked", key=REGISTER)


def test_a_reply_that_comes_later_is_asked_for_later(api: Api) -> None:
    api.drain("asked", REGISTER)
    first = ask(api, 0)
    assert first.status_code == 202
    message, place = first.json()["message"], first.headers["location"]
    assert place == f"/v1/{TENANT}/messages/{message}/reply"
    assert api.call("GET", place, TAX).status_code == 204
    thread, found = in_thread(lambda: httpx.get(
        f"{api.url}{place}?wait_seconds=60", headers={"authorization": f"Bearer {TAX}"}, timeout=90
    ))  # fmt: skip
    until(lambda: ("reply", message) in api.node.events.signals._watches)
    reply = answer(api, message)
    thread.join(30)
    assert found[0].json()["id"] == reply["id"]
    assert api.call("GET", place, TAX).json()["inreplyto"] == message


def test_the_same_request_again_finds_its_reply(api: Api) -> None:
    event = cloud_event()
    place = "interfaces/question/requests?wait_seconds=0"
    first = api.call("POST", place, TAX, STRUCTURED, json=event)
    reply = answer(api, first.json()["message"])
    again = api.call("POST", place, TAX, STRUCTURED, json=event)
    assert (again.status_code, again.json()["id"]) == (200, reply["id"])


def test_an_expired_request_is_gone_and_a_late_reply_is_still_given(api: Api) -> None:
    first = ask(api, 0, "brief")
    place = first.headers["location"]
    gone = api.call("GET", f"{place}?wait_seconds=30", TAX)
    problem(gone, 410, "RNK7215E")
    reply = answer(api, first.json()["message"])
    assert api.call("GET", place, TAX).json()["id"] == reply["id"]


def test_a_waiting_caller_is_not_kept_beyond_the_end_of_its_request(api: Api) -> None:
    assert ask(api, 30, "brief").status_code == 202


def test_a_reply_on_another_interface_answers_nothing(api: Api) -> None:
    first = ask(api, 0)
    answer(api, first.json()["message"], "moved")
    assert api.call("GET", first.headers["location"], TAX).status_code == 204
    reply = answer(api, first.json()["message"])
    assert api.call("GET", first.headers["location"], TAX).json()["id"] == reply["id"]


def test_replies_are_for_whoever_asked(api: Api) -> None:
    first = ask(api, 0)
    place = first.headers["location"]
    problem(api.call("GET", place, WELFARE), 404, "RNK7204E")
    problem(api.call("GET", f"messages/{TENANT}-m99999999/reply", TAX), 404)
    problem(api.call("GET", "messages/372013-m1/reply", TAX), 404)
    problem(ask(api, 0, "answer"), 404)
    message = api.publish(cloud_event()).json()["message"]
    problem(api.call("GET", f"messages/{message}/reply", REGISTER), 404, "RNK7216E")
    problem(api.call("POST", "interfaces/moved/requests", REGISTER, STRUCTURED, json=cloud_event()), 404, "RNK7216E")
    batch = {"content-type": "application/cloudevents-batch+json"}
    problem(api.call("POST", "interfaces/question/requests", TAX, batch, json=[cloud_event()]), 415)
