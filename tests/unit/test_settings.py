"""Settings from variables, and from what variables refer to."""

from collections.abc import Iterator

import boto3
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
    QueueSettings,
    SeriesSettings,
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


def kept_in_secrets_manager(value: str) -> str:
    return str(boto3.client("secretsmanager").create_secret(Name="weir/one", SecretString=value)["ARN"])


def kept_in_ssm(value: str) -> str:
    client = boto3.client("ssm")
    client.put_parameter(Name="/weir/one", Value=value, Type="SecureString")
    return str(client.get_parameter(Name="/weir/one")["Parameter"]["ARN"])


@pytest.mark.parametrize("keep", [kept_in_secrets_manager, kept_in_ssm])
def test_a_reference_stands_for_what_is_kept_there(account: None, keep: object) -> None:
    reference = keep("p;ä ss")  # type: ignore[operator]
    settings = load(StoreSettings, {"WEIR_CLICKHOUSE_PASSWORD_SECRET": reference}, secret_references.read)
    assert settings.clickhouse_password == "p;ä ss"
    assert "ä" not in repr(settings)


def test_a_parameter_may_be_named_without_its_account(account: None) -> None:
    kept_in_ssm("nats://user:word@broker:4222")
    settings = load(QueueSettings, {"WEIR_NATS_URL_SECRET": "/weir/one"}, secret_references.read)
    assert settings.nats_url == "nats://user:word@broker:4222"
    assert "word" not in repr(settings)


def test_a_reference_goes_before_the_plain_value_and_is_read_once(account: None) -> None:
    given = {"WEIR_QUESTDB_PASSWORD": "plain", "WEIR_QUESTDB_PASSWORD_SECRET": kept_in_ssm("kept")}
    assert load(SeriesSettings, given, secret_references.read).questdb_password == "kept"
    boto3.client("ssm").delete_parameter(Name="/weir/one")
    assert load(SeriesSettings, given, secret_references.read).questdb_password == "kept"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (MISSING, "ParameterNotFound"),
        (f"arn:aws:secretsmanager:{REGION}:123456789012:secret:none-AbCdEf", "ResourceNotFoundException"),
        ("hunter2", "no ARN"),
    ],
)
def test_one_that_cannot_be_read_is_named_with_the_reason(account: None, reference: str, reason: str) -> None:
    with pytest.raises(Misconfigured, match=f"WEIR_CLICKHOUSE_PASSWORD_SECRET: .*{reason}") as caught:
        load(StoreSettings, {"WEIR_CLICKHOUSE_PASSWORD_SECRET": reference}, secret_references.read)
    assert "hunter2" not in str(caught.value)


def test_what_was_missing_is_looked_for_again(account: None) -> None:
    given = {"WEIR_CLICKHOUSE_PASSWORD_SECRET": "/weir/one"}
    with pytest.raises(Misconfigured):
        load(StoreSettings, given, secret_references.read)
    kept_in_ssm("late")
    assert load(StoreSettings, given, secret_references.read).clickhouse_password == "late"


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
