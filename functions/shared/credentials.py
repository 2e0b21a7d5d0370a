"""The token of a request: from ``Authorization`` (Bearer, or Basic as the user name), ``X-Api-Key`` or ``?key=``."""

import base64
import binascii
from collections.abc import Mapping, Sequence

from functions.shared.errors import BadRequest, Unauthorized

# What stands between the values of a header that came twice: no value can hold it.
BETWEEN = "\n"


def token_of(headers: Mapping[str, str], params: Mapping[str, Sequence[str]], query_allowed: bool) -> str:
    """The one token that a request carries. Header names are lower case.

    Raises :class:`Unauthorized` when there is none, when it cannot be read, and when there are several: which of them
    counts, a proxy may see otherwise. Raises :class:`BadRequest` for one in the query where it is not taken.
    """
    if "key" in params and not query_allowed:
        raise BadRequest("key_in_query", "A key in the query is taken for writes only: addresses end up in logs.")
    given = {*_authorization(headers.get("authorization", "")), *_plain([headers.get("x-api-key", "")])}
    if query_allowed:
        given.update(_plain(params.get("key", ())))
    if len(given) > 1:
        raise Unauthorized("key_ambiguous", "The request carries more than one key: send one.")
    if not given:
        raise Unauthorized("key_missing", "A key is needed: Authorization: Bearer KEY.")
    return given.pop()


def _authorization(value: str) -> list[str]:
    if not value.strip():
        return []
    tokens = []
    for one in value.split(BETWEEN):
        scheme, _, rest = one.strip().partition(" ")
        token = _read(scheme.lower(), rest.strip())
        if not token:
            raise Unauthorized("key_malformed", "The Authorization header is to be Bearer KEY, or Basic.")
        tokens.append(token)
    return tokens


def _read(scheme: str, rest: str) -> str:
    if scheme == "bearer":
        return rest
    if scheme != "basic":
        return ""
    try:
        return base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[0]
    except (binascii.Error, ValueError):
        return ""


def _plain(values: Sequence[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(BETWEEN) if part.strip()]
