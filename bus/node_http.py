"""A node's HTTP listeners: monitoring on loopback, operations on the site's private socket.

Owns: sockets and servers. Loaded only by a node that listens. The private socket is made with mode 0600 in a folder that only the node's
user may enter, so that it is never open to others, not even for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from bus.api.app import monitoring_app, operations_app
from bus.api.applications import Applications
from bus.api.http1 import Http1
from bus.api.socket_path import short_path
from bus.errors import NodeBusy, SiteInvalid
from bus.operations import Operations
from bus.site import LoadedSite


@contextlib.asynccontextmanager
async def listening(
    site: LoadedSite,
    private_socket: Path,
    operations: Operations,
    metrics: Callable[[], bytes],
    problems: Callable[[], list[str]],
    application: Applications | None = None,
) -> AsyncIterator[tuple[int, int]]:
    """Serve until the context ends; gives the port that monitoring is served on, and that of `application` (0 without one).

    Raises:
        NodeBusy: a port or the private socket cannot be had. SiteInvalid: the certificate or its key cannot be used.
    """
    listen, api = site.site.listen, site.site.api
    async with contextlib.AsyncExitStack() as serving:
        monitoring_socket = serving.enter_context(_tcp(listen.host, listen.port))
        token = None if listen.token_file is None else site.path(listen.token_file)
        operations_socket = serving.enter_context(_private(private_socket))
        await serving.enter_async_context(_serving(monitoring_app(metrics, problems, token), monitoring_socket))
        await serving.enter_async_context(_serving(operations_app(operations), operations_socket))
        api_port = 0
        if application is not None:
            api_socket = serving.enter_context(_tcp(api.host, api.port))
            api_port = int(api_socket.getsockname()[1])
            # The server counts a connection before it compares, and refuses at the limit.
            limits = {"limit_concurrency": api.connections + 1, "backlog": 1024, "timeout_graceful_shutdown": 5}
            await serving.enter_async_context(_serving(application, api_socket, http=Http1, **limits, **_tls(site)))
            application.open()
            serving.callback(application.close)  # first: callers that wait are let go, so that the server can end
        yield int(monitoring_socket.getsockname()[1]), api_port


def _tls(site: LoadedSite) -> dict[str, str]:
    """Certificate and key of the API. They are tried here: a server that cannot use them would let callers wait for ever."""
    api = site.site.api
    if api.tls_certificate is None or api.tls_key is None:
        return {}
    certificate, key = str(site.path(api.tls_certificate)), str(site.path(api.tls_key))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise SiteInvalid("RNK7016E", certificate=certificate, key=key, reason=reason) from error
    return {"ssl_certfile": certificate, "ssl_keyfile": key}


def _no_password() -> str:
    """Asked for by an encrypted key; without this, the library would ask on the terminal."""
    raise ValueError("the key is encrypted")


@contextlib.contextmanager
def _tcp(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family)
    except OSError as error:
        raise NodeBusy("RNK7004E", where=f"{host}:{port}", reason=error.strerror or str(error)) from error
    with made:
        yield made


@contextlib.contextmanager
def _private(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as made, short_path(path) as short:
        before = os.umask(0o177)
        try:
            made.bind(short)
            made.listen()
        except OSError as error:
            raise NodeBusy("RNK7004E", where=str(path), reason=error.strerror or str(error)) from error
        finally:
            os.umask(before)
        yield made
    path.unlink(missing_ok=True)


class _Server(uvicorn.Server):
    """A server that leaves signals to the node."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(app: Any, bound: socket.socket, **how: Any) -> AsyncIterator[None]:
    """Serve on a socket that listens already: whoever connects before the server runs waits in its queue."""
    server = _Server(
        uvicorn.Config(
            app, log_config=None, log_level="error", access_log=False, lifespan="off", proxy_headers=False, server_header=False, **how
        )
    )
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
