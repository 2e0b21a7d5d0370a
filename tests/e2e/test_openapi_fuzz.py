"""Requests made from the OpenAPI document, good and bad: each is answered as the document says, and none by a 5xx."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from functions.serve import openapi
from infra.local.stack import Stack
from tests.support import fuzzing  # noqa: F401  tells of our media types
from tests.support.keys import bearer, key_for
from tests.support.polling import until

EXAMPLES = 20
CHECKS = [content_type_conformance, response_headers_conformance, response_schema_conformance, status_code_conformance]
schema = schemathesis.openapi.from_dict(openapi.document())


# Longer than the service itself waits (`wait=stored`).
ANSWER_SECONDS = 20


# One broker: what is behind the edge makes no difference to it.
@pytest.mark.parametrize("stack", ["nats"], indirect=True)
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_request_is_answered_as_the_document_says(case: schemathesis.Case, stack: Stack) -> None:
    # What has no key is refused before anything else is looked at.
    key = bearer(key_for(case.method, case.path))
    answer = case.call(base_url=stack.base_url, timeout=ANSWER_SECONDS, headers=key)
    assert answer.status_code < 500, answer.text
    # A write tells of a bad event in its answer, and a dry run shows one: that is no rejection of the request.
    reading = case.method == "GET"
    case.validate_response(answer, checks=[*CHECKS, negative_data_rejection] if reading else CHECKS)


@pytest.mark.parametrize("stack", ["nats"], indirect=True)
def test_of_what_was_accepted_nothing_is_tried_for_ever(client: httpx.Client) -> None:
    def queue() -> Any:
        told = client.get("/api/v1/status").json()["queue"]
        return {name: told[name] for name in ("ready", "in_flight", "dead")}

    # A message that no try can record comes again for more than a minute before it is a dead letter.
    until(lambda: queue() == {"ready": 0, "in_flight": 0, "dead": 0}, 20, "an empty queue")
