"""What of a value may be shown: one policy for reports, the console, logs and reason files.

Owns: the policy. A name keeps its first character, any other personal value only its number of characters; a 個人番号 and a
support-measure flag keep nothing, not even their length.
"""

from __future__ import annotations

from typing import Final

from contracts.model import Contract, Sensitivity

HIDDEN: Final = "********"
_MOST: Final = 12


def mask(value: str, sensitivity: Sensitivity) -> str:
    """`value` as it may be shown.

    `none`: unchanged. `personal`: full-width text without digits keeps the first of two or more characters (`山＊＊＊`), anything else
    (numbers, dates, codes, addresses) only its length up to 12. `individual_number`, `support_measure`: always `********`.
    An absent value stays absent.
    """
    if value == "" or sensitivity == "none":
        return value
    if sensitivity != "personal":
        return HIDDEN
    shown = min(len(value), _MOST)
    if value.isascii() or any(character.isdecimal() for character in value):
        return "*" * shown
    return value[0] + "＊" * (shown - 1) if len(value) > 1 else "＊"


def sensitivity_of(contract: Contract, field: str) -> Sensitivity:
    """The field's sensitivity. Key and ordering fields name a person, so they are personal at least; what belongs to no field of the
    contract (a whole record, an unknown field) may hold anything, so it is treated as a 個人番号."""
    found: Sensitivity = next((known.sensitivity for known in contract.fields if known.name == field), "individual_number")
    if found == "none" and field in (*contract.key, *contract.ordering_key):
        return "personal"
    return found


def mask_for(contract: Contract, field: str, value: str) -> str:
    """`value` of `field` as it may be shown."""
    return mask(value, sensitivity_of(contract, field))
