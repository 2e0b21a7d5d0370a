"""What Weir's streams are called, and the headers it writes: for adapter, topology and event source."""

from typing import NamedTuple

MESSAGE_ID = "Nats-Msg-Id"
CAUSE = "Weir-Cause"
ATTEMPTS = "Weir-Attempts"
FIRST_QUEUED_AT = "Weir-First-Queued-At"
ORIGINAL_ID = "Weir-Message-Id"


class Names(NamedTuple):
    """Streams, subjects and the durable consumer of one pipeline."""

    stream: str = "WEIR_EVENTS"
    subject: str = "weir.events"
    consumer: str = "enrich"
    dead_stream: str = "WEIR_DEAD_LETTERS"
    dead_subject: str = "weir.dead"


NAMES = Names()
