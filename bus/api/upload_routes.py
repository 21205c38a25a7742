"""Uploading a file piece by piece: tus 1.0.0 (resumable upload protocol), core with the extensions creation and termination.

Owns: the protocol's headers and statuses. A piece counts from the answer on that tells the offset behind it; of one that a broken line
cuts off, what came is kept.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Header, Request, Response

from bus.api.bodies import PATIENCE_SECONDS, CallerLeft, pieces
from bus.api.calls import ApiParts
from bus.api.documented import answers, uploads_piece
from bus.api.problems import CallRefused, nothing_there
from bus.api.rights import OwnInterface
from bus.errors import OperationRefused
from bus.events.uploads import MOST_BYTES, Upload, UploadBusy, Uploads, Writing

TUS: Final = "1.0.0"
_ABOUT: Final = {"tus-resumable": TUS}
_OPTIONS: Final = {**_ABOUT, "tus-version": TUS, "tus-extension": "creation,termination", "tus-max-size": str(MOST_BYTES)}
_PIECE: Final = "application/offset+octet-stream"
_GATHERED_BYTES: Final = 1024 * 1024
"""Written at once: small pieces of the network make no small writes."""
_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Made durable in between: so much is sent again at most when the node dies."""
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ResultT = TypeVar("ResultT")


def upload_router(api: ApiParts) -> APIRouter:
    """The routes of uploads."""
    router = APIRouter(prefix="/v1/{tenant}", tags=["upload"])
    _add_creation(router, api)
    _add_pieces(router, api)
    _add_looks(router, api)
    return router


def _add_creation(router: APIRouter, api: ApiParts) -> None:
    @router.options("/interfaces/{interface}/uploads", status_code=204, include_in_schema=False)
    async def options(tenant: str, interface: str) -> Response:  # noqa: ARG001 - the same for all
        """What of the protocol is spoken here."""
        return Response(status_code=204, headers=_OPTIONS)

    @router.post("/interfaces/{interface}/uploads", status_code=201, responses=answers(201, 400, 412, 413, 422, 429, 507))
    async def create(
        tenant: str,
        interface: str,
        request: Request,
        tus_resumable: Annotated[str | None, Header()] = None,
        upload_length: Annotated[str | None, Header(description="bytes of the whole file")] = None,
        upload_metadata: Annotated[str | None, Header(description="filename <its name in UTF-8, in Base64>")] = None,
    ) -> Response:
        """Announce a file for this interface, under the name by which the interface knows its files. `Location` says where its bytes go."""
        own = api.rights.files(api.who(request, tenant), interface)
        _speaks(tus_resumable)
        length = _number(upload_length, "Upload-Length")
        if length > MOST_BYTES:
            raise CallRefused("RNK7206E", status=413, headers=_ABOUT, limit=MOST_BYTES)
        upload = await asyncio.to_thread(_begun, api.uploads, own, tenant, _file_name(upload_metadata or ""), length)
        if length == 0:
            await _handed_over(api.uploads, upload)
        return Response(status_code=201, headers={**_ABOUT, "location": f"/v1/{tenant}/uploads/{upload.id}"})


def _add_pieces(router: APIRouter, api: ApiParts) -> None:
    @router.patch(
        "/uploads/{upload}",
        status_code=204,
        responses=answers(204, 400, 408, 409, 412, 413, 415, 423, 507),
        openapi_extra=uploads_piece(_PIECE),
    )
    async def patch(
        tenant: str,
        upload: str,
        request: Request,
        tus_resumable: Annotated[str | None, Header()] = None,
        upload_offset: Annotated[str | None, Header(description="where the piece begins")] = None,
    ) -> Response:
        """Send the next piece. With the last one the file goes on its way; `GET` tells what becomes of it."""
        found = await _own(api, request, tenant, upload)
        _speaks(tus_resumable)
        if request.headers.get("content-type", "").lower() != _PIECE:
            raise CallRefused("RNK7207E", status=415, headers=_ABOUT, wanted=_PIECE)
        offset = _number(upload_offset, "Upload-Offset")
        reached = await _received(api.uploads, found, offset, request)
        if reached == found.length:
            await _handed_over(api.uploads, found)
        return Response(status_code=204, headers={**_ABOUT, "upload-offset": str(reached)})


def _add_looks(router: APIRouter, api: ApiParts) -> None:
    @router.head("/uploads/{upload}", responses=answers(200, 412, bare=True))
    async def head(tenant: str, upload: str, request: Request, tus_resumable: Annotated[str | None, Header()] = None) -> Response:
        """How many bytes are there: where to go on."""
        found = await _own(api, request, tenant, upload)
        _speaks(tus_resumable)
        offset = await asyncio.to_thread(api.uploads.offset, found)
        return Response(headers={**_ABOUT, "upload-offset": str(offset), "upload-length": str(found.length), "cache-control": "no-store"})

    @router.get("/uploads/{upload}", responses=answers(200, schema="UploadState"))
    async def state(tenant: str, upload: str, request: Request) -> Response:
        """What became of the file: `receiving`, `taking`, then as its receipt says."""
        found = await _own(api, request, tenant, upload)
        now = await asyncio.to_thread(api.uploads.state, found)
        body = json.dumps({"state": now.state, "receipt": now.receipt, "message": now.message}).encode()
        return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")

    @router.delete("/uploads/{upload}", status_code=204, responses=answers(204, 409, 412, 423))
    async def delete(tenant: str, upload: str, request: Request, tus_resumable: Annotated[str | None, Header()] = None) -> Response:
        """Give an unfinished upload up."""
        found = await _own(api, request, tenant, upload)
        _speaks(tus_resumable)
        await _told(api.uploads.remove, found)
        return Response(status_code=204, headers=_ABOUT)


