"""Full-width and half-width forms of the same character, as tables made from Unicode ranges. Used by the `width` step.

Owns: which characters are twins. Half-width katakana with a separate voiced mark (ｶﾞ) is the twin of one full-width letter (ガ).
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

from contracts.translation import Width, WidthKind

_KANA: Final = range(0xFF61, 0xFFA0)
"""Half-width katakana and its punctuation; the last two are the voiced marks."""
_MARKS: Final = {"ﾞ": "\u3099", "ﾟ": "\u309a"}
_STANDALONE: Final = {"ﾞ": "゛", "ﾟ": "゜"}


def _ascii(first: str, last: str) -> dict[str, str]:
    return {chr(code): chr(code + 0xFEE0) for code in range(ord(first), ord(last) + 1)}


def _kana() -> dict[str, str]:
    twins: dict[str, str] = {}
    for code in _KANA:
        half = chr(code)
        full = _STANDALONE.get(half) or unicodedata.normalize("NFKC", half)
        twins[half] = full
        for mark, combining in _MARKS.items():
            composed = unicodedata.normalize("NFC", full + combining)
            if len(composed) == 1 and half not in _MARKS:
                twins[half + mark] = composed
    return twins


@cache
def half_to_full(kind: WidthKind) -> dict[str, str]:
    """Half-width text -> its full-width twin, for one kind of character."""
    if kind == "digits":
        return _ascii("0", "9")
    if kind == "latin":
        return _ascii("A", "Z") | _ascii("a", "z")
    if kind == "space":
        return {" ": "\u3000"}
    if kind == "kana":
        return _kana()
    return {half: full for half, full in _ascii("!", "~").items() if not half.isalnum()}


def twins(step: Width) -> dict[str, str]:
    """What a `width` step replaces by what, longest first so that a voiced mark stays with its letter."""
    pairs: dict[str, str] = {}
    for kind in step.kinds:
        pairs |= half_to_full(kind)
    if step.to == "half":
        pairs = {full: half for half, full in pairs.items()}
    return dict(sorted(pairs.items(), key=lambda pair: -len(pair[0])))
