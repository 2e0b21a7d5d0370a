"""Settings from variables, and from what variables refer to."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from functions.collect import views
from functions.enrich import records
from functions.shared import wiring
from functions.shared.adapters import secret_references
from functions.shared.edge import Request
from functions.shared.errors import Misconfigured
from functions.shared.settings import (
    CollectSettings,
    LimitSettings,
    StoreSettings,
    load,
)
from functions.shared.settings.privacy import PrivacySettings

REGION = "eu-west-1"
MISSING = f"arn:aws:ssm:{REGION}:123456789012:parameter/weir/none"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", REGION)):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    forget()
    with mock_aws():
        yield
    forget()


def forget() -> None:
    secret_references.read.cache_clear()
    secret_references._client.cache_clear()
    for service in (wiring.collect_service, wiring.enrich_service):
        service.cache_clear()


@pytest.mark.parametrize("url", ["", "memory://", "redis://h:6379/0", "valkeys://u:w@h", "redis+cluster://a:1,b:2"])
def test_who_counts_may_be_any_store_that_the_limits_know(url: str) -> None:
    assert load(LimitSettings, {"WEIR_LIMITS_URL": url}).limits_url == url


@pytest.mark.parametrize("url", ["nonsense", "http://x", "redis://", "carrier-pigeon://x"])
def test_an_address_of_the_limits_that_is_none_is_named(url: str) -> None:
    with pytest.raises(Misconfigured, match="WEIR_LIMITS_URL"):
        load(LimitSettings, {"WEIR_LIMITS_URL": url})


@pytest.mark.parametrize("value", ["", "clickhouse:8123", "http://"])
def test_a_forgotten_address_is_named(value: str) -> None:
    with pytest.raises(Misconfigured, match="WEIR_CLICKHOUSE_URL"):
        load(StoreSettings, {"WEIR_CLICKHOUSE_URL": value})


def test_a_bad_value_is_named_and_not_shown() -> None:
    with pytest.raises(Misconfigured, match="WEIR_QUEUE") as caught:
        load(CollectSettings, {"WEIR_QUEUE": "kafka-of-mine"})
    assert "kafka-of-mine" not in str(caught.value)


def test_a_client_is_told_to_come_again_and_the_log_what_is_missing(
    account: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WEIR_NATS_URL_SECRET", MISSING)
    caplog.set_level("ERROR")
    headers = {"authorization": "Bearer wk_local"}
    answer = views.collect(Request(method="POST", body=b"{}", resource="/api/v1/events", headers=headers), "event")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "Traceback" not in answer.body
    assert "parameter/weir" not in answer.body
    (line,) = [record for record in caplog.records if record.message == "failure"]
    assert "WEIR_NATS_URL_SECRET" in line.__dict__["detail"]


def test_messages_wait_for_a_function_that_is_not_set_up(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_CLICKHOUSE_PASSWORD_SECRET", MISSING)
    answer = records.answer({"Records": [{"messageId": "1", "body": "{}"}]}, "r-1")
    assert answer["batchItemFailures"] == [{"itemIdentifier": "1"}]
    assert answer["unavailable"] == "The function is not set up correctly."


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"WEIR_PRIVACY_ADDRESS": "gone"}, "WEIR_PRIVACY_ADDRESS"),
        ({"WEIR_PRIVACY_PROPERTIES": "properties.email"}, "WEIR_PRIVACY_PROPERTIES"),
        ({"WEIR_PRIVACY_PROPERTIES": "properties.email=hash"}, "WEIR_PRIVACY_SECRET"),
        ({"WEIR_PRIVACY_CONSENT": "on"}, "WEIR_PRIVACY_CONSENT"),
        ({"WEIR_PRIVACY_CONSENT_PROPERTIES": "properties.email"}, "WEIR_PRIVACY_CONSENT_PROPERTIES"),
        ({"WEIR_PRIVACY_CONSENT_PROPERTIES": "properties.email=hash"}, "WEIR_PRIVACY_SECRET"),
        ({"WEIR_PRIVACY_PROPERTIES": "user_id=hash", "WEIR_PRIVACY_SECRET": "x" * 15}, "WEIR_PRIVACY_SECRET"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        load(PrivacySettings, given)


def test_rules_may_be_declared_with_a_secret_that_is_not_told() -> None:
    given = {"WEIR_PRIVACY_PROPERTIES": " user_id = hash , properties.email=drop", "WEIR_PRIVACY_SECRET": "x" * 16}
    settings = load(PrivacySettings, given)
    assert settings.redactor().user("ada").startswith("hmac:")
    assert "x" * 16 not in repr(settings)
