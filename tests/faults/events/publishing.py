"""The publisher of a fault run, a process of its own: `python -m tests.faults.events.publishing JOB`.

Publishes every person's serials one after another, each until it is answered 202, always with the same id. Connections speak the content
modes of CloudEvents in turn: binary, structured, and the last one batches. Writes what came of it beside the job.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvloop

from tests.faults.events.line import Answer, Line, post
from tests.faults.events.town import PUBLISH, SOURCE, TYPE, cloud_event, record

MOST_UNEXPECTED: Final = 20
BATCH: Final = 8
LOOK_SECONDS: Final = 0.02


@dataclass
class Job:
    """What is to be published: `serials` events of each of `people` persons, over `connections`, to nodes at `ports`; no more than the
    file `allowed` says, which may grow while the job is done."""

    folder: Path
    ports: list[int]
    people: int
    serials: int
    connections: int
    begun: int = 0
    answered: int = 0
    allowed: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)
    outcomes: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)

    def count(self, outcome: str) -> None:
        """One was answered 202."""
        self.answered += 1
        self.outcomes[outcome] += 1

    async def may(self, count: int) -> None:
        """Wait until so many more may be published."""
        while self.begun + count > self.allowed:
            await self.more.wait()
        self.begun += count

    async def look(self) -> None:
        """Tell how far it is, and learn how far it may go, for ever."""
        while True:
            self.tell()
            self.allowed = int((self.folder / "allowed").read_text("ascii"))
            self.more.set()
            self.more.clear()
            await asyncio.sleep(LOOK_SECONDS)

    def tell(self) -> None:
        """Tell whoever watches how far it is."""
        progress = os.open(self.folder / "published", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(progress, b"%010d" % self.answered)
        os.close(progress)

    def wonder(self, answer: Answer) -> None:
        """An answer that should not be."""
        self.unexpected.append(f"{answer.status} {answer.body[:300].decode('utf-8', 'replace')}")
        if len(self.unexpected) > MOST_UNEXPECTED:
            raise SystemExit("\n".join(self.unexpected))


async def _one(job: Job, line: Line, request: bytes) -> None:
    while (answer := await line.ask(request)).status != 202:
        job.wonder(answer)
    job.count(answer.json()["outcome"])


def _binary(person: int, serial: int) -> bytes:
    attributes = {"ce-specversion": "1.0", "ce-id": f"{person}-{serial}", "ce-source": SOURCE, "ce-type": TYPE}
    return post(PUBLISH, "application/json", json.dumps(record(person, serial), ensure_ascii=False).encode(), attributes)


def _structured(person: int, serial: int) -> bytes:
    return post(PUBLISH, "application/cloudevents+json", json.dumps(cloud_event(person, serial), ensure_ascii=False).encode())


async def _batched(job: Job, line: Line, waiting: list[tuple[int, int]]) -> None:
    """Each of the batch until it is taken; those of one person are never in the same one."""
    while waiting:
        body = json.dumps([cloud_event(*each) for each in waiting], ensure_ascii=False).encode()
        answer = await line.ask(post(PUBLISH, "application/cloudevents-batch+json", body))
        if answer.status not in (202, 207):
            job.wonder(answer)
            continue
        left = []
        for each, result in zip(waiting, answer.json()["results"], strict=True):
            if result["status"] == 202:
                job.count(result["outcome"])
            else:
                left.append(each)
                if result["status"] not in (429, 503):
                    job.wonder(Answer(result["status"], {}, json.dumps(result).encode()))
        waiting = left


async def _work(job: Job, number: int, line: Line) -> None:
    own = range(number, job.people, job.connections)
    for serial in range(1, job.serials + 1):
        if number == job.connections - 1:
            for start in range(0, len(own), BATCH):
                await job.may(len(own[start : start + BATCH]))
                await _batched(job, line, [(person, serial) for person in own[start : start + BATCH]])
        else:
            made = _structured if number % 2 else _binary
            for person in own:
                await job.may(1)
                await _one(job, line, made(person, serial))


async def _publish(job: Job) -> list[Line]:
    lines = [Line(job.ports, number % len(job.ports)) for number in range(job.connections)]
    looking = asyncio.create_task(job.look())
    async with asyncio.TaskGroup() as group:
        for number, line in enumerate(lines):
            group.create_task(_work(job, number, line))
    looking.cancel()
    return lines


def main(file: Path) -> None:
    """Do the job."""
    told: dict[str, Any] = json.loads(file.read_text("ascii"))
    job = Job(file.parent, **told)
    lines = uvloop.run(_publish(job))
    job.tell()
    report = {
        "answered": job.answered,
        "outcomes": dict(job.outcomes),
        "cuts": sum(line.cuts for line in lines),
        "refused": sum(line.refused for line in lines),
        "unexpected": job.unexpected,
        "without_retry_after": [each for line in lines for each in line.unasked],
    }
    finished = file.parent / "published.new"
    finished.write_text(json.dumps(report), "utf-8")
    finished.rename(file.parent / "published.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
