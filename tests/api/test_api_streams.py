"""Server-sent events over real sockets: a cut line, a newer reader, a node that ends."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.api.api_site import TENANT, WELFARE, Api, cloud_event, in_thread, problem, running_api, write_site
from tests.node.small_city import until

PATH = f"/v1/{TENANT}/subscriptions/welfare_stream/events"


@contextlib.contextmanager
def stream(api: Api, last: int | None = None) -> Iterator[Iterator[dict[str, str]]]:
    headers = {"authorization": f"Bearer {WELFARE}", **({} if last is None else {"last-event-id": str(last)})}
    with httpx.Client(base_url=api.url, timeout=60) as client, client.stream("GET", PATH, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield _blocks(answer.iter_lines())


def _blocks(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    block: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            block[name] = value.removeprefix(" ")
        elif block:
            yield block
            block = {}


def events(blocks: Iterator[dict[str, str]], count: int) -> list[dict[str, Any]]:
    found = [block for block in (next(blocks) for _ in range(count)) if "data" in block]
    return [{**json.loads(block["data"]), "_id": int(block["id"]), "_type": block["event"]} for block in found]


def publish(api: Api, count: int) -> list[str]:
    made = [cloud_event() for _ in range(count)]
    for one in made:
        assert api.publish(one, "streamed").status_code == 202
    return [one["id"] for one in made]


def test_events_come_as_they_are_published_and_go_on_after_a_cut(api: Api) -> None:
    api.drain("welfare_stream")
    names = publish(api, 2)
    with stream(api) as blocks:
        head = next(blocks)
        assert set(head) == {"retry", "id"}
        found = events(blocks, 2)
        names += publish(api, 1)
        found += events(blocks, 1)
    assert [one["id"] for one in found] == names
    assert {one["_type"] for one in found} == {"jp.renkei.moved"}
    later = publish(api, 2)
    with stream(api, found[0]["_id"]) as blocks:
        next(blocks)
        assert [one["id"] for one in events(blocks, 4)] == [*names[1:], *later]


def test_what_was_written_to_a_line_that_nobody_read_comes_again(api: Api) -> None:
    api.drain("welfare_stream")
    with stream(api) as blocks:
        position = int(next(blocks)["id"])
    with contextlib.closing(socket.create_connection(("127.0.0.1", api.node.api_port))) as line:
        head = f"GET {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {WELFARE}\r\nlast-event-id: {position}\r\n\r\n"
        line.sendall(head.encode())
        line.recv(10)
        names = publish(api, 3)
        until(lambda: _delivered(api, 3))
    with stream(api, position) as blocks:
        next(blocks)
        assert [one["id"] for one in events(blocks, 3)] == names


def _delivered(api: Api, count: int) -> bool:
    newest = api.node.parts.journal.deliveries(tenant=TENANT, subscription="welfare_stream", limit=count)
    return all(one.state.value == "delivered" for one in newest)


def test_a_newer_reader_ends_the_older(api: Api) -> None:
    api.drain("welfare_stream")
    with stream(api) as older:
        next(older)
        with stream(api) as newer:
            next(newer)
            assert list(older) == []
            names = publish(api, 1)
            assert [one["id"] for one in events(newer, 1)] == names


def test_many_events_come_in_the_order_of_publishing(api: Api) -> None:
    api.drain("welfare_stream")
    names = publish(api, 150)
    with stream(api) as blocks:
        next(blocks)
        assert [one["id"] for one in events(blocks, 150)] == names


def test_a_bad_place_is_refused(api: Api) -> None:
    for place in ("x", "-1", "1" * 40, "٣"):
        headers: Any = {"last-event-id": place.encode()}
        problem(api.call("GET", "subscriptions/welfare_stream/events", WELFARE, headers), 422)


def test_a_node_ends_although_readers_and_waiters_are_there(tmp_path: Path) -> None:
    write_site(tmp_path, sign_in="none")
    with contextlib.ExitStack() as running:
        api = running.enter_context(running_api(tmp_path))
        place = f"{api.url}/v1/{TENANT}/subscriptions/welfare_moved/pull"
        thread, found = in_thread(lambda: httpx.post(place, json={"wait_seconds": 60}, timeout=90))
        until(lambda: ("pull", TENANT, "welfare_moved") in api.node.events.signals._watches)
        with stream(api) as blocks:
            next(blocks)
            ended, rest = in_thread(lambda: list(blocks))
            began = time.monotonic()
            running.pop_all().close()
            assert time.monotonic() - began < 5  # the server's own patience with requests that do not end
            ended.join(30)
            thread.join(30)
    assert rest == [[]]
    assert found[0].json() == {"events": []}
