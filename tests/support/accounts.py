"""An empty account of AWS for one test: moto's in this process, or one of LocalStack's."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from localstack_client.session import Session
from moto import mock_aws

from functions.shared.adapters import aws, secret_references
from tests.support.localstack import localstack

REGION = "eu-west-1"
HOSTS = ("moto", "localstack")
Client = Callable[[str], Any]


@contextmanager
def account(host: str) -> Iterator[Client]:
    """What each client of this process asks meanwhile. Gives what makes clients for the test itself."""
    # LocalStack takes a key of twelve digits for the account: nobody finds there what another test left.
    number = str(10**11 + secrets.randbelow(9 * 10**11))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", number)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        _forget()
        if host == "localstack":
            patch.setenv("AWS_ENDPOINT_URL", localstack())
            yield Session(number, region_name=REGION).client
        else:
            with mock_aws():
                yield lambda service: boto3.client(service, region_name=REGION)
    _forget()


def _forget() -> None:
    """A session keeps its credentials, a client its endpoint."""
    for kept in (aws._session, secret_references._client, secret_references.read):
        kept.cache_clear()
