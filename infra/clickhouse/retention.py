"""How long each table keeps its rows, brought to what the settings say. Safe to run twice, and by two at once."""

from typing import Any, NamedTuple

from functions.shared.settings import RetentionSettings


class Kept(NamedTuple):
    """A table whose rows go so many days after a time of theirs; the setting says how many, 0 is for ever."""

    setting: str
    table: str
    time: str


KEPT = (
    Kept("events", "raw_events", "received_at"),
    Kept("events", "processed_events", "received_at"),
    Kept("deliveries", "event_deliveries", "recorded_at"),
    Kept("sessions", "session_event_rows", "timestamp"),
    Kept("sessions", "session_rows", "started_at"),
    Kept("metrics", "metric_states", "window"),
    Kept("dead_letters", "dead_letters", "dead_at"),
    Kept("dead_letters", "dead_letter_states", "at"),
)
_TTL = """SELECT extract(create_table_query, ' TTL (.+?) (?:SETTINGS|COMMENT)') FROM system.tables
WHERE database = currentDatabase() AND name = {table:String}"""


def apply(client: Any, settings: RetentionSettings, on_cluster: str = "") -> list[str]:
    """Alter the tables that keep their rows for another time than they should; their names."""
    changed = []
    for kept in KEPT:
        days = int(getattr(settings, f"retention_{kept.setting}_days"))
        rows = client.query(_TTL, parameters={"table": kept.table}).result_rows
        wanted = f"toDateTime({kept.time}) + toIntervalDay({days})" if days else ""
        if not rows or rows[0][0] == wanted:
            continue
        change = f"MODIFY TTL {wanted}" if days else "REMOVE TTL"
        client.command(f"ALTER TABLE {kept.table}{on_cluster} {change}")
        changed.append(kept.table)
    return changed
