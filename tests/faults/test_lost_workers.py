"""A worker that is lost in the middle of a task: another one does the task again, and what the node was told twice counts once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bus import delivery_output
from bus.batch.pool import Answer, WorkerPool
from bus.batch.render import RenderDocuments, Written
from bus.delivery_output import LocalSink, _Offsets, _write_documents
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
    delivery = cast("Delivery", SimpleNamespace(id="332020-d1"))
    output = await _write_documents(cast("WorkerPool", PoolThatLosesItsWorker()), delivery, cast("LocalSink", Opened()), task)
    assert [str(path) for path in output.files] == ["document-0", "document-1", "document-2"]
    assert [output.files[file].name for file in output.file_of] == ["document-0", "document-1", "document-2"]
    assert [end for _, _, end in output.frames] == [10, 11, 12]
