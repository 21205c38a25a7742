"""Whatever stands where an attribute's name should: a refusal does not repeat a person's number."""

from __future__ import annotations

import pytest

from tests.api.api_site import TYPE, Api, cloud_event, data, problem

PERSON = "903320200000017"


@pytest.mark.parametrize("value", [5.5, ["x"], "a\nb", "x" * 1200])
def test_the_name_of_an_extension(api: Api, value: object) -> None:
    for name in (PERSON, f"n{PERSON}", f"{PERSON}n"):
        assert PERSON not in str(problem(api.publish({**cloud_event(), name: value}), 400))


@pytest.mark.parametrize("value", [b"\xe5", b"%ff", b"a%0ab"])
def test_the_name_of_a_header(api: Api, value: bytes) -> None:
    known = [("ce-id", b"x"), ("ce-source", b"/s"), ("ce-type", TYPE.encode()), ("ce-specversion", b"1.0")]
    headers = [*known, (f"ce-{PERSON}", value), ("content-type", b"application/json"), ("authorization", b"Bearer key-of-register")]
    answer = api.client.post("/v1/332020/interfaces/moved/events", headers=headers, json=data())
    assert PERSON not in str(problem(answer, 400))
    assert PERSON not in str(
        problem(api.client.post("/v1/332020/interfaces/moved/events", headers=[*headers, headers[4]], json=data()), 400)
    )


def test_a_name_that_is_one_is_told(api: Api) -> None:
    assert "sequence" in problem(api.publish({**cloud_event(), "sequence": 1.5}), 400)["detail"]
