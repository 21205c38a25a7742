"""What every kind of hints must do, whatever carries them. A back end's test is a subclass with a factory."""

from __future__ import annotations

import asyncio
import threading

from bus.broker.hints import Hints

PATIENCE_SECONDS = 20.0


async def taken(hints: Hints, count: int) -> set[str]:
    """So many different ids, waited for as often as it takes."""
    found: set[str] = set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            found |= await hints.wait(timeout_seconds=PATIENCE_SECONDS)
    return found


class HintLaws:
    """Made anew for each test: `make()` gives hints, `nodes()` two nodes' ends of the same hints (in one process, both are the same)."""

    def make(self) -> Hints:
        return self.nodes()[0]

    def nodes(self) -> tuple[Hints, Hints]:
        raise AssertionError("say how")

    async def test_what_is_published_is_waited_for(self) -> None:
        hints = self.make()
        hints.publish(["332020-d1", "332020-d2", "332020-d1"])
        assert await taken(hints, 2) == {"332020-d1", "332020-d2"}

    async def test_many_ids_of_one_call_all_come(self) -> None:
        hints = self.make()
        ids = {f"332020-d{number}" for number in range(5000)}
        hints.publish(iter(ids))
        assert await taken(hints, 5000) == ids

    async def test_a_hint_of_another_thread_wakes_who_waits(self) -> None:
        hints = self.make()
        waiting = asyncio.create_task(hints.wait(timeout_seconds=PATIENCE_SECONDS))
        await asyncio.sleep(0)  # the task reaches its wait
        thread = threading.Thread(target=hints.publish, args=(["332020-d1"],))
        thread.start()
        assert await waiting == {"332020-d1"}
        thread.join()

    async def test_a_hint_of_one_node_wakes_another(self) -> None:
        one, other = self.nodes()
        waiting = asyncio.create_task(other.wait(timeout_seconds=PATIENCE_SECONDS))
        await asyncio.sleep(0)
        one.publish(["332020-d1"])
        assert await waiting == {"332020-d1"}

    async def test_no_hint_is_no_failure(self) -> None:
        hints = self.make()
        assert await hints.wait(timeout_seconds=0.001) == frozenset()
        hints.publish([])
        assert await hints.wait(timeout_seconds=0) == frozenset()

    async def test_a_waiter_that_is_cancelled_takes_nothing_with_it(self) -> None:
        hints = self.make()
        waiting = asyncio.create_task(hints.wait(timeout_seconds=PATIENCE_SECONDS))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        hints.publish(["332020-d1"])
        assert await taken(hints, 1) == {"332020-d1"}

    async def test_closing_wakes_every_waiter_and_drops_what_comes_later(self) -> None:
        hints = self.make()
        waiting = [asyncio.create_task(hints.wait(timeout_seconds=PATIENCE_SECONDS)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.to_thread(hints.close)
        assert await asyncio.gather(*waiting) == [frozenset()] * 3
        hints.publish(["332020-d1"])
        assert await hints.wait(timeout_seconds=PATIENCE_SECONDS) == frozenset()
        hints.close()  # twice is fine

    def test_hints_may_be_used_from_one_loop_after_another(self) -> None:
        hints = self.make()

        async def leave() -> None:
            task = asyncio.create_task(hints.wait(timeout_seconds=PATIENCE_SECONDS))
            await asyncio.sleep(0)
            task.cancel()

        async def take() -> set[str]:
            return await taken(hints, 1)

        asyncio.run(leave())
        hints.publish(["332020-d1"])
        assert asyncio.run(take()) == {"332020-d1"}

    async def test_publishing_never_waits_and_what_is_too_much_is_dropped(self) -> None:
        hints = self.make()

        def flood() -> None:
            for number in range(200):
                hints.publish(f"332020-d{number}-{each}" for each in range(500))

        await asyncio.wait_for(asyncio.to_thread(flood), PATIENCE_SECONDS)
        assert await hints.wait(timeout_seconds=PATIENCE_SECONDS)
