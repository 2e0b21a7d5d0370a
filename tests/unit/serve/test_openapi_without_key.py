"""Requests made from the OpenAPI document, good and bad, without a key that is known: nothing is answered or done.

The real handlers and the real gate in this process; what is behind it is never reached, so nothing else has to run.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from functions.serve import openapi
from functions.shared import wiring
from functions.shared.access import OPEN, SCOPES
from tests.support import fuzzing  # noqa: F401  tells of our media types
from tests.support.in_process import InProcess, NoHandler
from tests.support.keys import VARIABLES

schema = schemathesis.openapi.from_dict(openapi.document())
CREDENTIALS: dict[str, dict[str, str]] = {
    "none": {},
    "nobody's": {"Authorization": "Bearer wk_nobodys"},
    "empty": {"Authorization": "Basic Og=="},
    "statement": {"X-Api-Key": "' OR 1=1 --"},
    "two": {"X-Api-Key": "wk_local", "Authorization": "Bearer ak_local"},
}


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    routes = [
        (method, path, stage)
        for stage in ("collect", "serve")
        for path, methods in import_module(f"functions.{stage}.app").app.routes.items()
        for method in methods
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        wiring.gate.cache_clear()
        with httpx.Client(base_url="http://weir", transport=InProcess(routes)) as client:
            yield client
    wiring.gate.cache_clear()


@pytest.mark.parametrize("credentials", CREDENTIALS)
@schema.parametrize()
@settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_nothing_is_answered(case: schemathesis.Case, api: httpx.Client, credentials: str) -> None:
    # What is no route the gateway refuses by itself.
    if SCOPES.get((case.method.upper(), case.path), OPEN) == OPEN:
        return
    answer = _sent(case, api, CREDENTIALS[credentials])
    if answer is not None:
        # A key in the query of a read is told as such, whatever it is.
        refused = answer.status_code == 401 or answer.json()["code"] == "key_in_query"
        assert refused, (answer.status_code, answer.text)


def _sent(case: schemathesis.Case, api: httpx.Client, headers: dict[str, str]) -> httpx.Response | None:
    """The answer; None where the path that was made has no handler."""
    given: dict[str, Any] = case.as_transport_kwargs(base_url="http://weir")
    known = {name: given[name] for name in ("method", "url", "params", "json", "data") if name in given}
    prepared = requests.Request(**known).prepare()
    kept = {name: value for name, value in prepared.headers.items() if name.lower() == "content-type"}
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
    request = api.build_request(prepared.method or "GET", prepared.url or "", headers={**kept, **headers}, content=body)
    try:
        return api.send(request)
    except NoHandler:
        return None
