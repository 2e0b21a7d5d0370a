"""How the commands reach a running Weir, and how they say what went wrong: one sentence, no traceback."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx
import typer

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_FIRST_ERROR = 400
_ATTEMPTS = 8
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0
# Worth a second try: too many requests, and whatever is the server's or a gateway's fault.
_LATER = frozenset({429, 500, 502, 503, 504})


class CommandError(Exception):
    """What a command cannot go on from, as one clear sentence."""


class NotAnswered(CommandError):
    """Nothing came back: refused, cut off, or too slow."""


def connect(url: str, key: str) -> httpx.Client:
    """A client of one Weir. Proxies of the environment are not asked for what runs on this machine."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if host is None or not url.startswith(("http://", "https://")):
        raise CommandError(f"{url!r} is no address; one looks like http://127.0.0.1:3000.")
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "weir-cli"} if key else {"User-Agent": "weir-cli"}
    timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    return httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=host not in _LOOPBACK)


def own_key(url: str, given: str, development: str) -> str:
    """The key to ask with: the one that was given, else on this machine the development key of that name."""
    if given:
        return given
    with suppress(ValueError):
        if urlsplit(url).hostname in _LOOPBACK:
            return development
    raise CommandError("A key is needed: --key, or WEIR_KEY.")


def ask(client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    """One request. Raises :class:`NotAnswered` when no answer came; an answer of any status is returned."""
    try:
        return client.request(method, path, **more)
    except httpx.ConnectError as error:
        raise NotAnswered(f"Nothing answers at {_address(client)}: is `weir up` running?") from error
    except httpx.TimeoutException as error:
        raise NotAnswered(f"{_address(client)} did not answer in time.") from error
    except httpx.HTTPError as error:
        raise NotAnswered(f"The connection to {_address(client)} broke: {error or type(error).__name__}.") from error


def patiently(
    client: httpx.Client, method: str, path: str, *, sleep: Callable[[float], None] = time.sleep, **more: Any
) -> httpx.Response:
    """One request, sent again with growing pauses while the answer is 429, a server's error, or none at all.

    Only for what may be sent twice. ``Retry-After`` is honoured. The last answer is returned, whatever it is.
    """
    pause = _FIRST_PAUSE
    for attempt in range(1, _ATTEMPTS + 1):
        last = attempt == _ATTEMPTS
        try:
            response = ask(client, method, path, **more)
        except NotAnswered:
            if last:
                raise
            asked_for = None
        else:
            if last or response.status_code not in _LATER:
                return response
            asked_for = retry_after(response)
        # Jitter spreads out those that were turned away together.
        own = pause * random.uniform(0.75, 1.25)  # noqa: S311  not a secret
        sleep(min(_LONGEST_PAUSE, own if asked_for is None else max(asked_for, own)))
        pause = min(_LONGEST_PAUSE, pause * 2)
    raise AssertionError("unreachable")


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that ``Retry-After`` asks for, given as seconds or as a date; None when it says nothing."""
    said = response.headers.get("retry-after", "").strip()
    if not said:
        return None
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


def document(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer. Raises :class:`CommandError` when it is none."""
    try:
        content = response.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise CommandError(f"{response.request.url} answered {response.status_code}, but not as Weir does.")
    return content


def expect(response: httpx.Response) -> dict[str, Any]:
    """The JSON of a good answer. Raises :class:`CommandError` with what the problem document says."""
    content = document(response)
    if response.status_code >= _FIRST_ERROR:
        raise CommandError(problem(response.status_code, content))
    return content


def problem(status: int, content: dict[str, Any]) -> str:
    """A problem document as one sentence."""
    detail = content.get("detail") or content.get("title") or "no reason given"
    return f"Weir answered {status}: {detail}"


@contextmanager
def telling() -> Iterator[None]:
    """Turn what may go wrong into one sentence on standard error, and exit status 1."""
    try:
        yield
    except CommandError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}." if error.filename and error.strerror else f"{error}.")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(1)


def show_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))


def without_secrets(url: str) -> str:
    """An address as it may be shown: without who is asking."""
    scheme, found, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if found else url


def _address(client: httpx.Client) -> str:
    return without_secrets(str(client.base_url).rstrip("/"))
