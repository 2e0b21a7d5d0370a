"""The rows the stores hold. Field order is the column order of every insert.

Rows are plain tuples: a block of them goes to the store in one call. Times are nanoseconds since the epoch, UTC;
``*_text`` fields are JSON text exactly as it was sent, from which every answer is made.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

ProcessingStatus = Literal["processed", "failed"]
LedgerKind = Literal["tally", "outcome", "correction", "erased"]
# How the ids of keys of the test environment begin.
TEST_KEYS = ("test", "wk_test")


class RawRow(NamedTuple):
    """One delivery of one event, good or bad, as it came (table ``raw_events``)."""

    event_id: str
    received_at: int
    timestamp: int
    original_timestamp: str
    platform: str
    event_type: str
    event_name: str
    session_id: str
    user_id: str | None
    user_ref: str
    anonymous_id: str
    properties_text: str
    context_text: str
    raw_data: str
    raw_encoding: str
    processed_at: int
    processing_status: ProcessingStatus
    error_message: str
    error_codes: list[str]
    flags: list[str]
    batch_id: str
    batch_index: int
    batch_size: int
    key_id: str
    envelope_version: int
    queued_at: int
    attempt: int
    digest: str
    sent_at: int
    request_ip: str
    request_user_agent: str
    patch: str
    generation: int


class ProcessedRow(NamedTuple):
    """One valid event with what enrichment found (table ``processed_events``)."""

    event_id: str
    raw_event_id: str
    received_at: int
    timestamp: int
    original_timestamp: str
    processed_at: int
    platform: str
    event_type: str
    event_name: str
    session_id: str
    user_id: str | None
    user_ref: str
    anonymous_id: str
    properties_text: str
    context_text: str
    metrics_text: str
    ip: str
    network: str
    identity: str
    geo_country: str
    geo_region: str
    geo_city: str
    geo_latitude: float | None
    geo_longitude: float | None
    geo_timezone: str
    browser_name: str
    browser_version: str
    os_name: str
    os_version: str
    device_family: str
    device_brand: str
    device_model: str
    device_type: str
    channel: str
    source: str
    medium: str
    campaign: str
    term: str
    content: str
    click_id: str
    referrer_domain: str
    page_url: str
    page_host: str
    page_path: str
    page_query: str
    page_title: str
    is_bot: bool
    bot_reasons: list[str]
    timezone: str
    local_hour: int | None
    local_weekday: int | None
    flags: list[str]
    batch_id: str
    batch_index: int
    key_id: str
    digest: str
    generation: int


class Rank(NamedTuple):
    """Which delivery of an event counts: the smallest. A valid one; of these a live one; then the earliest; by digest.

    What a test key sends never stands for what a live one did (docs/adr/0021-live-before-test.md).
    """

    failed: bool
    test: bool
    received_at: int
    digest: str


def rank_of(row: RawRow | ProcessedRow, failed: bool) -> Rank:
    """How the delivery ranks that a row is of."""
    return Rank(failed, row.key_id.startswith(TEST_KEYS), row.received_at, row.digest)


class Delivery(NamedTuple):
    """One event of one message on its way into the store: the raw row, and the processed one when it is valid."""

    raw: RawRow
    processed: ProcessedRow | None

    @property
    def rank(self) -> Rank:
        """How it ranks among the deliveries of its event."""
        return rank_of(self.raw, self.processed is None)

    @property
    def order(self) -> tuple[Rank, str, int, int]:
        """The same, and among equals by the place in a batch, so that no two deliveries are alike.

        Of one delivery, what a replay brought last comes first.
        """
        return (self.rank, self.raw.batch_id, self.raw.batch_index, -self.raw.generation)


class LedgerRow(NamedTuple):
    """What a stage witnessed of a part of a batch (table ``ledger``). ``minute``: when it was received, in seconds.

    ``failed``, ``superseded``, ``mended`` and ``erased`` are places in the batch; ``dropped`` counts events by reason.
    """

    minute: int
    key_id: str
    batch_id: str
    received_at: int
    first_index: int
    kind: LedgerKind
    events: int = 0
    failed: Sequence[int] = ()
    superseded: Sequence[int] = ()
    mended: Sequence[int] = ()
    dropped: Mapping[str, int] = {}
    attempt: int = 0
    queued_at: int = 0
    started_at: int = 0
    host: str = ""
    request_id: str = ""
    erased: Sequence[int] = ()
