"""Live and test data are apart in every answer: asked with one key, no route tells anything of the other."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from functions.shared.access import LIVE_ONLY, SCOPES
from functions.shared.domain import ids
from infra.local import dev_keys
from schemas.rows import Delivery
from tests.support import wired
from tests.support.deliveries import NOW, delivery
from tests.support.in_process import InProcess
from tests.support.keys import bearer
from tests.support.whole import Whole, running

pytestmark = pytest.mark.engines
SECOND = 1_000_000_000
READ = {"live": dev_keys.READ, "test": dev_keys.TEST_READ}
MARKS = {"live": "livemark", "test": "testmark"}
OTHER = {"live": "test", "test": "live"}


def deliveries(environment: str) -> list[Delivery]:
    """The same of both, but for a mark in whatever is told of an event."""
    mark = MARKS[environment]
    made = []
    for number in range(6):
        made.append(
            delivery(
                event_name=f"{mark} {number % 2}",
                event_type="page_view" if number % 2 else mark,
                platform=mark,
                timestamp=NOW + number * 60 * SECOND,
                user_ref=mark,
                anonymous_id=f"device {mark}",
                page_path=f"/{mark}",
                properties=json.dumps({mark: mark}),
                key_id=f"{environment}_shop",
                failed=number == 5,
            )
        )
    return made


@pytest.fixture(scope="module")
def stored() -> dict[str, list[Delivery]]:
    return {environment: deliveries(environment) for environment in MARKS}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, stored: dict[str, list[Delivery]]) -> Iterator[httpx.Client]:
    with running(tmp_path_factory.mktemp("environments")) as whole:
        record(whole, stored)
        wired.forget()
        routes = [(method, path, "serve") for method, path in SCOPES if method == "GET"]
        with httpx.Client(base_url="http://weir", transport=InProcess(routes)) as http:
            yield http
    wired.forget()


def record(whole: Whole, stored: dict[str, list[Delivery]]) -> None:
    whole.batches.record([*stored["live"], *stored["test"]])
    whole.measure()


def ask(client: httpx.Client, own: str, path: str, /, **params: Any) -> httpx.Response:
    return client.get(path, params=params, headers=bearer(READ[own]))


def questions(own: str, stored: dict[str, list[Delivery]]) -> list[tuple[str, dict[str, Any]]]:
    """Each route with questions that would find something, also of the other environment, if it were not kept apart."""
    found: list[tuple[str, dict[str, Any]]] = [
        ("/api/v1/events", {}),
        ("/api/v1/events", {"source": "raw"}),
        ("/api/v1/events", {"order_by": "stored_at", "order": "asc"}),
        ("/api/v1/properties", {}),
        ("/api/v1/sessions", {}),
        ("/api/v1/paths", {}),
        ("/api/v1/retention", {}),
        ("/api/v1/metrics", {}),
        ("/api/v1/metrics/events", {"interval": "1d", "from": "2026-01-01", "to": "2026-01-03"}),
        (
            "/api/v1/metrics/events",
            {"interval": "1d", "from": "2026-01-01", "to": "2026-01-03", "group_by": "platform"},
        ),
        ("/api/v1/anomalies", {}),
        ("/api/v1/status", {}),
        ("/ready", {}),
        ("/api/v1/ledger", {}),
        ("/api/v1/dead-letters", {}),
    ]
    for each in (*stored["live"], *stored["test"]):
        found += [(f"/api/v1/events/{each.raw.event_id}{part}", {}) for part in ("", "/trace")]
        found.append((f"/api/v1/batches/{each.raw.batch_id}", {}))
        found.append(("/api/v1/events", {"source": "raw", "event_id": each.raw.event_id}))
    for mark in MARKS.values():
        for filters in ({"event_name": f"{mark} 0"}, {"platform": mark}, {f"properties.{mark}": mark},
                        {"anonymous_id": f"device {mark}"}, {"user_id": mark}):  # fmt: skip
            found.append(("/api/v1/events", filters))
        found.append((f"/api/v1/users/{mark}/journey", {}))
        found.append(("/api/v1/sessions", {"anonymous_id": f"device {mark}"}))
        found.append(("/api/v1/funnels", {"steps": f"{mark} 0,{mark} 1", "window_seconds": 3_600}))
    return found


@pytest.mark.parametrize("own", MARKS)
def test_no_answer_tells_anything_of_the_other_environment(
    client: httpx.Client, stored: dict[str, list[Delivery]], own: str
) -> None:
    foreign = {each.raw.event_id for each in stored[OTHER[own]]}
    told = 0
    for path, params in questions(own, stored):
        answer = ask(client, own, path, **params)
        assert answer.status_code in (200, 404, 503), (path, params, answer.text)
        shown = answer.text
        for value in (
            path.rpartition("/")[2],
            path.split("/")[-2],
            *(part for given in params.values() for part in str(given).split(",")),
        ):
            # What was asked may be said again.
            shown = shown.replace(value, "")
        assert MARKS[OTHER[own]] not in shown, (path, params, shown)
        assert not [each for each in foreign if each in shown], (path, params)
        told += MARKS[own] in answer.text
    assert told > 10


@pytest.mark.parametrize("own", MARKS)
def test_an_id_of_the_other_environment_is_a_404(
    client: httpx.Client, stored: dict[str, list[Delivery]], own: str
) -> None:
    for environment, status in ((own, 200), (OTHER[own], 404)):
        for each in stored[environment]:
            for path in (
                f"/api/v1/events/{each.raw.event_id}",
                f"/api/v1/events/{each.raw.event_id}/trace",
                f"/api/v1/batches/{each.raw.batch_id}",
            ):
                assert ask(client, own, path).status_code == status, (path, environment)
        sessions = ask(client, environment, "/api/v1/sessions").json()["sessions"]
        assert sessions
        for each in sessions:
            assert ask(client, own, f"/api/v1/sessions/{each['session_id']}").status_code == status
        mark = MARKS[environment]
        assert ask(client, own, f"/api/v1/users/{mark}/journey").status_code == status
        assert ask(client, own, f"/api/v1/users/{ids.named('user', mark)}/journey").status_code == status


@pytest.mark.parametrize("own", MARKS)
def test_counts_are_of_one_environment(client: httpx.Client, own: str) -> None:
    ledger = ask(client, own, "/api/v1/status").json()["ledger"]
    assert (ledger["received"], ledger["stored"], ledger["processed"], ledger["failed"]) == (6, 6, 5, 1)


def test_kept_answers_and_their_tags_are_not_shared(client: httpx.Client) -> None:
    for path in ("/api/v1/sessions", "/api/v1/metrics", "/api/v1/paths"):
        live, test = (ask(client, one, path) for one in MARKS)
        assert live.headers["ETag"] != test.headers["ETag"]
        again = client.get(path, headers={**bearer(READ["test"]), "If-None-Match": live.headers["ETag"]})
        assert again.status_code == 200


def test_a_cursor_of_one_environment_is_none_of_the_other(client: httpx.Client) -> None:
    cursor = ask(client, "live", "/api/v1/events", limit=1).json()["next_cursor"]
    answer = ask(client, "test", "/api/v1/events", limit=1, cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize("own", MARKS)
@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/v1/sessions", {"environment": "{}"}),
        ("/api/v1/paths", {"environment": "{}"}),
        ("/api/v1/retention", {"environment": "{}"}),
        ("/api/v1/anomalies", {"environment": "{}"}),
        ("/api/v1/funnels", {"environment": "{}", "steps": "a,b", "window_seconds": "5"}),
        ("/api/v1/metrics/events", {"tags.environment": "{}"}),
    ],
)
def test_the_other_environment_cannot_be_asked_for(
    client: httpx.Client, own: str, path: str, params: dict[str, str]
) -> None:
    for environment, status in ((own, 200), (OTHER[own], 403)):
        asked = {name: value.format(environment) for name, value in params.items()}
        assert ask(client, own, path, **asked).status_code == status


def test_every_route_that_reads_is_asked(stored: dict[str, list[Delivery]]) -> None:
    asked = {path for path, _ in questions("live", stored)} | {f"/api/v1/sessions/{uuid.UUID(int=0)}"}
    for method, path in SCOPES:
        if method == "GET" and SCOPES[method, path] == "read" and (method, path) not in LIVE_ONLY:
            parts = path.split("/")
            assert any(
                len(parts) == len(one.split("/"))
                and all(a == b or a.startswith("{") for a, b in zip(parts, one.split("/"), strict=True))
                for one in asked
            ), path
