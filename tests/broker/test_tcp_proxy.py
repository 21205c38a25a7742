"""The proxy that faults are made with does what it says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.proxy import TcpProxy


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    """In front of a server that sends back whatever comes."""

    def echo(client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65536):
                    client.sendall(data)
            except OSError:
                pass

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        with TcpProxy("127.0.0.1", listener.getsockname()[1]) as proxy:
            yield proxy
        listener.shutdown(socket.SHUT_RDWR)


def connected(proxy: TcpProxy) -> socket.socket:
    opened = proxy.opened
    client = socket.create_connection(("127.0.0.1", proxy.port), 10)
    proxy.wait_opened(opened + 1)
    return client


def received(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = client.recv(count - len(data))
        assert more
        data += more
    return data


def test_bytes_go_through_unaltered(proxy: TcpProxy) -> None:
    sent = bytes(range(256)) * 1000
    with connected(proxy) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert received(client, len(sent)) == sent
        assert client.recv(1) == b"", "an end goes through too"
    assert proxy.sent == len(sent)


@pytest.mark.parametrize(("sending", "receiving"), [(True, False), (False, True), (True, True)])
def test_what_is_stalled_waits_and_goes_on(proxy: TcpProxy, sending: bool, receiving: bool) -> None:
    with connected(proxy) as client:
        proxy.stall(sending=sending, receiving=receiving)
        client.sendall(b"x")
        if not sending:
            proxy.wait_sent(1)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert (proxy.sent, proxy.connections) == (0 if sending else 1, 1)
        proxy.go_on()
        client.settimeout(10)
        assert client.recv(1) == b"x"


def test_a_cut_resets_and_the_next_connection_works(proxy: TcpProxy) -> None:
    with connected(proxy) as client:
        proxy.stall()
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    proxy.go_on()
    with connected(proxy) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert proxy.cut(reset=False) == 1
        assert client.recv(1) == b"", "this end is an orderly one"


def test_refused_connections_and_the_same_port_again(proxy: TcpProxy) -> None:
    with connected(proxy) as client:
        proxy.refuse()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 10)
    proxy.go_on()
    with connected(proxy) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
