"""Laws stand in modules of their own: pytest explains their failures as it does those of a test file."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "accept_laws", "deliver_laws", "event_laws", "operate_laws", "lease_laws", "value_laws", "concurrency_laws", "journal_samples"
)
