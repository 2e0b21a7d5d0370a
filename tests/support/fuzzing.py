"""What schemathesis has to be told of our media types, once a process."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, text: Any) -> bytes:
    """Lines as they were made, good or bad."""
    return str(text).encode("utf-8", "surrogatepass")
