"""``dry_run``: asks the enrich function for the rows it would store, through the Lambda API."""

import json
from collections.abc import Sequence
from typing import Any

from functions.shared.errors import FunctionUnavailable, TooLarge

_PAYLOAD_BYTES = 5_500_000  # a synchronous invocation takes 6 MB


class LambdaPreview:
    """Invokes enrich with ``dry_run``. The client is made on the first call: few ask for a dry run."""

    def __init__(self, function_name: str, timeout_seconds: float = 10.0) -> None:
        self._function_name = function_name
        self._timeout_seconds = timeout_seconds
        self._client: Any = None

    def rows(self, bodies: Sequence[bytes]) -> dict[str, Any]:
        """The raw and processed rows. Raises :class:`FunctionUnavailable`."""
        from botocore.exceptions import BotoCoreError, ClientError

        payload = json.dumps({"dry_run": True, "Records": [{"body": body.decode("utf-8")} for body in bodies]})
        if len(payload) > _PAYLOAD_BYTES:
            raise TooLarge("dry_run_too_large", f"A dry run takes up to {_PAYLOAD_BYTES} bytes of queued events.")
        try:
            answer = self._connected().invoke(FunctionName=self._function_name, Payload=payload.encode())
            rows: dict[str, Any] = json.loads(answer["Payload"].read())
        except (BotoCoreError, ClientError, ValueError) as error:
            raise FunctionUnavailable("The dry run could not be made; try again.") from error
        if answer.get("FunctionError") or "raw" not in rows:
            raise FunctionUnavailable("The dry run failed; try again.")
        return rows

    def _connected(self) -> Any:
        if self._client is None:
            from functions.shared.adapters import aws

            self._client = aws.client("lambda", connect_seconds=2, read_seconds=self._timeout_seconds)
        return self._client
