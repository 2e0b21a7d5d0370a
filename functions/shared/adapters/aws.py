"""Clients of AWS' services, by botocore alone: boto3 loads what it knows of S3 besides, which nobody asks here."""

from functools import cache
from threading import Lock
from typing import Any

from botocore.config import Config
from botocore.session import get_session

# Of its session botocore does not say that several threads may make clients at once; of the clients it does.
_LOCK = Lock()


def client(
    service: str, *, connect_seconds: float, read_seconds: float, attempts: int = 1, region: str | None = None
) -> Any:
    """A client with these deadlines a call, which is tried so many times; in the process' own region unless told."""
    config = Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"total_max_attempts": attempts, "mode": "standard"},
    )
    with _LOCK:
        return _session().create_client(service, region_name=region, config=config)


@cache
def _session() -> Any:
    # One for all clients: what botocore knows of regions is read once a session, for half as long as its own import.
    return get_session()
