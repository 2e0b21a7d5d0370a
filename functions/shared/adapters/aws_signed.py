"""One call of a service of AWS that speaks JSON, signed by what Python brings, for a function that is starting.

Botocore takes a third of a cold start to load (docs/adr/0017-cold-starts.md). Lambda gives a function its region and
its credentials, so nothing has to be found out. The signature is version 4 of AWS', for a POST of the root:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
import json
import re
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import SSLContext, create_default_context
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

SERVICES: Final = {"secretsmanager": "secretsmanager", "ssm": "AmazonSSM"}
_ENDPOINTS: Final = {"secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER", "ssm": "AWS_ENDPOINT_URL_SSM"}
_SECONDS = 2
_GIVEN = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
# The regions whose hosts are named alike; of all others botocore knows.
_REGION = re.compile(r"(?:af|ap|ca|cn|eu|il|me|mx|sa|us)-(?!iso)[a-z0-9-]+", re.ASCII)
# What makes the way to AWS another one.
ELSEWHERE = (
    "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
    "HTTPS_PROXY", "https_proxy",
)  # fmt: skip
_PASSES = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"})


class Refused(Exception):
    """The service says no; the text is its code."""


class NotAnswered(Exception):
    """There was no answer; the text says why."""


class Credentials(NamedTuple):
    """What Lambda gives a function."""

    key_id: str
    secret: str
    token: str = ""


def fits(environ: Mapping[str, str]) -> bool:
    """Whether this is a function of Lambda's that reaches AWS the usual way."""
    given = all(environ.get(name) for name in _GIVEN)
    usual = _REGION.fullmatch(environ.get("AWS_REGION", "")) and not any(environ.get(name) for name in ELSEWHERE)
    return bool(given and usual)


def call(service: str, operation: str, given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The answer of an operation, asked for twice, two seconds each. Raises :class:`Refused`, :class:`NotAnswered`."""
    target, body = f"{SERVICES[service]}.{operation}", json.dumps(given).encode()
    try:
        return _asked(service, target, body, environ)
    except Refused as error:
        if str(error) not in _PASSES:
            raise
    except NotAnswered:
        pass
    return _asked(service, target, body, environ)


def signed(
    host: str, target: str, body: bytes, credentials: Credentials, region: str, service: str, at: datetime
) -> dict[str, str]:
    """The headers of such a request, its signature with them."""
    moment = at.strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-date": moment, "x-amz-target": target}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"POST\n/\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    said = f"Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {said}"}


def _asked(service: str, target: str, body: bytes, environ: Mapping[str, str]) -> dict[str, Any]:
    region = environ["AWS_REGION"]
    credentials = Credentials(
        environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], environ.get("AWS_SESSION_TOKEN", "")
    )
    place = environ.get(_ENDPOINTS[service]) or environ.get("AWS_ENDPOINT_URL") or endpoint(service, region)
    try:
        url = urlsplit(place)
        headers = signed(url.netloc, target, body, credentials, region, service, datetime.now(UTC))
        with closing(_connection(url.scheme, url.netloc)) as connection:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return _read(answer.status, answer.read())
    except (OSError, HTTPException, ValueError) as error:
        # Without the error itself: the text of one of a header has the header in it.
        raise NotAnswered(type(error).__name__) from None


def _read(status: int, text: bytes) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(text)
        refused = str(told.get("__type", ""))
    except (ValueError, AttributeError) as error:
        raise NotAnswered(f"status {status}") from error
    if status == HTTPStatus.OK:
        return told
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not refused:
        raise NotAnswered(f"status {status}")
    # `namespace#Code:address`, and most often the code alone.
    raise Refused(refused.rpartition("#")[2].partition(":")[0])


def endpoint(service: str, region: str) -> str:
    """Where a service is in a region that is named as most are."""
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _connection(scheme: str, host: str) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(host, timeout=_SECONDS)
    return HTTPSConnection(host, timeout=_SECONDS, context=_trusted())


@cache
def _trusted() -> SSLContext:
    # It reads all certificates of the machine.
    return create_default_context()
