"""The rows the stores hold. Field order is the column order of every insert.

Rows are plain tuples: a block of them goes to the store in one call. Times are nanoseconds since the epoch, UTC;
``*_text`` fields are JSON text exactly as it was sent, from which every answer is made.
"""

from typing import Literal, NamedTuple

ProcessingStatus = Literal["processed", "failed"]


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


class Delivery(NamedTuple):
    """One event of one message on its way into the store: the raw row, and the processed one when it is valid."""

    raw: RawRow
    processed: ProcessedRow | None

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Which delivery of an event counts: the smallest rank (valid first, then earliest, then smallest digest)."""
        return (self.processed is None, self.raw.received_at, self.raw.digest)
