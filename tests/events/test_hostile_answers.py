"""What a receiver may answer to harm the bus, in the header that asks for a wait."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from adapters.webhook.errors import MOST_WAIT_SECONDS, of_status, wait_seconds
from bus.errors import Transient

NOW = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("1000000000000", MOST_WAIT_SECONDS),
        ("9" * 100_000, MOST_WAIT_SECONDS),
        ("-5", None),
        ("1.5", None),
        ("١", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", MOST_WAIT_SECONDS),
        ("Fri, 20 Nov 2026 10:00:00 +99999999999999999999", None),
        ("Fri, 20 Nov 99999999999999999999999 10:00:00 GMT", None),
        ("Fri, 99 Nov 2026 99:99:99 GMT", None),
        ("x" * 100_000, None),
    ],
)
def test_no_wait_is_absurd(said: str, seconds: int | None) -> None:
    assert wait_seconds(said, NOW) == seconds
    trouble = of_status("hook", 503, said, NOW)
    assert isinstance(trouble, Transient)
    assert trouble.facts.get("retry_after_seconds") == seconds
