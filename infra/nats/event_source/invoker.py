"""Calling the function through the Lambda API, in threads: signing and hashing megabytes would stall the loop."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, HTTPClientError, ReadTimeoutError

from infra.nats.event_source.outcomes import Failed, Lost, Outcome, Unreached, read_answer, read_error
from infra.nats.event_source.records import Record, payload
from infra.nats.event_source.settings import EventSourceSettings

_CONNECT_SECONDS = 3
# What the API says of the payload itself; all its other refusals mean that the function did not run.
_PAYLOAD_REFUSED = {"RequestTooLargeException", "InvalidRequestContentException", "UnsupportedMediaTypeException"}
_FALLBACK_REGION = "us-east-1"


class Invoker:
    """Invokes one function, several times at once if asked to."""

    def __init__(self, settings: EventSourceSettings) -> None:
        self._function = settings.enrich_function
        self._threads = ThreadPoolExecutor(settings.event_source_concurrency, "invoke")
        session: Any = boto3.session.Session()
        self.region: str = session.region_name or _FALLBACK_REGION
        self._client: Any = session.client("lambda", region_name=self.region, config=_config(settings))

    async def invoke(self, records: Sequence[Record]) -> Outcome:
        """Send the records and judge the answer. Never raises for what the endpoint or the function does."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._invoke, records)

    def close(self) -> None:
        """Let the threads go; an invocation still running is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _invoke(self, records: Sequence[Record]) -> Outcome:
        try:
            answer = self._client.invoke(FunctionName=self._function, Payload=payload(records))
            body = answer["Payload"].read()
        except ClientError as error:
            return _refused(error)
        except (ReadTimeoutError, ConnectionClosedError, HTTPClientError) as error:
            return _broken(error)
        except (BotoCoreError, OSError) as error:
            return Unreached(f"The Lambda endpoint cannot be reached: {error}")
        if answer.get("FunctionError"):
            return read_error(body)
        return read_answer(body, [each.id for each in records])


def _config(settings: EventSourceSettings) -> Config:
    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=settings.event_source_invoke_timeout_seconds,
        # The back-off here is the broker's; the client's own retries would only delay it.
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=settings.event_source_concurrency,
        tcp_keepalive=True,
    )


def _refused(error: ClientError) -> Outcome:
    code = error.response.get("Error", {}).get("Code", "")
    cause = f"The Lambda endpoint refused: {code}"
    return Failed(cause) if code in _PAYLOAD_REFUSED else Unreached(cause)


def _broken(error: BotoCoreError) -> Outcome:
    """A connection that was never made reached nobody; one that broke later may have."""
    name = type(error).__name__
    never = {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "SSLError"}
    if name in never:
        return Unreached(f"The Lambda endpoint cannot be reached: {name}")
    return Lost(f"The Lambda endpoint gave no answer: {name}")
