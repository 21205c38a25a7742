"""Asking a running node for operations over its private socket: the same methods, the same results, the same errors."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from bus.api.app import DEEDS
from bus.api.socket_path import short_path
from bus.errors import JournalError, JournalUnavailable, NotFound, OperationRefused, Permanent, SiteInvalid, Transient
from bus.operations import Operations
from contracts.errors import ContractUnknown, RenkeiError

ANSWER_SECONDS: Final = 60.0
"""How long a node may take to say that it is there."""
TIMEOUT_SECONDS: Final = 1800.0
"""How long an operation may take: a file of many gigabytes is copied, and on disk, before `submit` answers."""
_KINDS: Final[Mapping[str, type[RenkeiError]]] = {
    kind.__name__: kind for kind in (ContractUnknown, NotFound, JournalError, JournalUnavailable, Permanent, SiteInvalid, Transient)
}
"""Errors that an operation may raise; any other comes back as OperationRefused."""


class RemoteOperations:
    """`bus.operations.Operations` of the node that listens on `socket`. Errors of the node come back as what they were there, with
    their own message id."""

    def __init__(self, socket: Path) -> None:
        self._names = contextlib.ExitStack()
        transport = httpx.HTTPTransport(uds=self._names.enter_context(short_path(socket)))
        patience = httpx.Timeout(TIMEOUT_SECONDS, connect=ANSWER_SECONDS)
        self._client = httpx.Client(transport=transport, base_url="http://node", timeout=patience)

    def answers(self) -> bool:
        """Whether a node listens there."""
        try:
            self._client.get("/", timeout=ANSWER_SECONDS)
        except httpx.TransportError:
            return False
        return True

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
        self._names.close()

    def __getattr__(self, name: str) -> Any:
        if name not in DEEDS:
            raise AttributeError(name)

        signature = inspect.signature(getattr(Operations, name))

        def ask(*given: object, **named: object) -> Any:
            bound = signature.bind(self, *given, **named).arguments
            arguments = {key: str(value) if isinstance(value, Path) else value for key, value in bound.items() if key != "self"}
            try:
                response = self._client.post(f"/operations/{name}", json=arguments)
            except httpx.TransportError as error:
                raise OperationRefused("RNK6092E", reason=str(error)) from error
            return _result(response)

        return ask


def _result(response: httpx.Response) -> Any:
    try:
        answer = response.json()
    except ValueError as error:
        raise OperationRefused("RNK6092E", reason=f"HTTP {response.status_code}") from error
    if response.is_success:
        return answer["result"]
    found = answer["error"]
    raise _KINDS.get(found["kind"], OperationRefused)(found["message_id"], **found["facts"])