async def _own(api: ApiParts, request: Request, tenant: str, upload: str) -> Upload:
    who = api.who(request, tenant)
    found = await asyncio.to_thread(api.uploads.find, tenant, upload)
    if not who.is_one_of(found.system):
        raise nothing_there()
    return found


def _speaks(version: str | None) -> None:
    if version != TUS:
        raise CallRefused("RNK7223E", status=412, headers={"tus-version": TUS}, wanted=TUS)


def _number(text: str | None, name: str) -> int:
    if text is None or not _NUMBER.fullmatch(text):
        raise CallRefused("RNK7224E", status=400, headers=_ABOUT, header=name)
    return int(text)


def _file_name(metadata: str) -> str:
    """The name in `Upload-Metadata`: pairs of a key and a Base64 value, with commas between."""
    for pair in metadata.split(","):
        key, _, value = pair.strip().partition(" ")
        if key == "filename":
            try:
                return base64.b64decode(value, validate=True).decode("utf-8")
            except (binascii.Error, ValueError):
                break
    raise CallRefused("RNK7224E", status=400, headers=_ABOUT, header="Upload-Metadata: filename")


def _begun(uploads: Uploads, own: OwnInterface, tenant: str, name: str, length: int) -> Upload:
    try:
        return uploads.begin(tenant, own.interface.id, own.system, name, length)
    except OperationRefused as error:
        status = 429 if error.message_id == "RNK7220E" else 422
        headers = {**_ABOUT, "retry-after": "60"} if status == 429 else _ABOUT
        # The name is not repeated: it may be anything.
        message_id = error.message_id if status == 429 else "RNK7225E"
        raise CallRefused(message_id, status=status, headers=headers, **error.facts) from None  # type: ignore[arg-type]
    except OSError as error:
        raise _no_room(error) from error


async def _done(deed: Callable[..., ResultT], *given: object) -> ResultT:
    """Do it in a thread, to its end: when the node ends meanwhile, the upload is let go only after it, and not under its hands."""
    doing = asyncio.ensure_future(asyncio.to_thread(deed, *given))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.gather(doing, return_exceptions=True)
        raise


async def _told(deed: Callable[[Upload], ResultT], upload: Upload) -> ResultT:
    """Do it, and say its refusals as the protocol does."""
    try:
        return await _done(deed, upload)
    except UploadBusy as error:
        raise CallRefused(error.message_id, status=423, headers=_ABOUT, **error.facts) from None  # type: ignore[arg-type]
    except OperationRefused as error:
        raise CallRefused(error.message_id, status=409, headers=_ABOUT, **error.facts) from None  # type: ignore[arg-type]


async def _handed_over(uploads: Uploads, upload: Upload) -> None:
    """Give it to the intake; what keeps it from going now is tried again later, the file being safe."""
    try:
        await _done(uploads.hand_over, upload)
    except (OSError, UploadBusy):
        return


async def _received(uploads: Uploads, upload: Upload, offset: int, request: Request) -> int:
    """Take a piece in; the offset behind it.

    Raises:
        CallRefused: 408, 409, 413, 423, 507. CallerLeft: what came of the piece is kept.
    """
    async with _writing(uploads, upload) as writing:
        if offset != writing.offset:
            raise CallRefused("RNK7226E", status=409, headers={**_ABOUT, "upload-offset": str(writing.offset)}, offset=writing.offset)
        declared = request.headers.get("content-length", "")
        if _NUMBER.fullmatch(declared) and int(declared) > writing.left:
            raise CallRefused("RNK7206E", status=413, headers=_ABOUT, limit=writing.left)
        try:
            await _copied(writing, request)
        except OSError as error:
            raise _no_room(error) from error
        finally:
            reached = await _done(_kept, writing)
        return reached


def _kept(writing: Writing) -> int:
    try:
        return writing.keep()
    except OSError:
        return writing.offset  # the former offset stands, and is what the sender finds when it looks


async def _copied(writing: Writing, request: Request) -> None:
    gathered = bytearray()
    since = 0
    coming = pieces(request)
    while True:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                piece = await anext(coming, None)
        except (TimeoutError, CallerLeft) as error:
            await _done(writing.write, bytes(gathered))
            if isinstance(error, CallerLeft):
                raise
            raise CallRefused("RNK7212E", status=408, headers={**_ABOUT, "connection": "close"}, seconds=PATIENCE_SECONDS) from None
        if piece is not None:
            if len(gathered) + len(piece) > writing.left:
                raise CallRefused("RNK7206E", status=413, headers={**_ABOUT, "connection": "close"}, limit=writing.left)
            gathered += piece
        if gathered and (piece is None or len(gathered) >= _GATHERED_BYTES):
            await _done(writing.write, bytes(gathered))
            since += len(gathered)
            gathered.clear()
        if piece is None:
            return
        if since >= _KEPT_BYTES:
            await _done(writing.keep)
            since = 0


@asynccontextmanager
async def _writing(uploads: Uploads, upload: Upload) -> AsyncIterator[Writing]:
    with ExitStack() as stack:
        yield await _told(lambda one: stack.enter_context(uploads.writing(one)), upload)


def _no_room(error: OSError) -> CallRefused | OSError:
    """507 for a full disk; any other trouble of the disk is ours."""
    if error.errno in _FULL:
        return CallRefused("RNK7227E", status=507, headers={**_ABOUT, "retry-after": "60"})
    return error
