"""Notifications to an SNS topic: text for people, JSON for what takes messages, attributes to filter by."""

import json
from typing import Any

from functions.shared.domain import notification
from functions.shared.domain.notification import Notification
from functions.shared.errors import SinkRefused, SinkUnavailable

_CONNECT_SECONDS, _ANSWER_SECONDS = 2, 5
_MACHINES = ("sqs", "lambda", "http", "https", "firehose")
_FIRST_SERVER_ERROR = 500
_THROTTLED = ("Throttling", "Throttled", "ThrottlingException", "RequestLimitExceeded")


class SnsSink:
    """One topic. A FIFO topic also knows a notification that comes again within minutes."""

    def __init__(self, topic_arn: str) -> None:
        self._topic = topic_arn
        self._client: Any = None

    def send(self, told: Notification) -> None:
        """See the port."""
        # Here and not above: it takes a while, which a run that has nothing to tell need not spend.
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._connected().publish(**self._message(told))
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status >= _FIRST_SERVER_ERROR or code in _THROTTLED:
                raise SinkUnavailable(f"SNS answered {code}.") from error
            raise SinkRefused(f"SNS answered {code}.") from error
        except BotoCoreError as error:
            raise SinkUnavailable(f"SNS did not answer: {type(error).__name__}.") from error

    def _message(self, told: Notification) -> dict[str, Any]:
        text, machine = notification.text(told), json.dumps(notification.machine(told), ensure_ascii=False)
        named = {"id": told.id, "event": told.event, "rule": told.rule, "severity": told.severity}
        message = {
            "TopicArn": self._topic,
            "Subject": notification.subject(told),
            "Message": json.dumps({"default": text, **dict.fromkeys(_MACHINES, machine)}, ensure_ascii=False),
            "MessageStructure": "json",
            "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in named.items()},
        }
        if self._topic.endswith(".fifo"):
            message |= {"MessageGroupId": told.alert_id, "MessageDeduplicationId": told.id}
        return message

    def _connected(self) -> Any:
        if self._client is None:
            from functions.shared.adapters import aws

            # The topic's own region, wherever this runs.
            region = self._topic.split(":")[3]
            self._client = aws.client(
                "sns", connect_seconds=_CONNECT_SECONDS, read_seconds=_ANSWER_SECONDS, region=region
            )
        return self._client
