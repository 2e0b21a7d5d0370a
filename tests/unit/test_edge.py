"""The edge: errors become answers in one place, and nothing is ever a bare 500."""

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from functions.shared import errors
from functions.shared.edge import Answer, Request, answering, as_json, batch_failures, from_error, problem, settling


def chalice_request(**changed: Any) -> SimpleNamespace:
    values: dict[str, Any] = {
        "method": "GET",
        "path": "/api/v1/events/{event_id}",
        "headers": {"Accept": "text/csv", "X-Api-Key": "k"},
        "context": {"requestId": "gateway-1", "path": "/api/v1/events/7", "identity": {"sourceIp": "192.0.2.7"}},
        "query_params": {"a": ["1", "2"], "b": [""]},
        "uri_params": {"event_id": "7"},
        "raw_body": b"body",
    }
    return SimpleNamespace(**{**values, **changed})


def failing(error: Exception) -> Answer:
    def view(_: Request) -> Answer:
        raise error

    return answering(view)(Request(request_id="r-1"))


class TestRequest:
    def test_is_read_from_a_chalice_request(self) -> None:
        request = Request.of(chalice_request())
        assert request.path == "/api/v1/events/7"
        assert request.params == {"a": ["1", "2"], "b": [""]}
        assert request.header("ACCEPT") == "text/csv"
        assert request.path_params == {"event_id": "7"}
        assert (request.body, request.source_ip, request.request_id) == (b"body", "192.0.2.7", "gateway-1")

    def test_absent_parts_are_empty(self) -> None:
        source = chalice_request(headers=None, context={}, query_params=None, uri_params=None, raw_body=b"")
        request = Request.of(source)
        assert (request.params, request.path_params, request.headers) == ({}, {}, {})
        assert len(request.request_id) == 36

    def test_a_client_may_name_its_request(self) -> None:
        request = Request.of(chalice_request(headers={"x-request-id": "mine-7"}))
        assert request.request_id == "mine-7"

    @pytest.mark.parametrize("unfit", ["", "a b", "a\r\nSet-Cookie: x", "é", "x" * 129])
    def test_but_not_by_something_unfit_for_a_header(self, unfit: str) -> None:
        assert Request.of(chalice_request(headers={"X-Request-Id": unfit})).request_id == "gateway-1"

    @pytest.mark.parametrize(
        ("said", "meant"), [("true", True), ("1", True), ("", True), ("FALSE", False), ("0", False), ("no", False)]
    )
    def test_a_flag_is_yes_or_no(self, said: str, meant: bool) -> None:
        assert Request(params={"dry_run": [said]}).flag("dry_run") is meant

    def test_a_flag_that_is_neither_is_named(self) -> None:
        with pytest.raises(errors.BadRequest, match="dry_run"):
            Request(params={"dry_run": ["perhaps"]}).flag("dry_run")

    def test_a_flag_that_is_not_given_is_no(self) -> None:
        assert Request().flag("dry_run") is False


