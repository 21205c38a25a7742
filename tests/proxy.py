"""A TCP proxy on loopback that does what networks do: cut, stall in one direction or both, refuse, and go on.

    with TcpProxy("127.0.0.1", 5432) as proxy:
        connect(proxy.port); proxy.stall(); ...; proxy.go_on(); proxy.cut()

Every method may be called from any thread and has taken effect when it returns. Bytes are never altered, doubled or reordered.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

PATIENCE_SECONDS = 30.0
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 seconds: closing sends RST instead of FIN"""


class _Pair:
    """One connection through the proxy: a socket on each side."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.sockets = (client, server)
        self.pumps = 2

    def end(self, *, reset: bool) -> None:
        """Wake both pumps; they close. With `reset` the peers see a reset connection, else its orderly end."""
        for each in self.sockets:
            with contextlib.suppress(OSError):
                if reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    each.shutdown(socket.SHUT_RD)
                else:
                    each.shutdown(socket.SHUT_RDWR)


class TcpProxy:
    """Listens on `port` (a free one) towards `host`:`target`, until `close`."""

    def __init__(self, host: str, target: int) -> None:
        self._target = (host, target)
        self._changed = threading.Condition()
        self._pairs: set[_Pair] = set()
        self._stalled = [False, False]
        self._opened = 0
        self._bytes = [0, 0]
        self._closed = False
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """Open now."""
        with self._changed:
            return len(self._pairs)

    @property
    def opened(self) -> int:
        """Connections opened since the beginning."""
        with self._changed:
            return self._opened

    def wait_opened(self, count: int) -> None:
        """Until so many connections have been opened since the beginning."""
        self._wait(lambda: self._opened >= count, f"{count} connections")

    def wait_sent(self, count: int) -> None:
        """Until so many bytes have gone from clients to the target since the beginning."""
        self._wait(lambda: self._bytes[0] >= count, f"{count} bytes")

    @property
    def sent(self) -> int:
        """Bytes that have gone from clients to the target since the beginning."""
        with self._changed:
            return self._bytes[0]

    def cut(self, *, reset: bool = True) -> int:
        """End every open connection, by reset or in order; returns how many. New ones are taken as before."""
        with self._changed:
            pairs = list(self._pairs)
            self._pairs.clear()
            self._changed.notify_all()
        for pair in pairs:
            pair.end(reset=reset)
        self._wait(lambda: all(pair.pumps == 0 for pair in pairs), "the end of what is cut")
        return len(pairs)

    def stall(self, *, sending: bool = True, receiving: bool = True) -> None:
        """Let nothing more through from clients to the target (`sending`), to the clients (`receiving`), or either way, on open
        connections and new ones. They stay open; what is sent meanwhile waits."""
        with self._changed:
            self._stalled = [sending, receiving]

    def towards(self, target: int) -> None:
        """Connect whoever comes from now on to another port: what stood behind the old one was started again."""
        with self._changed:
            self._target = (self._target[0], target)

    def refuse(self, *, cut: bool = True) -> None:
        """Stop listening, so that new connections are refused, and cut the open ones."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts; closing would not
        self._taker.join(PATIENCE_SECONDS)
        self._listener.close()
        if cut:
            self.cut()

    def go_on(self) -> None:
        """Let everything through again, and listen again on the same port."""
        with self._changed:
            self._stalled = [False, False]
            self._changed.notify_all()
        if self._listener.fileno() < 0:
            self._listener = self._listen(self.port)

    def close(self) -> None:
        """Refuse and cut for good."""
        with self._changed:
            self._closed = True
            self._stalled = [False, False]
            self._changed.notify_all()
        self.refuse()

    def _wait(self, met: Callable[[], bool], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(met, PATIENCE_SECONDS), f"the proxy waits in vain for {what}"

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self._taker = threading.Thread(target=self._take, args=(listener,), daemon=True)
        self._taker.start()
        return listener

    def _take(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, PATIENCE_SECONDS)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        server.settimeout(None)
        pair = _Pair(client, server)
        for each in pair.sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._changed:
            self._pairs.add(pair)
            self._opened += 1
            self._changed.notify_all()
            if self._closed:
                self._pairs.clear()
                pair.end(reset=True)
        for way in (0, 1):
            threading.Thread(target=self._pump, args=(pair, way), daemon=True).start()

    def _pump(self, pair: _Pair, way: int) -> None:
        try:
            self._carry(pair, way)
        except OSError:  # one side was reset, and the other is to know
            with self._changed:
                if pair in self._pairs:
                    self._pairs.discard(pair)
                    pair.end(reset=True)
        with self._changed:
            pair.pumps -= 1
            if pair.pumps == 0:
                self._pairs.discard(pair)
                for each in pair.sockets:
                    each.close()
            self._changed.notify_all()

    def _carry(self, pair: _Pair, way: int) -> None:
        """Until the source ends in order, or either side is no more."""
        source, target = pair.sockets[way], pair.sockets[1 - way]
        while data := source.recv(65536):
            with self._changed:
                self._changed.wait_for(lambda: not self._stalled[way] or pair not in self._pairs)
            self._send(pair, target, data)
            with self._changed:
                self._bytes[way] += len(data)
                self._changed.notify_all()
        if pair in self._pairs:
            target.shutdown(socket.SHUT_WR)

    def _send(self, pair: _Pair, target: socket.socket, data: bytes) -> None:
        """Send all, or raise when the pair is cut: a peer that does not read must not hold the thread."""
        rest = memoryview(data)
        while rest:
            if pair not in self._pairs:
                raise ConnectionAbortedError
            if select.select([], [target], [], 0.05)[1]:
                rest = rest[target.send(rest, socket.MSG_DONTWAIT) :]
