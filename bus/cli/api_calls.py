"""Calling the application API of a site's node, as a program of one of its systems would.

Owns: where the API is (what the running node left beside its socket, or `--url`), the key, and how a refusal is shown. What may be called
is in docs/developer; here nothing is known of events.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bus.cli import show
from bus.cli.exits import ExitCode, NotServed, WrongOption
from bus.cli.link import api_address
from bus.cli.session import Session
from bus.loopback import is_loopback
from bus.secret_files import read_secret

if TYPE_CHECKING:
    import httpx

Tenant = Annotated[str, typer.Option(help="The six-digit code of the municipality.")]
Url = Annotated[str | None, typer.Option(help="Where the API is. Otherwise that of the site's running node.")]
KeyFile = Annotated[Path | None, typer.Option(help="File with the system's API key, where the API asks for one.")]
CaFile = Annotated[Path | None, typer.Option(help="Certificate authorities (PEM) to believe instead of the machine's.")]

ANSWER_SECONDS: Final = 30.0
"""How long an answer may take, besides what the call itself may wait."""
_LATER: Final = (429, 503)
_NOT_THERE: Final = 404
_BROKEN: Final[show.Columns] = [(head, head) for head in ("field", "rule", "severity", "value", "meaning")]


@dataclass(frozen=True)
class Api:
    """The API, and one connection to it."""

    client: httpx.Client

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        arguments: Mapping[str, object] | None = None,
        wait_seconds: float = 0.0,
    ) -> httpx.Response:
        """One call, not tried again; whatever was answered, refusals too.

        Raises:
            NotServed: nobody answers there, or it takes nothing for now.
        """
        import httpx

        patience = httpx.Timeout(ANSWER_SECONDS + wait_seconds, connect=ANSWER_SECONDS)
        try:
            response = self.client.request(method, path, headers=headers, content=content, json=arguments, timeout=patience)
        except httpx.HTTPError as error:
            raise NotServed("RNK6113E", url=str(self.client.base_url), reason=str(error) or type(error).__name__) from error
        if response.status_code in _LATER:
            seconds = response.headers.get("retry-after", "5")
            raise NotServed("RNK6115E", reason=_problem(response).get("detail", response.status_code), seconds=seconds)
        return response


@contextmanager
def open_api(session: Session, url: str | None, key_file: Path | None, ca_file: Path | None) -> Iterator[Api]:
    """The API at `url`, or that of the site's running node.

    Raises:
        NothingThere: no site in the folder. NotServed: no node of it serves applications. WrongOption: a file cannot be used, or a key
            would be sent in the clear.
    """
    import httpx

    where = url or api_address(session.folder)
    headers = {"accept-language": session.language, "user-agent": "renkei"}
    if key_file is not None:
        headers["authorization"] = f"Bearer {_key(key_file, where)}"
    try:
        trust: Any = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise WrongOption("RNK6116E", file=str(ca_file), reason=error.strerror or str(error)) from error
    with httpx.Client(base_url=where, headers=headers, verify=trust, trust_env=False) as client:
        yield Api(client)


def _key(file: Path, url: str) -> str:
    import httpx

    try:
        key = read_secret(file)
    except OSError as error:
        raise WrongOption("RNK6116E", file=str(file), reason=error.strerror or str(error)) from error
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise WrongOption("RNK6117E", file=str(file))
    parts = httpx.URL(url)
    if parts.scheme != "https" and not is_loopback(parts.host):
        raise WrongOption("RNK6124E", url=url)
    return key


def refused(session: Session, response: httpx.Response) -> ExitCode:
    """Show a refusal: what was wrong in the person's language, and every broken rule; the exit code for it."""
    found = _problem(response)
    if "message_id" not in found:
        show.warn(session, "RNK6112E", status=response.status_code)
    else:
        show.as_told(session, str(found["message_id"]), str(found.get("detail", "")), str(found.get("action", "")))
    problems = found.get("problems") or []
    rows = [{**one, "meaning": (one.get("words") or {}).get(session.language, "")} for one in problems]
    if rows:
        show.rows(session, rows, _BROKEN, json_too=False, title="broken")
    return ExitCode.NOT_FOUND if response.status_code == _NOT_THERE else ExitCode.ABNORMAL


def _problem(response: httpx.Response) -> dict[str, Any]:
    """Problem details (RFC 9457), or nothing when the answer is none of ours."""
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
