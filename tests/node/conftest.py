"""What the whole-node tests share: the log, kept where a test can read it."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from monitoring.log import set_up_log


@pytest.fixture(scope="module")
def log() -> Iterator[io.StringIO]:
    """Every line that the node logs."""
    stream = io.StringIO()
    set_up_log(stream=stream)
    yield stream
    set_up_log()
