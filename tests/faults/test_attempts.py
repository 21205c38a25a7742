"""What goes wrong inside one attempt: a lost worker's task is done again and counts once; a failed attempt leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bus import delivery_output
from bus.batch.pool import Answer, WorkerPool
from bus.batch.render import RenderDocuments, Written
from bus.delivery_output import LocalSink, Output, _Offsets, _write_documents, seal_and_recount
from bus.errors import TotalsDisagree
from bus.message import Delivery, DeliveryChunkDone
from contracts.totals import Totals


async def test_a_chunk_asked_for_again_has_the_place_it_had() -> None:
    offsets = _Offsets(10)
    asked = [asyncio.create_task(offsets.answer(("offset", index, 100))) for index in (1, 0, 2)]
    assert await asyncio.gather(*asked) == [110, 10, 210]
    assert await offsets.answer(("offset", 1, 100)) == 110
    assert offsets.end == 310


async def test_a_chunk_of_another_length_than_before_is_refused() -> None:
    offsets = _Offsets(0)
    await offsets.answer(("offset", 0, 100))
    with pytest.raises(ValueError, match="100 bytes"):
        await offsets.answer(("offset", 0, 99))


class PoolThatLosesItsWorker:
    """Asks for the first two documents, is lost, and begins again."""

    async def run(self, group: str, task: object, answer: Answer) -> list[Written]:
        for index in (0, 1, 0, 1, 2):
            await answer(("document", index))
        return [Written(DeliveryChunkDone(index, 0, 10 + index, "", Totals(), Totals(), Totals()), Totals()) for index in range(3)]


class Opened:
    def local_path(self, number: int = 0) -> Path:
        return Path(f"document-{number}")


async def test_documents_asked_for_again_are_the_same_files(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SimpleNamespace(opening=lambda *_: b"", closing=lambda *_: b"")
    monkeypatch.setattr(delivery_output, "writing", lambda _: SimpleNamespace(writer=writer))
    task = RenderDocuments("332020-d1", [], cast("Any", None), 10, cast("Any", None))
    delivery = cast("Delivery", SimpleNamespace(id="332020-d1", file_name="{document}.xml"))
    output = await _write_documents(cast("WorkerPool", PoolThatLosesItsWorker()), delivery, cast("LocalSink", Opened()), task)
    assert [str(path) for path in output.files] == ["document-0", "document-1", "document-2"]
    assert [output.files[file].name for file in output.file_of] == ["document-0", "document-1", "document-2"]
    assert list(output.names) == ["1.xml", "2.xml", "3.xml"]
    assert [end for _, _, end in output.frames] == [10, 11, 12]


EMPTY = Path("/dev/null")


class SlowToSeal:
    """Goes on sealing until it is told that the count has failed; what it makes last must still be removed."""

    def __init__(self) -> None:
        self.failed = threading.Event()
        self.done: list[str] = []

    def seal(self, marker: bytes | None) -> None:
        assert self.failed.wait(10)
        self.done.append("made the marker")

    def abort(self) -> None:
        self.done.append("removed all")


async def test_a_failed_count_waits_for_the_sealing_before_it_removes_everything() -> None:
    opened = SlowToSeal()

    class PoolThatFindsOtherBytes:
        async def run(self, group: str, task: object, answer: Answer | None = None) -> None:
            asyncio.get_running_loop().call_later(0.05, opened.failed.set)
            raise TotalsDisagree("RNK4005E", delivery="332020-d1", chunk=0, offset=0, length=1)

    written = Written(DeliveryChunkDone(0, 0, 1, "", Totals(), Totals(), Totals()), Totals())
    output = Output(cast("LocalSink", opened), ["x.csv"], [EMPTY], [written], [0], [(b"", b"", 0)])
    delivery = cast("Delivery", SimpleNamespace(id="332020-d1"))
    with pytest.raises(TotalsDisagree):
        await seal_and_recount(cast("WorkerPool", PoolThatFindsOtherBytes()), delivery, cast("Any", None), output, None)
    assert opened.done == ["made the marker", "removed all"]
