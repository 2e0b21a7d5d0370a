"""What Weir's streams are called, and the headers it writes: for adapter, topology and event source."""

from typing import NamedTuple

MESSAGE_ID = "Nats-Msg-Id"
CAUSE = "Weir-Cause"
ATTEMPTS = "Weir-Attempts"
FIRST_QUEUED_AT = "Weir-First-Queued-At"
ORIGINAL_ID = "Weir-Message-Id"
TALLY = "Weir-Tally"
# A key-value bucket is a stream, and an entry of it a subject.
KEYS_STREAM = "KV_weir_keys"
KEYS_SUBJECT = "$KV.weir_keys.ring"


class Names(NamedTuple):
    """Streams, subjects and the durable consumer of one pipeline."""

    stream: str = "WEIR_EVENTS"
    subject: str = "weir.events"
    consumer: str = "enrich"
    dead_stream: str = "WEIR_DEAD_LETTERS"
    dead_subject: str = "weir.dead"
    ledger_stream: str = "WEIR_LEDGER"
    ledger_subject: str = "weir.ledger"
    ledger_consumer: str = "ledger"


NAMES = Names()
# Where a key's events wait that are over its rate: a stream of its own, so that they take no turn of others.
SLOW = Names(stream="WEIR_SLOW", subject="weir.slow", consumer="enrich-slow")
# The tallies as a queue of their own.
TALLIES = Names(stream=NAMES.ledger_stream, subject=NAMES.ledger_subject, consumer=NAMES.ledger_consumer)
