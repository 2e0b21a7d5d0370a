"""The sinks of alerts: what arrives, and what is said when nothing does. A webhook's address is never told."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from functions.shared.adapters.file_sink import FileSink
from functions.shared.adapters.sns_sink import SnsSink
from functions.shared.adapters.webhook_sink import WebhookSink
from functions.shared.domain.notification import Notification
from functions.shared.errors import Misconfigured, SinkRefused, SinkUnavailable
from functions.shared.settings import AlertSettings, load
from tests.support.accounts import HOSTS, account
from tests.support.nats import free_port

TOLD = Notification(
    "0190aaaa-0000-7000-8000-000000000001", "0190aaaa-0000-7000-8000-000000000002", "firing", "many", "warning",
    {"environment": "live"}, "Zu viele <Ereignisse>", "events at 1m > 5", 7.0, 1_767_225_600_000_000_000,
    1_767_225_600_000_000_000, "test",
)  # fmt: skip
SECRET = "T000/B000/s3cret"


class Hook:
    """A webhook that answers with one status, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status, self.hangs, self.drips = 200, False, False
        self.taken: list[tuple[str, dict[str, str], Any]] = []
        hook = self
        self.done = threading.Event()

        class Post(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.taken.append((self.path, dict(self.headers), body))
                while hook.drips and not hook.done.wait(0.02):
                    self.wfile.write(b"H")
                if hook.hangs:
                    hook.done.wait(30)
                self.send_response(hook.status)
                self.send_header("Location", f"http://127.0.0.1:{hook.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Post)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.done.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    running = Hook()
    yield running
    running.close()


def to(hook: Hook, seconds: float = 10.0) -> WebhookSink:
    return WebhookSink(f"http://127.0.0.1:{hook.port}/{SECRET}?a=b", seconds)


class TestWebhook:
    def test_it_is_posted_as_slack_takes_it_with_an_id_that_is_always_the_same(self, hook: Hook) -> None:
        to(hook).send(TOLD)
        to(hook).send(TOLD)
        assert hook.taken[0] == hook.taken[1]
        path, headers, body = hook.taken[0]
        assert path == f"/{SECRET}?a=b"
        assert (headers["Content-Type"], headers["Idempotency-Key"]) == ("application/json", TOLD.id)
        assert body["text"] == "[FIRING] many: Zu viele &lt;Ereignisse&gt;"
        assert body["alert"]["id"] == TOLD.id

    @pytest.mark.parametrize("status", [301, 302, 307, 400, 403, 404, 410])
    def test_what_is_refused_or_sent_elsewhere_is_told_and_not_followed(self, hook: Hook, status: int) -> None:
        hook.status = status
        with pytest.raises(SinkRefused, match=f"answered {status}"):
            to(hook).send(TOLD)
        assert len(hook.taken) == 1

    @pytest.mark.parametrize("status", [408, 429, 500, 503])
    def test_what_may_be_better_later_is_away(self, hook: Hook, status: int) -> None:
        hook.status = status
        with pytest.raises(SinkUnavailable, match=f"answered {status}"):
            to(hook).send(TOLD)

    def test_one_that_does_not_answer_is_waited_for_so_long_and_no_longer(self, hook: Hook) -> None:
        hook.hangs = True
        with pytest.raises(SinkUnavailable, match="TimeoutError"):
            to(hook, 0.1).send(TOLD)

    def test_one_that_answers_a_byte_at_a_time_is_not_waited_for_without_end(self, hook: Hook) -> None:
        hook.drips = True
        with pytest.raises(SinkUnavailable, match="did not answer"):
            to(hook, 0.2).send(TOLD)

    def test_nothing_says_where_it_is(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        sink = WebhookSink(f"http://127.0.0.1:{free_port()}/{SECRET}", 1.0)
        with pytest.raises(SinkUnavailable) as caught:
            sink.send(TOLD)
        said = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caplog.text} {sink!r}"
        assert SECRET not in said

    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example.org/x", "ftp://example.org/x", "https://", "https://me:pass@example.org/x", "x",
            "https://example.org/\nx y", "https://[::1/x", "https://example.org:99999/x", "http://127.0.0.1.example.org/",
        ],
    )  # fmt: skip
    def test_an_address_that_is_not_safe_is_refused_at_start_and_not_repeated(self, url: str) -> None:
        with pytest.raises(Misconfigured, match="WEIR_ALERTS_WEBHOOK_URL") as caught:
            load(AlertSettings, {"WEIR_ALERTS_WEBHOOK_URL": url})
        assert "example" not in str(caught.value)

    @pytest.mark.parametrize("url", ["https://hooks.example.org/x?y=z", "http://127.0.0.1:9/x", "http://localhost/x"])
    def test_https_and_this_machine_are_right(self, url: str) -> None:
        settings = load(AlertSettings, {"WEIR_ALERTS_WEBHOOK_URL": url})
        assert settings.alerts_webhook_url == url
        assert url not in repr(settings)


