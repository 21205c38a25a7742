"""Acknowledging what was taken, many messages with one word.

Owns: which deliveries of a channel are done. AMQP acknowledges "this one and all before it" (AMQP 0-9-1, basic.ack, field `multiple`): what
became done within one turn of the loop is acknowledged together, as far as nothing before it is still being taken.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiormq.channel import Channel

from bus.rabbitmq import TROUBLE


class Acknowledgements:
    """The deliveries of one channel with one consumer: their tags count from 1."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._done: set[int] = set()
        self._rejected: set[int] = set()
        self._before = 0
        """every delivery up to this one is done, and acknowledged or about to be"""
        self._planned = False
        self._saying: set[asyncio.Task[None]] = set()

    def done(self, tag: int) -> None:
        """It was taken for good."""
        self._done.add(tag)
        if not self._planned:
            self._planned = True
            self._loop.call_soon(self._acknowledge)

    async def reject(self, tag: int) -> None:
        """It cannot be taken; the queue's dead-letter rule says where it goes."""
        with contextlib.suppress(*TROUBLE):  # the channel was lost: the message comes again
            await self._channel.basic_reject(tag, requeue=False, wait=False)
        self._rejected.add(tag)
        self.done(tag)

    def _acknowledge(self) -> None:
        """Name the last one that was taken: one that was rejected the broker does not know any more, and would end the channel for it."""
        self._planned = False
        taken = None
        while self._before + 1 in self._done:
            self._before += 1
            self._done.discard(self._before)
            if self._before in self._rejected:
                self._rejected.discard(self._before)
            else:
                taken = self._before
        if taken is not None:
            task = self._loop.create_task(self._say(taken))
            self._saying.add(task)
            task.add_done_callback(self._saying.discard)

    async def _say(self, tag: int) -> None:
        with contextlib.suppress(*TROUBLE):  # the channel was lost: they come again, and are known
            await self._channel.basic_ack(tag, multiple=True, wait=False)
