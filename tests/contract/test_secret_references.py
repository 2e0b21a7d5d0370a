"""Settings that are given by reference: what Secrets Manager and SSM keep for them."""

from collections.abc import Callable, Iterator

import pytest

from functions.shared.adapters import secret_references
from functions.shared.errors import Misconfigured
from functions.shared.settings import QueueSettings, SeriesSettings, StoreSettings, load
from tests.support.accounts import HOSTS, REGION, Client, account

MISSING = f"arn:aws:ssm:{REGION}:123456789012:parameter/weir/none"
Keep = Callable[[Client, str], str]


@pytest.fixture(params=HOSTS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with account(request.param) as made:
        yield made


def in_secrets_manager(client: Client, value: str) -> str:
    return str(client("secretsmanager").create_secret(Name="weir/one", SecretString=value)["ARN"])


def in_ssm(client: Client, value: str) -> str:
    ssm = client("ssm")
    ssm.put_parameter(Name="/weir/one", Value=value, Type="SecureString")
    return str(ssm.get_parameter(Name="/weir/one")["Parameter"]["ARN"])


@pytest.mark.parametrize("keep", [in_secrets_manager, in_ssm])
def test_a_reference_stands_for_what_is_kept_there(client: Client, keep: Keep) -> None:
    reference = keep(client, "p;ä ss")
    settings = load(StoreSettings, {"WEIR_CLICKHOUSE_PASSWORD_SECRET": reference}, secret_references.read)
    assert settings.clickhouse_password == "p;ä ss"
    assert "ä" not in repr(settings)


def test_a_parameter_may_be_named_without_its_account(client: Client) -> None:
    in_ssm(client, "nats://user:word@broker:4222")
    settings = load(QueueSettings, {"WEIR_NATS_URL_SECRET": "/weir/one"}, secret_references.read)
    assert settings.nats_url == "nats://user:word@broker:4222"
    assert "word" not in repr(settings)


def test_a_reference_goes_before_the_plain_value_and_is_read_once(client: Client) -> None:
    given = {"WEIR_QUESTDB_PASSWORD": "plain", "WEIR_QUESTDB_PASSWORD_SECRET": in_ssm(client, "kept")}
    assert load(SeriesSettings, given, secret_references.read).questdb_password == "kept"
    client("ssm").delete_parameter(Name="/weir/one")
    assert load(SeriesSettings, given, secret_references.read).questdb_password == "kept"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (MISSING, "ParameterNotFound"),
        (f"arn:aws:secretsmanager:{REGION}:123456789012:secret:none-AbCdEf", "ResourceNotFoundException"),
        ("hunter2", "no ARN"),
    ],
)
def test_one_that_cannot_be_read_is_named_with_the_reason(client: Client, reference: str, reason: str) -> None:
    with pytest.raises(Misconfigured, match=f"WEIR_CLICKHOUSE_PASSWORD_SECRET: .*{reason}") as caught:
        load(StoreSettings, {"WEIR_CLICKHOUSE_PASSWORD_SECRET": reference}, secret_references.read)
    assert "hunter2" not in str(caught.value)


def test_what_was_missing_is_looked_for_again(client: Client) -> None:
    given = {"WEIR_CLICKHOUSE_PASSWORD_SECRET": "/weir/one"}
    with pytest.raises(Misconfigured):
        load(StoreSettings, given, secret_references.read)
    in_ssm(client, "late")
    assert load(StoreSettings, given, secret_references.read).clickhouse_password == "late"
