"""The dead-letter queue of SQS, read and emptied by who keeps its messages as rows."""

from collections.abc import Sequence
from typing import Any

from functions.shared.adapters.sqs_queue import CALL_MESSAGES, SqsQueue, asked
from functions.shared.errors import QueueUnavailable
from functions.shared.ports import DeadMessage

_UNSAID = "The queue's own redrive moved it, which keeps no cause."
_MILLISECOND = 1_000_000


class SqsDeadLetters(SqsQueue):
    """Implements :class:`~functions.shared.ports.DeadMessages`. What was taken is hidden for a while.

    There is no order: ``after`` says nothing here. Without a known dead-letter queue there are none.
    """

    def take(self, limit: int, after: int = 0) -> list[DeadMessage]:  # noqa: ARG002  see above
        """See the port."""
        if not self._dead_url:
            return []
        answer = asked(
            lambda: self._receiver.receive_message(
                QueueUrl=self._dead_url,
                MaxNumberOfMessages=min(limit, CALL_MESSAGES),
                WaitTimeSeconds=0,
                AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                MessageAttributeNames=["All"],
            )
        )
        return [_message(each) for each in answer.get("Messages", [])]

    def remove(self, messages: Sequence[DeadMessage]) -> None:
        """See the port."""
        for first in range(0, len(messages), CALL_MESSAGES):
            call = messages[first : first + CALL_MESSAGES]
            self._delete([{"Id": str(number), "ReceiptHandle": each.handle} for number, each in enumerate(call)])

    def _delete(self, entries: Sequence[dict[str, str]]) -> None:
        answer = asked(lambda: self._sender.delete_message_batch(QueueUrl=self._dead_url, Entries=entries))
        if failed := answer.get("Failed"):
            raise QueueUnavailable(f"SQS: {failed[0].get('Message') or failed[0]['Code']}")


def _message(message: dict[str, Any]) -> DeadMessage:
    said = {name: one.get("StringValue", "") for name, one in message.get("MessageAttributes", {}).items()}
    sent_at = int(message.get("Attributes", {}).get("SentTimestamp", 0)) * _MILLISECOND
    attempts, first = said.get("Weir-Attempts", ""), said.get("Weir-First-Queued-At", "")
    return DeadMessage(
        body=message["Body"].encode("utf-8", "surrogatepass"),
        cause=said.get("Weir-Cause") or _UNSAID,
        attempts=int(attempts) if attempts.isdecimal() else 1,
        queued_at=int(first) if first.isdecimal() else sent_at,
        dead_at=sent_at,
        id=said.get("Weir-Message-Id") or message["MessageId"],
        place=0,
        handle=message["ReceiptHandle"],
    )
