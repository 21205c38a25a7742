"""The pytest plugin: fixtures `renkei_node`, `renkei_site` and `renkei_webhooks`.

Owns: the fixtures. Loaded by entry point `pytest11` into every pytest of an environment that Renkei is installed in, so it imports nothing
of the bus before a test asks for a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bus.testing.node import NodeInTest

_SCOPE = "renkei_node_scope"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long a node lives is the tests' choice."""
    parser.addini(_SCOPE, "scope of the fixture renkei_node: function (a fresh node for each test), module or session", default="function")


def _scope(fixture_name: str, config: pytest.Config) -> Any:  # noqa: ARG001 - the form pytest asks for
    return config.getini(_SCOPE)


@pytest.fixture(scope=_scope)
def renkei_site() -> Path | str | None:
    """The site whose node is run: `site.yaml` or its folder, relative to pytest's root folder. Override it; None is Renkei's example."""
    return None


@pytest.fixture(scope=_scope)
def renkei_webhooks() -> Mapping[str, str]:
    """Webhooks that are really called: by endpoint, a URL on this machine. Override it; the events of all others are fetched with
    `renkei_node.received`."""
    return {}


@pytest.fixture(scope=_scope)
def renkei_node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, renkei_site: Any, renkei_webhooks: Mapping[str, str]
) -> Iterator[NodeInTest]:
    """A node that runs within this process, over a copy of the site in a temporary folder, on free ports. See `NodeInTest`."""
    from bus.testing.node import node_in_test  # noqa: PLC0415 - only for tests that want a node

    site = None if renkei_site is None else request.config.rootpath / renkei_site
    with node_in_test(site, tmp_path_factory.mktemp("renkei"), renkei_webhooks) as node:
        yield node
