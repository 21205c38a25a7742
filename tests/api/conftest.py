"""One node for the tests that leave nothing behind which others would stumble over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.api_site import Api, running_api, write_site


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API of a running node, with sign-in."""
    folder = tmp_path_factory.mktemp("api")
    write_site(folder)
    with running_api(folder) as running:
        yield running
