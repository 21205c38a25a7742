"""What a reader that comes back has missed: in the order of writing, known here or taken from the journal, on a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.api.sse import MOST_AT_ONCE, Stream, frame
from bus.event import Way
from bus.events.callers import Caller
from bus.events.streams import Streams
from bus.message import DeliveryState
from tests.api.doubles import TENANT, Bench, subscription
from tests.journal.event_samples import event, to

WELFARE = subscription(first_seconds=100, attempts=3)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.journal.close()


class Reader:
    """A reader of the stream: what it has got, until its line is cut after so many events."""

    def __init__(self, bench: Bench, streams: Streams, last: int | None, *, cut_after: int = 10_000) -> None:
        self.caller = Caller()
        self.got: list[str] = []
        self.last = last
        self.written: list[str] = []
        self.begun = asyncio.Event()
        self.beat = asyncio.Event()
        self._left = cut_after
        self._stream = Stream(streams, bench.pull, TENANT, WELFARE, last, heartbeat_seconds=0.02)

    async def write(self, piece: bytes) -> None:
        """Everything is written; what comes after the cut is not received, and nobody notices."""
        self.begun.set()
        if piece == b":\n\n":
            self.beat.set()
        for block in piece.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "data" in fields:
                name = fields["data"].split('"id":"')[1].split('"')[0]
                self.written.append(name)
                if self._left:
                    self._left -= 1
                    self.got.append(name)
                    self.last = int(fields["id"])
            elif "id" in fields and not self.written:
                self.last = int(fields["id"])

    async def read(self, until: int) -> list[str]:
        """Run until so many events were written and booked: the next heartbeat comes after that."""
        reading = asyncio.create_task(self.run())
        async with asyncio.timeout(30):
            while True:
                await self.beat.wait()
                self.beat.clear()
                if len(self.written) >= until:
                    break
        self.caller.leave()
        await reading
        return self.got

    async def run(self) -> None:
        await self._stream.run(self.caller, self.write)


def moves(*numbers: int, key: str = "") -> list:
    return [event(number, to(way=Way.PULL), key=key) for number in numbers]


async def test_a_new_reader_gets_what_is_due_and_it_is_delivered(bench: Bench) -> None:
    taken = bench.publish(*moves(1, 2))
    assert await Reader(bench, Streams(bench.journal), None).read(2) == ["e1", "e2"]
    assert {bench.state(one.deliveries[0][1]) for one in taken} == {DeliveryState.DELIVERED}


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_was_written_to_a_dead_line_comes_again(bench: Bench, restarted: bool) -> None:
    bench.publish(*moves(1, 2, 3, 4))
    streams = Streams(bench.journal)
    first = Reader(bench, streams, None, cut_after=2)
    assert await first.read(4) == ["e1", "e2"]
    bench.publish(*moves(5))
    again = Reader(bench, Streams(bench.journal) if restarted else streams, first.last)
    assert await again.read(3) == ["e3", "e4", "e5"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_event_written_after_one_with_a_higher_number_is_not_lost(bench: Bench, restarted: bool) -> None:
    """The second of an ordering key is written after the first of another, whose number is higher."""
    bench.publish(*moves(1, 2, key="a"), *moves(3, key="b"))
    bench.clock.advance(1)
    streams = Streams(bench.journal)
    first = Reader(bench, streams, None, cut_after=2)
    ticking = asyncio.create_task(_ticking(bench))
    assert await first.read(3) == ["e1", "e3"]
    ticking.cancel()
    again = Reader(bench, Streams(bench.journal) if restarted else streams, first.last)
    assert "e2" in await again.read(1)


async def _ticking(bench: Bench) -> None:
    while True:
        bench.clock.advance(0.001)
        await asyncio.sleep(0)


@pytest.mark.parametrize("restarted", [False, True])
async def test_even_the_first_event_of_a_stream_is_not_lost(bench: Bench, restarted: bool) -> None:
    bench.publish(*moves(1))
    assert await Reader(bench, Streams(bench.journal), None).read(1) == ["e1"]
    streams = Streams(bench.journal)
    silent = Reader(bench, streams, None, cut_after=0)
    bench.publish(*moves(2))
    assert await silent.read(1) == []
    again = Reader(bench, Streams(bench.journal) if restarted else streams, silent.last)
    assert await again.read(1) == ["e2"]


async def test_a_reader_that_has_everything_gets_nothing_again(bench: Bench) -> None:
    bench.publish(*moves(1, 2, 3))
    streams = Streams(bench.journal)
    first = Reader(bench, streams, None)
    await first.read(3)
    for known in (streams, Streams(bench.journal)):
        bench.publish(*moves(4 if known is streams else 5))
        again = Reader(bench, known, first.last)
        assert await again.read(1) == ["e4" if known is streams else "e5"]
        first = again


async def test_a_newer_reader_ends_the_older(bench: Bench) -> None:
    streams = Streams(bench.journal)
    older = Reader(bench, streams, None)
    reading = asyncio.create_task(older.run())
    await older.begun.wait()
    bench.publish(*moves(1))
    newer = Reader(bench, streams, None)
    await newer.read(0 if older.got else 1)
    await reading
    assert sorted(older.got + newer.got) == ["e1"]
    assert not streams._readers


async def test_what_was_being_written_when_the_reader_left_is_given_back(bench: Bench) -> None:
    bench.publish(*moves(1))
    reader = Reader(bench, Streams(bench.journal), None)

    async def write(piece: bytes) -> None:
        if b"data:" in piece:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        await reader._stream.run(reader.caller, write)
    (again,) = await bench.pull.take(TENANT, WELFARE, Caller(), most=1, lease_seconds=60)
    assert again.event.attempt == 1


async def test_a_frame_is_one_event_of_one_line_each(bench: Bench) -> None:
    bench.publish(*moves(1))
    (lent,) = await bench.pull.take(TENANT, WELFARE, Caller(), most=1, lease_seconds=60)
    lines = frame(lent.claimed.number, lent.event).decode().split("\n")
    assert [line.split(":")[0] for line in lines] == ["id", "event", "data", "", ""]


async def test_a_reader_that_takes_nothing_is_lent_one_page_and_no_more(bench: Bench) -> None:
    bench.publish(*moves(*range(1, 181)))
    reader, blocked, taking = Reader(bench, Streams(bench.journal), None), asyncio.Event(), asyncio.Event()
    held: list[bytes] = []

    async def write(piece: bytes) -> None:
        if b"data:" in piece:
            held.append(piece)
            blocked.set()
            await taking.wait()
        await reader.write(piece)

    reading = asyncio.create_task(reader._stream.run(reader.caller, write))
    async with asyncio.timeout(30):
        await blocked.wait()
        assert (len(held), held[0].count(b"data:"), bench.group.claims) == (1, MOST_AT_ONCE, 1)
        taking.set()
        while len(reader.written) < 180:
            await reader.beat.wait()
            reader.beat.clear()
    assert bench.group.claims >= 4
    reader.caller.leave()
    await reading
