"""Keys in a key-value bucket of NATS, as any client of the bucket reads and writes it. For synchronous callers."""

import asyncio
import base64
import json
import threading
import weakref
from typing import Any

from nats.aio.msg import Msg

from functions.shared.adapters.nats_link import Answer, Ask, Link, end
from functions.shared.adapters.nats_names import KEYS_STREAM, KEYS_SUBJECT
from functions.shared.errors import Conflict, KeysUnavailable, Misconfigured, QueueUnavailable
from functions.shared.ports import KeptDocument

_SECONDS = 2.0
_PING_SECONDS = 86_400
_TRUST_SECONDS = 10.0
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_NO_MESSAGE, _NO_STREAM, _OTHER_SEQUENCE = 10037, 10059, 10071


class NatsKeys:
    """Implements :class:`~functions.shared.ports.KeySource`. The version is the revision of the entry."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._link = Link(url, "weir-keys", _PING_SECONDS, _TRUST_SECONDS)
        self._turn = threading.Lock()
        self._end = weakref.finalize(self, end, self._loop, self._link)

    def read(self) -> KeptDocument:
        """See the port."""
        found = self._ask(
            Ask(f"$JS.API.STREAM.MSG.GET.{KEYS_STREAM}", json.dumps({"last_by_subj": KEYS_SUBJECT}).encode())
        )
        message = found.get("message")
        text = base64.b64decode(message.get("data", "")).decode("utf-8", "replace") if message else ""
        # An entry that was deleted is an empty one.
        return KeptDocument(text, str(message["seq"]) if message else "")

    def replace(self, text: str, version: str) -> None:
        """See the port."""
        self._ask(Ask(KEYS_SUBJECT, text.encode(), {_EXPECTED: version or "0"}))

    def close(self) -> None:
        """Close the connection and the event loop."""
        with self._turn:
            self._end()

    def _ask(self, ask: Ask) -> dict[str, Any]:
        with self._turn:
            try:
                (answer,) = self._loop.run_until_complete(self._asked(ask))
            except QueueUnavailable as error:
                raise KeysUnavailable("NATS cannot be asked for the keys.", 2) from error
        if not isinstance(answer, Msg):
            # Nobody listens to a subject that no stream holds.
            raise KeysUnavailable("NATS did not answer for the keys.", 2)
        return _judged(json.loads(answer.data))

    async def _asked(self, ask: Ask) -> list[Answer | None]:
        answers = await self._link.ask([ask], _SECONDS)
        if answers == [None]:
            # The connection was broken before it was used: once more on a new one. What was written is not twice.
            answers = await self._link.ask([ask], _SECONDS)
        return answers


def _judged(said: dict[str, Any]) -> dict[str, Any]:
    error = said.get("error")
    if not error or error.get("err_code") == _NO_MESSAGE:
        return said
    if error.get("err_code") == _OTHER_SEQUENCE:
        raise Conflict
    if error.get("err_code") == _NO_STREAM:
        raise Misconfigured("NATS has no bucket for keys: make it by WEIR_KEYS=nats python -m infra.nats.topology")
    raise KeysUnavailable("NATS did not give the keys.", 2)
