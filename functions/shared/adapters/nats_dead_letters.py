"""The dead-letter stream, read and emptied by who keeps its messages as rows."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from nats.aio.msg import Msg

from functions.shared.adapters import nats_names
from functions.shared.adapters.nats_link import Ask
from functions.shared.adapters.nats_queue import NatsQueue
from functions.shared.domain import instants
from functions.shared.errors import QueueUnavailable
from functions.shared.ports import DeadMessage

# There is no such message: to get, and to remove.
_GONE = frozenset({10037, 10043})
_UNSAID = "The dead letter does not say why."


class NatsDeadLetters(NatsQueue):
    """Implements :class:`~functions.shared.ports.DeadMessages`, over a connection as the queue has one."""

    def take(self, limit: int, after: int = 0) -> list[DeadMessage]:
        """See the port. A place is a sequence of the stream."""
        return self._run(self._take(limit, after))

    def remove(self, messages: Sequence[DeadMessage]) -> None:
        """See the port. The broker noted each when it returns."""
        self._run(self._remove([each.handle for each in messages]))

    async def _take(self, limit: int, after: int) -> list[DeadMessage]:
        state = (await self._info(f"STREAM.INFO.{self._names.dead_stream}"))["state"]
        first, last = max(state["first_seq"], after + 1), state["last_seq"]
        found: list[DeadMessage] = []
        # Where some were removed from between there are places without a message.
        while not found and first <= last:
            window = range(first, min(first + limit, last + 1))
            said = await self._api("GET", [{"seq": sequence} for sequence in window])
            found = [self._message(each["message"]) for each in said if "message" in each]
            first = window.stop
        return found

    async def _remove(self, sequences: Sequence[int]) -> None:
        await self._api("DELETE", [{"seq": sequence, "no_erase": True} for sequence in sequences])

    async def _api(self, verb: str, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to requests of one kind; that there is no such message is one."""
        subject = f"$JS.API.STREAM.MSG.{verb}.{self._names.dead_stream}"
        answers, _ = await self._ask([Ask(subject, json.dumps(each).encode()) for each in requests])
        said = []
        for answer in answers:
            if not isinstance(answer, Msg):
                raise answer or QueueUnavailable("NATS did not answer in time.")
            one = json.loads(answer.data)
            error = one.get("error")
            if error and error.get("err_code") not in _GONE:
                raise QueueUnavailable(f"NATS: {error.get('description', 'unknown error')}")
            said.append(one)
        return said

    def _message(self, stored: dict[str, Any]) -> DeadMessage:
        headers = _headers(base64.b64decode(stored.get("hdrs", "")))
        dead_at = instants.from_text(stored["time"])
        first = headers.get(nats_names.FIRST_QUEUED_AT, "")
        attempts = headers.get(nats_names.ATTEMPTS, "")
        return DeadMessage(
            body=base64.b64decode(stored.get("data", "")),
            cause=headers.get(nats_names.CAUSE) or _UNSAID,
            attempts=int(attempts) if attempts.isdecimal() else 1,
            queued_at=int(first) if first.isdecimal() else dead_at,
            dead_at=dead_at,
            id=headers.get(nats_names.ORIGINAL_ID) or headers.get(nats_names.MESSAGE_ID, ""),
            place=stored["seq"],
            handle=stored["seq"],
        )


def _headers(text: bytes) -> dict[str, str]:
    lines = text.decode("utf-8", "replace").split("\r\n")[1:]
    return {name: value.strip() for name, found, value in (line.partition(":") for line in lines) if found}