class TestSns:
    @pytest.fixture(autouse=True, params=HOSTS)
    def _account(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with account(request.param) as client:
            self.client = client
            # The topic's region goes before that of who tells.
            monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            yield

    def published(self, **topic: Any) -> dict[str, Any]:
        """What a queue that subscribes to a topic gets."""
        sns, sqs = (self.client(name) for name in ("sns", "sqs"))
        name = "t.fifo" if topic else "t"
        arn = sns.create_topic(Name=name, Attributes=topic)["TopicArn"]
        attributes = {"FifoQueue": "true"} if topic else {}
        queue = sqs.create_queue(QueueName=name.replace("t", "q"), Attributes=attributes)["QueueUrl"]
        at = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=at)
        SnsSink(arn).send(TOLD)
        [message] = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
        return dict(json.loads(message["Body"]))

    def test_machines_get_json_under_a_subject_with_attributes_to_filter_by(self) -> None:
        found = self.published()
        assert found["Subject"] == "[FIRING] many (warning, test)"
        assert json.loads(found["Message"])["id"] == TOLD.id
        assert {name: one["Value"] for name, one in found["MessageAttributes"].items()} == {
            "id": TOLD.id, "event": "firing", "rule": "many", "severity": "warning"
        }  # fmt: skip

    def test_a_fifo_topic_is_told_by_what_a_resend_is_known(self) -> None:
        assert json.loads(self.published(FifoTopic="true")["Message"])["id"] == TOLD.id

    def test_a_topic_that_is_not_there_refuses(self) -> None:
        with pytest.raises(SinkRefused, match="NotFound"):
            SnsSink("arn:aws:sns:eu-west-1:123456789012:none").send(TOLD)


def test_sns_that_cannot_be_reached_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SinkUnavailable, match="did not answer"):
        SnsSink("arn:aws:sns:eu-west-1:123456789012:t").send(TOLD)


@pytest.mark.parametrize("arn", ["topic", "arn:aws:sqs:eu-west-1:1:q", "arn:aws:sns:eu-west-1:1:t/x"])
def test_what_is_no_topic_is_refused_at_start(arn: str) -> None:
    with pytest.raises(Misconfigured, match="WEIR_ALERTS_SNS_TOPIC_ARN"):
        load(AlertSettings, {"WEIR_ALERTS_SNS_TOPIC_ARN": arn})


class TestFile:
    def test_each_is_a_line_once(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "alerts.jsonl"
        for told in (TOLD, TOLD, TOLD._replace(id="2", event="recovered")):
            FileSink(path).send(told)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [(line["id"], line["event"]) for line in lines] == [(TOLD.id, "firing"), ("2", "recovered")]

    def test_it_does_not_grow_for_ever(self, tmp_path: Path) -> None:
        path = tmp_path / "alerts.jsonl"
        for number in range(50):
            FileSink(path, most_bytes=2_000).send(TOLD._replace(id=f"n{number}"))
        assert {one.name for one in tmp_path.iterdir()} == {"alerts.jsonl", "alerts.jsonl.1"}
        assert all(one.stat().st_size < 4_000 for one in tmp_path.iterdir())
        assert '"n49"' in path.read_text()

    def test_a_place_that_cannot_be_written_is_away(self, tmp_path: Path) -> None:
        (tmp_path / "taken").touch()
        with pytest.raises(SinkUnavailable, match="cannot be written"):
            FileSink(tmp_path / "taken" / "alerts.jsonl").send(TOLD)
