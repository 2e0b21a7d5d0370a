"""Finding a route at the front door."""

import pytest

from infra.local.front_door.routes import Routes

ROUTES = Routes(
    [
        ("POST", "/api/v1/events", "collect"),
        ("GET", "/api/v1/events", "serve"),
        ("POST", "/api/v1/events/batch", "collect"),
        ("GET", "/api/v1/events/{event_id}", "serve"),
        ("GET", "/api/v1/events/{event_id}/trace", "serve"),
        ("GET", "/", "serve"),
    ]
)


def test_a_path_has_the_methods_of_all_its_routes() -> None:
    match = ROUTES.find("/api/v1/events")
    assert match is not None
    assert match.methods == {"POST": "collect", "GET": "serve"}
    assert match.allow == "GET, HEAD, OPTIONS, POST"


def test_a_literal_path_goes_before_a_pattern() -> None:
    match = ROUTES.find("/api/v1/events/batch")
    assert match is not None
    assert match.methods == {"POST": "collect"}


@pytest.mark.parametrize("path", ["/api/v1/events/0190", "/api/v1/events/a%20b", "/api/v1/events/x/trace", "/"])
def test_a_pattern_takes_any_one_segment(path: str) -> None:
    match = ROUTES.find(path)
    assert match is not None
    assert match.methods == {"GET": "serve"}


UNKNOWN = """
    /nope /api/v1/events/ /api/v1/events//trace /api/v1/events/a/b /api/v1//events // /API/v1/events
    /api/v1/events/.. /api/v1/events/%2e%2e /api/v1/events/a%2Fb
"""


@pytest.mark.parametrize("path", ["", *UNKNOWN.split()])
def test_nothing_else_is_found(path: str) -> None:
    assert ROUTES.find(path) is None
