"""Notifications to a webhook that takes what Slack's incoming webhooks take. The address is a secret, told nowhere."""

import contextlib
import http.client
import json
import socket
import ssl
from threading import Timer
from urllib.parse import urlsplit

from functions.shared.domain import notification
from functions.shared.domain.notification import Notification
from functions.shared.errors import SinkRefused, SinkUnavailable

_OK, _REDIRECTS, _TIMEOUT, _TOO_MANY, _SERVER = 200, 300, 408, 429, 500


class WebhookSink:
    """One POST a notification. ``seconds`` bound the connecting, and twice that all of it."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url, self._seconds = url, seconds

    def send(self, told: Notification) -> None:
        """See the port. A redirect is not followed: it would carry the message to who knows whom."""
        body = json.dumps(notification.slack(told)).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": told.id, "User-Agent": "weir"}
        parts = urlsplit(self._url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = self._connection()
        # Who answers a byte at a time would else be waited for without an end.
        timer = Timer(2 * self._seconds, _cut, [connection])
        timer.daemon = True
        timer.start()
        try:
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise SinkUnavailable(f"The webhook did not answer: {type(error).__name__}.") from None
        finally:
            timer.cancel()
            connection.close()
        if status in (_TIMEOUT, _TOO_MANY) or status >= _SERVER:
            raise SinkUnavailable(f"The webhook answered {status}.")
        if not _OK <= status < _REDIRECTS:
            raise SinkRefused(f"The webhook answered {status}.")

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, parts.port, timeout=self._seconds, context=context)
        return http.client.HTTPConnection(host, parts.port, timeout=self._seconds)


def _cut(connection: http.client.HTTPConnection) -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
