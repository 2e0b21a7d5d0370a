"""What the services need from the outside, as small protocols. Adapters implement them; wiring chooses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

# Each stage imports the ports, and few of what they speak of.
if TYPE_CHECKING:
    from functions.shared.domain.notification import Notification
    from functions.shared.domain.rates import Allowance
    from functions.shared.domain.series import SeriesTable
    from schemas.rows import Delivery, LedgerRow


class Message(NamedTuple):
    """What is queued: UTF-8 text, and an id by which the broker may recognise a resend.

    ``tally`` is what the ledger is told of it (schemas.tally), as soon as the broker holds the message; else nothing.
    """

    id: str
    body: bytes
    tally: str = ""


class Published(NamedTuple):
    """What became of one message. ``error`` is empty when the broker holds it durably."""

    duplicate: bool
    error: str


class Received(NamedTuple):
    """A message taken from the queue and not yet settled. ``handle`` is the broker's own and opaque.

    ``id`` names the message at the broker, the same at each of its deliveries.
    """

    body: bytes
    attempt: int
    queued_at: int
    handle: Any
    id: str


class Depth(NamedTuple):
    """How much waits in a queue: ready messages, messages in hand, dead letters."""

    ready: int
    in_flight: int
    dead: int


class Backlog(NamedTuple):
    """All that waits or is in hand, in messages and in bytes; 0 bytes where the broker does not tell."""

    messages: int
    bytes: int


class Queue(Protocol):
    """A durable queue with at-least-once delivery and dead letters after a number of tries."""

    @property
    def max_message_bytes(self) -> int:
        """The largest body one message may have."""
        ...

    def publish(self, messages: Sequence[Message]) -> list[Published]:
        """Queue all, in order, and return only after the broker answered for each or the deadline passed.

        Raises :class:`~functions.shared.errors.QueueUnavailable` when none was acknowledged.
        """
        ...

    def note(self, message: Message) -> None:
        """Queue a tally that no message carries. Raises :class:`~functions.shared.errors.QueueUnavailable`."""
        ...

    def receive(self, limit: int, wait_seconds: float) -> list[Received]:
        """Take up to ``limit`` messages, waiting up to ``wait_seconds`` for the first."""
        ...

    def ack(self, received: Received) -> None:
        """Settle a message for good."""
        ...

    def retry(self, received: Received, after_seconds: float, cause: str) -> bool:
        """Give a message back for later. After the last try it is dead-lettered with ``cause``; True then."""
        ...

    def depth(self) -> Depth:
        """How much waits."""
        ...

    def backlog(self) -> Backlog:
        """How much is not yet settled, by one question to the broker."""
        ...

    def oldest_at(self) -> int | None:
        """When the oldest message that is not settled was queued, in nanoseconds since the epoch; 0 when none is left.

        None where the broker does not tell (SQS: CloudWatch has the age).
        """
        ...


class Tallies(Protocol):
    """The tallies on their way to the ledger. Raises :class:`~functions.shared.errors.QueueUnavailable`."""

    def take(self, limit: int) -> list[str]:
        """Up to ``limit`` of them, those that wait longest first."""
        ...

    def done(self) -> None:
        """What was taken last is recorded; without this it comes again."""
        ...


class DeadMessage(NamedTuple):
    """A message that the broker's consumer gave up. Times are nanoseconds; ``place`` orders those of one broker."""

    body: bytes
    cause: str
    attempts: int
    queued_at: int
    dead_at: int
    id: str
    place: int
    handle: Any


class DeadMessages(Protocol):
    """Where a broker keeps what was given up. All raise :class:`~functions.shared.errors.QueueUnavailable`."""

    def take(self, limit: int, after: int = 0) -> list[DeadMessage]:
        """Up to so many of them, in order, behind a ``place``; they stay where they are."""
        ...

    def remove(self, messages: Sequence[DeadMessage]) -> None:
        """Let them go for good. Those that are gone already are no error."""
        ...


class WriteReport(NamedTuple):
    """What a write did, in events: 1 in is exactly 1 of these."""

    stored: int
    failed: int
    duplicates: int


