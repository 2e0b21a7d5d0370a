"""What a function signs by itself is what botocore would have signed."""

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from functions.shared.adapters import aws_signed

GIVEN = {
    "AWS_LAMBDA_FUNCTION_NAME": "weir-collect",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_REGION": "eu-west-1",
}
WORD = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/+=", min_size=1, max_size=60)


@given(
    body=st.binary(max_size=300),
    key_id=WORD,
    secret=WORD,
    token=st.just("") | WORD,
    host=st.sampled_from(["ssm.eu-west-1.amazonaws.com", "127.0.0.1:4566"]),
    service=st.sampled_from(sorted(aws_signed.SERVICES)),
    region=st.sampled_from(["eu-west-1", "us-gov-west-1", "cn-north-1"]),
)
def test_a_signature_is_that_of_botocore(
    body: bytes, key_id: str, secret: str, token: str, host: str, service: str, region: str
) -> None:
    target = f"{aws_signed.SERVICES[service]}.GetIt"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    request = AWSRequest("POST", f"https://{host}/", data=body, headers=headers)
    SigV4Auth(Credentials(key_id, secret, token or None), service, region).add_auth(request)
    at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    own = aws_signed.signed(host, target, body, aws_signed.Credentials(key_id, secret, token), region, service, at)
    assert own["authorization"] == request.headers["Authorization"]
    assert own.get("x-amz-security-token", "") == token


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1", "us-gov-west-1", "cn-northwest-1", "ap-southeast-7"])
def test_a_function_asks_by_itself_where_hosts_are_named_as_ever(region: str) -> None:
    assert aws_signed.fits({**GIVEN, "AWS_REGION": region})


@pytest.mark.parametrize(
    "changed",
    [
        {"AWS_LAMBDA_FUNCTION_NAME": ""},
        {"AWS_ACCESS_KEY_ID": ""},
        {"AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_REGION": ""},
        {"AWS_REGION": "us-iso-east-1"},
        {"AWS_REGION": "eu-isoe-west-1"},
        {"AWS_REGION": "eusc-de-east-1"},
        {"AWS_REGION": "eu-west-1/@example.org"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_CA_BUNDLE": "/opt/ca.pem"},
        {"HTTPS_PROXY": "http://proxy:3128"},
    ],
)
def test_whoever_has_another_way_to_aws_leaves_it_to_botocore(changed: dict[str, str]) -> None:
    assert not aws_signed.fits({**GIVEN, **changed})


def test_a_region_of_china_has_hosts_of_its_own() -> None:
    assert aws_signed.endpoint("ssm", "cn-north-1") == "https://ssm.cn-north-1.amazonaws.com.cn"
    assert aws_signed.endpoint("secretsmanager", "us-east-1") == "https://secretsmanager.us-east-1.amazonaws.com"
