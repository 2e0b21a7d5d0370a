"""Values that are kept in Secrets Manager or in SSM's parameter store, read by their reference.

A function of Lambda's asks by itself, since its start would have to wait for botocore. Everybody else asks by botocore,
which finds credentials wherever a person or a container has them.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from functions.shared.adapters import aws_signed
from functions.shared.adapters.aws_signed import NotAnswered, Refused
from functions.shared.errors import Misconfigured

_SECRETS_MANAGER = ":secretsmanager:"
_SSM = ":ssm:"
_SECONDS = 2
# Said by either service of a thing that is not there: trying again helps nobody.
_LASTING = frozenset({"ParameterNotFound", "ResourceNotFoundException"})


class NotReached(Misconfigured):
    """The service did not give it now, for a reason that may pass."""


class Value(NamedTuple):
    """A value, and what names its version."""

    text: str
    version: str


@cache
def read(reference: str) -> str:
    """The value that an ARN of either service, or the name of a parameter (``/weir/…``), stands for.

    It is asked for once a process. Raises :class:`Misconfigured` with the reason, never with a value; what failed is
    asked for again by the next call.
    """
    return fetch(reference).text


def fetch(reference: str) -> Value:
    """As :func:`read`, anew at each call, and with its version. Raises :class:`NotReached` for what may pass."""
    found = _secret(reference) if _SECRETS_MANAGER in reference else _parameter(reference)
    if not found.text:
        raise Misconfigured(f"{reference} holds no text")
    return found


def put(reference: str, value: str) -> None:
    """Replace the value. Raises as :func:`fetch`."""
    given: dict[str, Any]
    if _SECRETS_MANAGER in reference:
        given = {"SecretId": reference, "SecretString": value}
        _told(reference, "written", _by_client, "secretsmanager", "put_secret_value", given)
    else:
        # A plain parameter holds 4 KB, an advanced one 8.
        given = {"Name": _name(reference), "Value": value, "Overwrite": True, "Tier": "Intelligent-Tiering"}
        _told(reference, "written", _by_client, "ssm", "put_parameter", given)


def _secret(reference: str) -> Value:
    given = {"SecretId": reference}
    answer = _told(reference, "read", _asked, "secretsmanager", "get_secret_value", given)
    return _value(answer, "SecretString", "VersionId")


def _parameter(reference: str) -> Value:
    if not reference.startswith("/") and _SSM not in reference:
        # Not shown: it may be the secret itself, put in the wrong place.
        raise Misconfigured("what is given is no ARN of Secrets Manager or SSM, and no parameter's name (/…)")
    given: dict[str, Any] = {"Name": reference, "WithDecryption": True}
    answer = _told(reference, "read", _asked, "ssm", "get_parameter", given)
    return _value(answer.get("Parameter") or {}, "Value", "Version")


def _value(kept: Mapping[str, Any], text: str, version: str) -> Value:
    """Of an answer, in which what is not there may be null."""
    return Value(str(kept.get(text) or ""), str(kept.get(version) or ""))


def _told(reference: str, done: str, ask: Any, service: str, operation: str, given: Mapping[str, Any]) -> Any:
    try:
        return ask(service, operation, given)
    except Refused as error:
        kind = Misconfigured if str(error) in _LASTING else NotReached
        raise kind(f"{reference} cannot be {done}: {error}") from error
    except NotAnswered as error:
        raise NotReached(f"{reference} cannot be {done}: {error}") from error


def _asked(service: str, operation: str, given: Mapping[str, Any]) -> Any:
    if aws_signed.fits(os.environ):
        named = "".join(part.capitalize() for part in operation.split("_"))
        return aws_signed.call(service, named, given, os.environ)
    return _by_client(service, operation, given)


def _by_client(service: str, operation: str, given: Mapping[str, Any]) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return getattr(_client(service), operation)(**given)
    except ClientError as error:
        raise Refused(error.response["Error"]["Code"]) from error
    except BotoCoreError as error:
        raise NotAnswered(type(error).__name__) from error


def _name(reference: str) -> str:
    """An SSM parameter is written by its name alone."""
    return "/" + reference.partition(":parameter/")[2] if _SSM in reference else reference


@cache
def _client(service: str) -> Any:
    # It takes a while to import, for those alone that keep a secret.
    from functions.shared.adapters import aws

    return aws.client(service, connect_seconds=_SECONDS, read_seconds=_SECONDS, attempts=2)
