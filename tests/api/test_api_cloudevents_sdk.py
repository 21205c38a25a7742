"""The CloudEvents SDK publishes and reads what it gets: its idea of the bindings is not ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from tests.api.api_site import STRUCTURED, TENANT, TYPE, Api, data, problem


def made(name: str, **attributes: object) -> CloudEvent:
    known = {
        "specversion": "1.0",
        "id": name,
        "source": "/住民記録/東京 1",
        "type": TYPE,
        "time": datetime(2026, 11, 20, 1, 30, tzinfo=UTC),
        "subject": "世帯",
        "datacontenttype": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    return CloudEvent(attributes={**known, **attributes}, data=data())


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_what_the_sdk_sends_comes_back_as_the_sdk_reads_it(api: Api, mode: str) -> None:
    api.drain()
    event = made(f"sdk-{mode}")
    message = to_binary_event(event) if mode == "binary" else to_structured_event(event)
    answer = api.call("POST", "interfaces/moved/events", headers=message.headers, content=message.body)
    assert answer.status_code == 202, answer.text
    (lent,) = api.pull()
    got = from_http_event(HTTPMessage(headers=dict(STRUCTURED), body=json.dumps(lent["event"]).encode()))
    own, theirs = event.get_attributes(), got.get_attributes()
    assert {name: theirs[name] for name in own} == own
    assert theirs["renkeidelivery"] == lent["delivery"]
    assert got.get_data() == event.get_data()
    api.settle("ack", lent)


def test_the_same_event_in_both_modes_is_one(api: Api) -> None:
    event = made("sdk-twice")
    binary, structured = to_binary_event(event), to_structured_event(event)
    first = api.call("POST", "interfaces/moved/events", headers=binary.headers, content=binary.body).json()
    again = api.call("POST", "interfaces/moved/events", headers=structured.headers, content=structured.body).json()
    assert again == {"message": first["message"], "outcome": "duplicate"}
    assert first["message"].startswith(f"{TENANT}-m")
    api.drain()


def test_what_the_sdk_lets_pass_and_the_contract_does_not(api: Api) -> None:
    message = to_binary_event(made("sdk-other", type="jp.renkei.other"))
    problem(api.call("POST", "interfaces/moved/events", headers=message.headers, content=message.body), 422, "RNK4306E")
