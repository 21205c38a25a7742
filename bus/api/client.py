"""Asking a running node for operations over its private socket: the same methods, the same results, the same errors."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from bus.api.deeds import DEEDS
from bus.api.socket_path import short_path
from bus.errors import JournalError, JournalUnavailable, NotFound, OperationRefused, Permanent, SiteInvalid, Transient
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

        def ask(*given: object, **named: object) -> Any:
            arguments = _bound(name, given, named)
            try:
                response = self._client.post(f"/operations/{name}", json=arguments)
            except httpx.TransportError as error:
                raise OperationRefused("RNK6092E", reason=str(error)) from error
            return _result(response)

        return ask


def _bound(name: str, given: Sequence[object], named: Mapping[str, object]) -> dict[str, object]:
    """The arguments by name; TypeError for those that the operation does not have, as calling it would raise."""
    known = DEEDS[name]
    bound = dict(zip(known, given, strict=False))
    if len(given) > len(known) or named.keys() - known or named.keys() & bound:
        raise TypeError(f"{name}({', '.join(known)}) was called with {len(given)} arguments and {', '.join(named) or 'no names'}")
    return {key: str(value) if isinstance(value, Path) else value for key, value in (bound | dict(named)).items()}


def _result(response: httpx.Response) -> Any:
    try:
        answer = response.json()
    except ValueError as error:
        raise OperationRefused("RNK6092E", reason=f"HTTP {response.status_code}") from error
    if response.is_success:
        return answer["result"]
    found = answer["error"]
    raise _KINDS.get(found["kind"], OperationRefused)(found["message_id"], **found["facts"])
