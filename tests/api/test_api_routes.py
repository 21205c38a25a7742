"""Publishing and fetching over real sockets: what goes in comes out, once, for whom it is."""

from __future__ import annotations

import httpx

from tests.api.api_site import REGISTER, STRUCTURED, TAX, TENANT, TYPE, WELFARE, Api, cloud_event, data, in_thread, problem


def test_a_published_event_reaches_both_subscribers_once(api: Api) -> None:
    api.drain()
    api.drain("tax_moved", TAX)
    event = cloud_event(subject="s1", time="2026-11-20T01:30:00+09:00", traceparent="00-x-y-01")
    answer = api.publish(event)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "accepted")
    message = answer.json()["message"]
    again = api.publish(event)
    assert (again.status_code, again.json()) == (202, {"message": message, "outcome": "duplicate"})
    (lent,) = api.pull()
    assert lent["attempt"] == 1
    assert {name: lent["event"][name] for name in event} == event
    assert lent["event"]["renkeimessage"] == message
    assert lent["event"]["renkeidelivery"] == lent["delivery"]
    state = api.call("GET", f"messages/{message}").json()
    assert state["deliveries"] == [
        {"subscription": "tax_moved", "state": "due"},
        {"subscription": "welfare_moved", "state": "claimed"},
    ]
    assert api.settle("ack", lent) == ["delivered"]
    assert api.settle("ack", lent) == ["delivered"]
    assert api.pull() == []
    (other,) = api.pull("tax_moved", TAX)
    assert api.settle("ack", other, subscription="tax_moved", key=TAX) == ["delivered"]
    assert {one["state"] for one in api.call("GET", f"messages/{message}").json()["deliveries"]} == {"delivered"}


def test_binary_mode_and_a_batch(api: Api) -> None:
    api.drain()
    headers = {"ce-specversion": "1.0", "ce-id": "binary-1", "ce-source": "/r%20s", "ce-type": TYPE, "content-type": "application/json"}
    assert api.call("POST", "interfaces/moved/events", headers=headers, json=data()).status_code == 202
    good, bad = cloud_event(), cloud_event(data(kind="9"))
    kind = {"content-type": "application/cloudevents-batch+json"}
    answer = api.call("POST", "interfaces/moved/events", headers=kind, json=[good, bad])
    assert [one["status"] for one in answer.json()["results"]] == [202, 422]
    assert answer.status_code == 207
    assert api.call("POST", "interfaces/moved/events", headers=kind, json=[cloud_event(), cloud_event()]).status_code == 202
    lent = api.pull()
    assert [one["event"]["id"] for one in lent][:2] == ["binary-1", good["id"]]
    assert (len(lent), lent[0]["event"]["source"]) == (4, "/r s")
    assert api.settle("ack", *lent) == ["delivered"] * 4


def test_a_long_poll_is_woken_by_the_event_it_waits_for(api: Api) -> None:
    api.drain()
    thread, found = in_thread(lambda: httpx.post(
        f"{api.url}/v1/{TENANT}/subscriptions/welfare_moved/pull",
        headers={"authorization": f"Bearer {WELFARE}"}, json={"wait_seconds": 60}, timeout=90,
    ))  # fmt: skip
    api.publish(cloud_event())
    thread.join(30)
    (lent,) = found[0].json()["events"]
    api.settle("ack", lent)


def test_handing_back_and_giving_up(api: Api) -> None:
    api.drain()
    api.publish(cloud_event())
    (lent,) = api.pull()
    assert api.settle("renew", lent, lease_seconds=120) == ["renewed"]
    assert api.settle("nack", lent, reason="no_household") == ["due"]
    (again,) = api.pull(wait_seconds=30)
    assert (again["delivery"], again["attempt"], again["fence"]) == (lent["delivery"], 2, lent["fence"] + 1)
    assert api.settle("ack", lent) == ["stale"]
    assert api.settle("nack", again, give_up=True) == ["quarantined"]
    assert api.pull() == []


def test_a_consumer_that_never_acknowledges_ends_in_quarantine(api: Api) -> None:
    api.drain()
    message = api.publish(cloud_event()).json()["message"]
    for attempt in (1, 2):
        (lent,) = api.pull(wait_seconds=30, lease_seconds=1)
        assert lent["attempt"] == attempt
    assert api.pull(wait_seconds=2) == []
    found = {one["subscription"]: one["state"] for one in api.call("GET", f"messages/{message}").json()["deliveries"]}
    assert found["welfare_moved"] == "quarantined"


def test_what_another_system_published_or_subscribes_to_is_not_there(api: Api) -> None:
    message = api.publish(cloud_event()).json()["message"]
    refusals = [
        api.call("GET", f"messages/{message}", WELFARE),
        api.call("GET", f"messages/{TENANT}-m999999"),
        api.call("GET", "messages/372013-m1"),
        api.call("GET", "messages/nonsense"),
        api.publish(cloud_event(), "moved", WELFARE),
        api.publish(cloud_event(), "elsewhere"),
        api.publish(cloud_event(), "nowhere"),
        api.publish(cloud_event(), "people"),
        api.call("POST", "subscriptions/welfare_moved/pull", REGISTER, json={}),
        api.call("POST", "subscriptions/welfare_elsewhere/pull", WELFARE, json={}),
        api.call("POST", "subscriptions/welfare_people/pull", WELFARE, json={}),
        api.call("GET", "subscriptions/welfare_moved/events", TAX),
    ]
    told = [{**problem(answer, 404), "message_id": ""} for answer in refusals]
    assert all(one == told[0] for one in told[:1] + told[8:])


def test_every_refusal_of_publishing(api: Api) -> None:
    event = cloud_event()
    api.publish(event)
    problem(api.publish({**event, "data": data()}), 409, "RNK4303E")
    found = problem(api.publish(cloud_event(data(kind="9", name="倉敷　花子 1 ?", day="2026-02-30"))), 422, "RNK4304E")
    assert {one["field"] for one in found["problems"]} >= {"kind", "day"}
    assert "倉敷　花子" not in str(found)
    assert set(found["problems"][0]["words"]) == {"ja", "en"}
    problem(api.publish(cloud_event(data(name="花" * 1000))), 413)
    long = api.call("POST", "interfaces/moved/events", headers=STRUCTURED, content=(b"x" * 100 for _ in range(100)))
    problem(long, 413, "RNK7206E")
    problem(api.call("POST", "interfaces/moved/events", headers={"content-type": "text/plain"}, content=b"x"), 415)
    japanese = api.call("POST", "interfaces/moved/events", headers={**STRUCTURED, "accept-language": "ja"}, content=b"{")
    assert "JSON" in problem(japanese, 400)["detail"]
