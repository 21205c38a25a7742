"""Telling the kernel to begin writing to disk, so that the sync at the end has little left to wait for."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Final

_WRITE: Final = 2
"""SYNC_FILE_RANGE_WRITE of sync_file_range(2): start, do not wait."""


@cache
def _system_call() -> Any:
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is not None:
        call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return call


def start_writeback(descriptor: int, offset: int, length: int) -> None:
    """Begin to write this range of the file to disk. A hint: nothing is promised, and where the system has no such call nothing happens;
    durability comes from the sync alone."""
    call = _system_call()
    if call is not None and length:
        call(descriptor, offset, length, _WRITE)
