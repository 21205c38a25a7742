"""The broker that these tests share."""

from __future__ import annotations

import pytest

from tests.services.rabbitmq import rabbitmq, virtual_host  # noqa: F401 - fixtures

pytest.register_assert_rewrite("hint_laws")
