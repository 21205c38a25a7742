"""The C library's character converter, reached through the standard `iconv` functions.

Owns: calling `iconv` safely (buffers, stops at bad bytes). It decides nothing about characters: `contracts.characters` compares it with
its own table before use and does without it where it is missing or differs.
"""

from __future__ import annotations

import ctypes

import numpy as np

_FAILED = ctypes.c_size_t(-1).value
_REPLACEMENT = b"\xef\xbf\xbd"


class Iconv:
    """One open conversion to UTF-8. Not for use by several threads at once."""

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self._iconv = library.iconv
        self._iconv.argtypes = [ctypes.c_void_p] * 5
        self._iconv.restype = ctypes.c_size_t
        self._handle = ctypes.c_void_p(handle)

    @staticmethod
    def open(source: str, target: str) -> Iconv | None:
        """A converter between two encodings of the C library; None where it has no such converter."""
        try:
            library = ctypes.CDLL(None)
            library.iconv_open.restype = ctypes.c_void_p
            library.iconv_open.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
            handle = library.iconv_open(target.encode(), source.encode())
        except (OSError, AttributeError):
            return None
        return None if handle is None or handle == ctypes.c_void_p(-1).value else Iconv(library, handle)

    def convert(self, raw: bytes, most_stops: int) -> tuple[bytes, list[int]] | None:
        """Convert all of `raw`; a byte at which the converter stops becomes U+FFFD and its offset is listed.

        None when it stops more than `most_stops` times.
        """
        # three bytes of UTF-8 for one byte (half-width katakana, a replaced byte) is the most there can be
        room = np.empty(3 * len(raw) + 16, np.uint8)
        begin = ctypes.cast(ctypes.c_char_p(raw), ctypes.c_void_p).value or 0
        source, target = ctypes.c_void_p(begin), ctypes.c_void_p(room.ctypes.data)
        source_left, target_left = ctypes.c_size_t(len(raw)), ctypes.c_size_t(room.nbytes)
        stops: list[int] = []
        self._iconv(self._handle, None, None, None, None)
        while source_left.value:
            result = self._iconv(
                self._handle, ctypes.byref(source), ctypes.byref(source_left), ctypes.byref(target), ctypes.byref(target_left)
            )
            if result != _FAILED:
                break
            if len(stops) >= most_stops:
                return None
            stops.append((source.value or 0) - begin)
            ctypes.memmove(target, _REPLACEMENT, 3)
            target = ctypes.c_void_p((target.value or 0) + 3)
            target_left.value -= 3
            source = ctypes.c_void_p((source.value or 0) + 1)
            source_left.value -= 1
        return room[: room.nbytes - target_left.value].tobytes(), stops
