"""Schemathesis against the served OpenAPI document: no fault, and nothing answered that the document does not tell of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.api_site import TENANT, Api, cloud_event, running_api, write_site

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
]
EXAMPLES = 12


@schemathesis.serializer("application/offset+octet-stream")
def piece(_context: Any, value: Any) -> bytes:
    """A piece of an upload is bytes as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def open_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A node without sign-in: every operation can be reached."""
    folder = tmp_path_factory.mktemp("open")
    write_site(folder, sign_in="none")
    with running_api(folder) as running:
        for _ in range(20):
            running.publish(cloud_event(), key=None)
        yield running


def operations(api: Api) -> list[Any]:
    """Every operation of a tenant's document, but the stream: it does not end, and is tested by itself."""
    schema = schemathesis.openapi.from_url(f"{api.url}/openapi.json?tenant={TENANT}")
    found = [result.ok() for result in schema.get_all_operations()]
    return [one for one in found if not one.label.endswith("/events") or one.method.upper() == "POST"]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_nothing_is_answered_that_the_document_does_not_tell_of(open_api: Api, mode: GenerationMode) -> None:
    failures = {}
    tried = operations(open_api)
    for operation in tried:
        try:
            attack(operation, mode)
        except (AssertionError, BaseExceptionGroup) as failure:
            failures[operation.label] = failure
    assert len(tried) > 30
    assert not failures, "\n\n".join(f"{label}: {failure}" for label, failure in failures.items())


def attack(operation: Any, mode: GenerationMode) -> None:
    """Some examples of one operation."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def run(case: Any) -> None:
        for given_ in (case.query, case.body):  # nobody waits here
            if isinstance(given_, dict) and given_.get("wait_seconds"):
                given_["wait_seconds"] = 0
        response = case.call(timeout=30)
        # Each event of a batch is refused by itself: what is wrong with it stands in the answer.
        checks = [check for check in CHECKS if response.status_code != 207 or check is not negative_data_rejection]
        case.validate_response(response, checks=checks)

    run()