class TestAnswering:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (errors.BadRequest("c", "d"), 400),
            (errors.NotFound("c", "d"), 404),
            (errors.TooLarge("c", "d"), 413),
            (errors.Unsupported("c", "d"), 415),
            (errors.Unprocessable("c", "d"), 422),
        ],
    )
    def test_a_rejection_is_a_problem_with_its_status(self, error: errors.Reject, status: int) -> None:
        answer = failing(error)
        body = json.loads(answer.body)
        assert answer.status == body["status"] == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert body["type"] == "urn:weir:problem:c"
        assert (body["code"], body["detail"], body["request_id"]) == ("c", "d", "r-1")
        assert body["title"]
        assert "Retry-After" not in answer.headers

    def test_the_faults_of_events_are_told(self) -> None:
        fault = {"index": 0, "event_id": "e", "loc": ["platform"], "code": "required", "message": "m"}
        assert json.loads(failing(errors.BadRequest("c", "d", [fault])).body)["errors"] == [fault]

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (errors.QueueUnavailable("d", 7), "queue_unavailable"),
            (errors.StoreUnavailable("d", 7), "store_unavailable"),
            (errors.FunctionUnavailable("d", 7), "function_unavailable"),
        ],
    )
    def test_what_may_be_sent_again_says_when(self, error: errors.Retry, code: str) -> None:
        answer = failing(error)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
        assert json.loads(answer.body)["code"] == code

    @pytest.mark.parametrize(
        "error", [ValueError("secret"), KeyError("secret"), RecursionError("secret"), errors.StoreRefused("secret")]
    )
    def test_anything_else_is_logged_and_told_as_503(self, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR):
            answer = failing(error)
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "secret" not in answer.body
        assert "Traceback" not in answer.body
        assert "r-1" in caplog.text
        assert type(error).__name__ in caplog.text
        assert "failing.<locals>.view" in caplog.text
        assert "secret" not in caplog.text, "a message may hold what a client sent"

    def test_and_reported_to_whoever_wants_to_know(self) -> None:
        seen: list[tuple[str, BaseException]] = []
        error = ValueError("x")

        def view(_: Request) -> Answer:
            raise error

        answering(view, report=lambda *one: seen.append(one))(Request(request_id="r-1"))
        assert seen == [("request r-1", error)]

    def test_a_missing_setting_is_not_told_to_clients(self, caplog: pytest.LogCaptureFixture) -> None:
        answer = failing(errors.Misconfigured("WEIR_CLICKHOUSE_URL: missing"))
        assert answer.status == 503
        assert "WEIR" not in answer.body
        assert "WEIR_CLICKHOUSE_URL" in caplog.text

    def test_every_answer_carries_the_request_id(self) -> None:
        good = answering(lambda _: as_json(200, {}))(Request(request_id="r-2"))
        assert good.headers["X-Request-Id"] == "r-2"
        assert failing(ValueError()).headers["X-Request-Id"] == "r-1"

    def test_even_when_the_request_cannot_be_read(self, caplog: pytest.LogCaptureFixture) -> None:
        answer = answering(lambda _: as_json(200, {}))(object())
        assert answer.status == 503
        assert answer.headers["X-Request-Id"] == json.loads(answer.body)["request_id"]

    def test_each_answer_is_observed(self) -> None:
        seen: list[tuple[str, str, float, Answer]] = []
        request = Request(request_id="r-3")
        answering(lambda _: as_json(201, {}), "GET /x", lambda *one: seen.append(one))(request)
        [(name, request_id, milliseconds, answer)] = seen
        assert (name, request_id, answer.status) == ("GET /x", "r-3", 201)
        assert milliseconds >= 0


class TestBodies:
    def test_json_is_compact_and_readable(self) -> None:
        assert as_json(200, {"a": "é"}).body == '{"a":"é"}'

    def test_half_an_emoji_does_not_break_an_answer(self) -> None:
        for answer in (as_json(200, {"a": "\ud83d"}), problem(400, "t", "\ud83d", "r", "c")):
            assert answer.body.encode().isascii()

    def test_no_error_leaves_errors_out(self) -> None:
        assert "errors" not in json.loads(problem(404, "t", "d", "r", "c").body)

    def test_headers_go_with_a_problem(self) -> None:
        assert problem(429, "t", "d", "r", "c", headers={"Retry-After": "3"}).headers["Retry-After"] == "3"

    def test_waiting_is_at_least_a_second(self) -> None:
        assert from_error(errors.StoreUnavailable("d", 0), "r").headers["Retry-After"] == "1"


class TestSettling:
    def test_what_must_come_again_is_named(self) -> None:
        assert batch_failures(["a", "b"]) == {"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]}
        assert settling(["a", "b"], lambda: {"b": "ValueError"}) == {
            "batchItemFailures": [{"itemIdentifier": "b"}],
            "causes": {"b": "ValueError"},
        }

    def test_nothing_is_an_empty_list(self) -> None:
        assert settling(["a"], dict) == {"batchItemFailures": []}

    @pytest.mark.parametrize("error", [ValueError("x"), errors.StoreRefused("x")])
    def test_after_an_error_nothing_is_acknowledged(self, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
        def handle() -> dict[str, str]:
            raise error

        causes = dict.fromkeys(["a", "b"], type(error).__name__)
        assert settling(["a", "b"], handle) == {**batch_failures(["a", "b"]), "causes": causes}
        assert "2 messages" in caplog.text

    def test_a_store_that_is_away_is_told_apart(self) -> None:
        def handle() -> dict[str, str]:
            raise errors.StoreUnavailable("No answer.")

        assert settling(["a"], handle) == {**batch_failures(["a"]), "unavailable": "No answer."}
