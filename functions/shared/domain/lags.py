"""How long events took from receipt to storage, as SQL for the event store."""

WINDOW_SECONDS = 300

_TOOK = "(toUnixTimestamp64Nano(stored_at) - toUnixTimestamp64Nano(received_at)) / 1e9"
# Of what was stored in the last minutes: how many, the newest receipt and storage in nanoseconds, and the median, the
# 95th percentile and the longest in seconds, null where nothing was stored.
SQL = (
    "SELECT count(), toUnixTimestamp64Nano(max(received_at)), toUnixTimestamp64Nano(max(stored_at)),"  # noqa: S608
    f" quantile(0.5)({_TOOK}), quantile(0.95)({_TOOK}), max({_TOOK})"
    f" FROM raw_events WHERE stored_at >= now64(9) - INTERVAL {WINDOW_SECONDS} SECOND"
)
