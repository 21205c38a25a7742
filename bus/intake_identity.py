"""What an arriving file is: which interface it belongs to, and its identity.

Owns: reading identity from the file's name and from its header and trailer records, and refusing what does not agree. The wall clock is
never asked: a file without a business date is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from bus.errors import IntakeRefused
from bus.message import Identity
from bus.names import NamePattern
from bus.site import Interface, LoadedTenant

_FORMS: Final = {
    "tenant": r"[0-9]{6}",
    "business_date": r"[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])",
    "sequence": r"[0-9]{1,6}",
    "count": r"[0-9]{1,9}",
}
HIDDEN: Final = "*"
_HIGHEST_SEQUENCE: Final = 999_999_999


def interface_of(loaded: LoadedTenant, endpoint: str, name: str) -> Interface:
    """The interface of this endpoint whose name pattern the file has.

    Raises:
        IntakeRefused: none, or more than one.
    """
    at_endpoint = [interface for interface in loaded.tenant.interfaces if interface.endpoint == endpoint]
    fitting = [interface for interface in at_endpoint if NamePattern(interface.file).match(name) is not None]
    if len(fitting) != 1:
        patterns: Sequence[str] = [interface.file for interface in (fitting or at_endpoint)]
        message_id = "RNK4011E" if fitting else "RNK4010E"
        raise IntakeRefused(message_id, file=name, endpoint=endpoint, patterns=", ".join(patterns))
    return fitting[0]


def identity_of(tenant: str, interface: Interface, name: str, declared: Mapping[str, str]) -> Identity:
    """The identity from the file's name and what its control records declare; where both speak they must agree.

    Raises:
        IntakeRefused: no business date, another tenant's file, or name and control records disagree.
    """
    named = NamePattern(interface.file).match(name) or {}
    if (said := str(named.get("tenant", tenant))) != tenant or (said := declared.get("tenant", tenant)) != tenant:
        raise IntakeRefused("RNK4013E", file=name, tenant=tenant, found=told("tenant", said))
    business_date = _agreed("business_date", named.get("business_date"), declared.get("business_date"), name)
    sequence = _agreed("sequence", named.get("sequence"), declared.get("sequence"), name)
    if business_date is None:
        raise IntakeRefused("RNK4012E", file=name, interface=interface.id)
    try:
        day = date.fromisoformat(business_date).isoformat()
        number = _sequence(sequence)
    except ValueError as error:
        told_date, told_number = told("business_date", business_date), told("sequence", sequence or "1")
        raise IntakeRefused("RNK4015E", file=name, business_date=told_date, sequence=told_number) from error
    return Identity(tenant, interface.id, day, number)


def _sequence(written: str | None) -> int:
    """The number; 1 when none is written. ValueError when it is none, or no sequence ever gets so far."""
    number = 1 if written is None else int(written)
    if not 0 <= number <= _HIGHEST_SEQUENCE:
        raise ValueError(f"not a sequence: {number}")
    return number


def _agreed(what: str, named: str | int | None, declared: str | None, name: str) -> str | None:
    """The one value that name and control records say; None when neither says anything."""
    if named is None or declared is None:
        return str(named) if named is not None else declared
    same = str(named) == declared or (what == "sequence" and declared.isdigit() and int(declared) == int(named))
    if not same:
        raise IntakeRefused("RNK4014E", file=name, what=what, named=named, declared=told(what, declared))
    return str(named)


def told(what: str, declared: str) -> str:
    """What a control record says of itself, as it may be told. A record of data that stands where a control record should may be read as
    one; so what has not the form of a tenant, a date or a number of records is hidden. Sums are told: they are of many records.
    """
    form = _FORMS.get(what)
    return declared if form is None or re.fullmatch(form, declared) else HIDDEN
