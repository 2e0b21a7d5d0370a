"""The routes as API Gateway drives them, over a store that answers from lists."""

import io
import json
from typing import Any

import pytest

from functions.serve import app as module
from functions.serve import views
from functions.shared.errors import QueueUnavailable
from functions.shared.observe import Observer
from functions.shared.ports import Probe
from tests.support.keys import bearer
from tests.unit.serve.fakes import EVENT_ID, FakeReader, key, service, values


class Api:
    def __init__(self) -> None:
        self.reader = FakeReader()
        self.probes: list[Any] = []

    def get(self, path: str, resource: str = "", headers: dict[str, str] | None = None, **query: Any) -> Any:
        resource = resource or path
        found = module.app(
            {
                "resource": resource,
                "path": path,
                "httpMethod": "GET",
                "headers": {**bearer("ak_local"), **(headers or {})},
                "multiValueQueryStringParameters": {
                    name: one if isinstance(one, list) else [one] for name, one in query.items()
                }
                or None,
                "pathParameters": _path_parameters(resource, path),
                "stageVariables": None,
                "body": None,
                "isBase64Encoded": False,
                "requestContext": {
                    "resourcePath": resource,
                    "path": path,
                    "httpMethod": "GET",
                    "requestId": "gateway-1",
                    "identity": {"sourceIp": "192.0.2.7"},
                },
            },
            None,
        )
        assert found["headers"]["X-Request-Id"]
        return found


def _path_parameters(resource: str, path: str) -> dict[str, str] | None:
    pairs = zip(resource.split("/"), path.split("/"), strict=True)
    return {name[1:-1]: value for name, value in pairs if name.startswith("{")} or None


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    found = Api()
    monkeypatch.setattr(module, "service", lambda: service(found.reader, probes=found.probes))
    return found


def test_health_asks_nobody(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "service", lambda: pytest.fail("no service is needed"))
    assert json.loads(api.get("/health")["body"]) == {"status": "ok"}


def test_the_log_line_of_a_request_carries_its_id(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(module, "_observer", lambda: Observer("serve-test", stream))
    answer = api.get("/health", headers={"X-Request-Id": "mine-7"})
    told = json.loads(stream.getvalue())
    assert (told["message"], told["request_id"]) == ("/health", "mine-7")
    assert answer["headers"]["X-Request-Id"] == "mine-7"


def test_a_page(api: Api) -> None:
    api.reader.replies = [("processed_events", [[*key(number), *values()] for number in range(2)])]
    answer = api.get("/api/v1/events", limit="1", event_name=["a", "b"])
    body = json.loads(answer["body"])
    assert answer["statusCode"] == 200
    assert (len(body["events"]), body["has_more"]) == (1, True)
    assert answer["headers"]["X-Next-Cursor"] == body["next_cursor"]
    assert f'event_name=a&event_name=b&cursor={body["next_cursor"]}>; rel="next"' in answer["headers"]["Link"]
    assert ["a", "b"] in api.reader.asked[-1][1].values()


def test_lines(api: Api) -> None:
    api.reader.replies = [("processed_events", [[*key(number), *values()] for number in range(3)])]
    answer = api.get("/api/v1/events", headers={"Accept": "application/x-ndjson"}, limit="2")
    assert answer["headers"]["Content-Type"].startswith("application/x-ndjson")
    assert [json.loads(line)["event_id"] for line in answer["body"].splitlines()] == [EVENT_ID, EVENT_ID]
    assert answer["headers"]["X-Next-Cursor"]
    assert answer["headers"]["X-Has-More"] == "true"


def test_a_table(api: Api) -> None:
    answer = api.get("/api/v1/events", headers={"accept": "text/csv"}, fields="event_id,geo.country")
    assert answer["body"] == "event_id,geo.country\r\n"


def test_an_unknown_parameter_is_a_problem(api: Api) -> None:
    answer = api.get("/api/v1/events", evnt_name="a")
    assert answer["statusCode"] == 400
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert "evnt_name" in json.loads(answer["body"])["detail"]


@pytest.mark.parametrize(
    "resource",
    ["/api/v1/events/{event_id}", "/api/v1/events/{event_id}/trace", "/api/v1/batches/{batch_id}"],
)
def test_ids_in_the_path(api: Api, resource: str) -> None:
    def path(text: str) -> str:
        return resource.replace("{event_id}", text).replace("{batch_id}", text)

    assert api.get(path(EVENT_ID.upper()), resource)["statusCode"] == 404
    assert EVENT_ID in api.reader.asked[0][1].values()
    for bad in ("7", "'; DROP TABLE x", EVENT_ID + "0"):
        assert api.get(path(bad), resource)["statusCode"] == 400
    assert api.get(path(EVENT_ID), resource, verbose="1")["statusCode"] == 400


def test_both_forms_of_an_event(api: Api) -> None:
    api.reader.replies = [("raw_events", [values("raw")]), ("processed_events", [values()])]
    answer = api.get(f"/api/v1/events/{EVENT_ID}", "/api/v1/events/{event_id}")
    assert set(json.loads(answer["body"])) == {"event_id", "raw", "processed"}


def test_a_store_that_is_down(api: Api) -> None:
    api.reader.down = True
    for path in ("/api/v1/events", "/api/v1/properties"):
        answer = api.get(path)
        assert answer["statusCode"] == 503
        assert answer["headers"]["Retry-After"] == "2"
    assert api.get("/api/v1/status")["statusCode"] == 200


def test_ready(api: Api) -> None:
    assert api.get("/ready")["statusCode"] == 200
    api.probes = [lambda: Probe("nats", "unavailable", "refused")]
    answer = api.get("/ready")
    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "2")
    assert json.loads(answer["body"])["engines"]["nats"]["detail"] == "refused"


def test_a_probe_says_why_not() -> None:
    def refused() -> None:
        raise QueueUnavailable("refused")

    assert views.probing("nats", refused)() == Probe("nats", "unavailable", "refused")
    assert views.probing("nats", lambda: 7)() == Probe("nats", "ok", "")


def test_a_function_that_cannot_start(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise KeyError("secret")

    monkeypatch.setattr(module, "service", broken)
    answer = api.get("/api/v1/events")
    assert answer["statusCode"] == 503
    assert "secret" not in answer["body"]


def test_the_document_and_its_page(api: Api) -> None:
    assert json.loads(api.get("/openapi.json")["body"])["openapi"] == "3.1.0"
    page = api.get("/docs")
    assert page["headers"]["Content-Type"].startswith("text/html")
    assert "http://" not in page["body"]
    assert "https://" not in page["body"], "the page loads nothing from elsewhere"
