"""What pydantic finds wrong with a document, in the catalogue's words, so that a Japanese reader is not told in English.

Owns: pydantic's error types to message ids. What is not listed here (above all the models' own validators) comes out as RNK1003E with
the validator's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_LIMITS: Final = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_BY_TYPE: Final = {
    "literal_error": "RNK1007E",
    "union_tag_invalid": "RNK1007E",
    "string_pattern_mismatch": "RNK1008E",
    "too_short": "RNK1013E",
    "string_too_short": "RNK1013E",
    "string_type": "RNK1009E",
    "list_type": "RNK1011E",
    "tuple_type": "RNK1011E",
    "dict_type": "RNK1012E",
    "model_type": "RNK1012E",
    "model_attributes_type": "RNK1012E",
    "int_type": "RNK1014E",
    "int_parsing": "RNK1014E",
    "int_from_float": "RNK1014E",
    "float_type": "RNK1014E",
    "float_parsing": "RNK1014E",
    "bool_type": "RNK1015E",
    "bool_parsing": "RNK1015E",
}


def worded(found: Mapping[str, Any], where: str) -> tuple[str, dict[str, object]]:
    """The message id of one of pydantic's findings and the facts for its text; `where` is the place as a person reads it."""
    kind, facts = str(found["type"]), found.get("ctx") or {}
    told: dict[str, object] = {"path": where, "found": f"{found.get('input')!r:.60}"}
    message_id = _BY_TYPE.get(kind)
    if kind == "literal_error":
        told["choices"] = str(facts["expected"]).replace(" or ", ", ")
    elif kind == "union_tag_invalid":
        told["choices"] = facts["expected_tags"]
    elif kind == "string_pattern_mismatch":
        told["pattern"] = facts["pattern"]
    elif limit := next((f"{_LIMITS[key]} {facts[key]}" for key in _LIMITS if key in facts), None):
        message_id, told["limit"] = "RNK1010E", limit
    elif kind in ("too_short", "string_too_short"):
        told["least"] = facts["min_length"]
    if message_id is not None:
        return message_id, told
    whole = isinstance(found.get("input"), dict | list)  # of a whole item its place says more than its text
    hint = where if whole else f"now: {told['found']}"
    return "RNK1003E", {"reason": str(found["msg"]).removeprefix("Value error, "), "hint": hint, "path": where}