class EventStore(Protocol):
    """Where enriched events are recorded, so that of all deliveries of an event exactly one counts."""

    def record(self, deliveries: "Sequence[Delivery]", parts: "Sequence[LedgerRow]" = ()) -> WriteReport:
        """Write processed rows, then raw rows; idempotent, and safe beside other writers of the same events.

        ``parts`` are the messages' outcomes for the ledger, but for what became of their events, which is filled in.
        Raises :class:`~functions.shared.errors.StoreUnavailable`; then nothing may be acknowledged.
        """
        ...

    def forget(self, deliveries: "Sequence[Delivery]") -> None:
        """Remove the rows of deliveries from wherever they were recorded, and say so to the ledger and the batches.

        Raises :class:`~functions.shared.errors.StoreUnavailable`; then nothing may be acknowledged.
        """
        ...


class Instant(int):
    """Nanoseconds since 1970, given to a query as a time and not as a number."""


class SeriesStore(Protocol):
    """Where sessions, metrics and anomalies are kept by time: a row replaces the row of the same key.

    All raise :class:`~functions.shared.errors.StoreUnavailable` when the store is away; the next call tries anew.
    """

    def write(self, table: "SeriesTable", rows: Sequence[Sequence[Any]]) -> None:
        """Keep the rows, each in the order of the table's columns; when it returns, they outlive a crash of the store.

        Idempotent: after an error, write the same again. Raises :class:`~functions.shared.errors.StoreRefused`
        for a value that no column takes. Readers see the rows a moment later: :meth:`await_visible`.
        """
        ...

    def write_lines(self, table: "SeriesTable", lines: bytes) -> None:
        """Keep rows that are lines already (:mod:`functions.shared.domain.lines`), as :meth:`write` keeps them."""
        ...

    def await_visible(self, *tables: "SeriesTable") -> None:
        """Return once queries see all that was written before the call."""
        ...

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, each ``%s`` bound to a value: text, numbers, booleans, None or :class:`Instant`.

        Times come back as nanoseconds, whole microseconds of them; ``sessions.started_at::long`` gives the last digits.
        Raises :class:`~functions.shared.errors.StoreRefused` for a statement that is wrong.
        """
        ...

    def ping(self) -> None:
        """Return if the store answers queries."""
        ...


class AlertSink(Protocol):
    """Where people or machines are told of alerts. The same notification may come twice, under the same id."""

    def send(self, told: "Notification") -> None:
        """Return once it was taken.

        Raises :class:`~functions.shared.errors.SinkUnavailable`, or :class:`~functions.shared.errors.SinkRefused` when
        it is about this one. Neither tells a secret.
        """
        ...


Status = Literal["ok", "unavailable"]


class Probe(NamedTuple):
    """Whether an engine answers, and why not."""

    name: str
    status: Status
    detail: str


class Counters(Protocol):
    """Counts against limits. Raises :class:`~functions.shared.errors.LimiterUnavailable` when nobody counts."""

    def take(self, what: str, limit: int, window_seconds: int, cost: int) -> "Allowance":
        """Take ``cost`` from what ``what`` may have in any window of so long, all of it or none."""
        ...

    def spend(self, what: str, limit: int, window_seconds: int, cost: int) -> "Allowance":
        """Take ``cost`` from what ``what`` may have at all, all of it or none; forgotten after so long."""
        ...


class KeptDocument(NamedTuple):
    """A document as it is kept. ``version`` names it for who wants to replace it; empty when there is none yet."""

    text: str
    version: str


class KeySource(Protocol):
    """Where the document of the keys is kept.

    Both raise :class:`~functions.shared.errors.KeysUnavailable` while the source is away, and
    :class:`~functions.shared.errors.Misconfigured` when it is not set up.
    """

    def read(self) -> KeptDocument:
        """The document as it is now."""
        ...

    def replace(self, text: str, version: str) -> None:
        """Put another in place of the one of ``version``.

        Raises :class:`~functions.shared.errors.Conflict` when somebody else was faster; then nothing is changed.
        """
        ...
