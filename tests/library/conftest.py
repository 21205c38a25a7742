"""The library as it is shipped, loaded once."""

from __future__ import annotations

import pytest

from contracts.registry import Registry


@pytest.fixture(scope="session")
def library() -> Registry:
    return Registry.load()
