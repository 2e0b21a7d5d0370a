"""How long the batches take: ``python -m benchmarks.measure [events]``.

A week of events is generated in the store: visitors whose activity is heavy-tailed, devices that are shared, logins in
the midst of it, and bots. Measured are the rebuild of everything, and a tick after a minute of 5,000 new events a
second, one in a hundred of them late: most by minutes, some by up to a day.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import clickhouse_connect

from functions.measure.service import Range
from functions.shared import wiring
from infra.clickhouse.migrate import migrate
from infra.questdb.migrate import migrate as migrate_questdb
from tests.support.clickhouse import ClickHouse
from tests.support.questdb import QuestDb

START, WEEK = 1_764_547_200, 7 * 86_400
TICK_EVENTS = 300_000
# Events come as visits of eight, of visitors drawn so that few make most; some of these log in now and then.
_EVENTS = """INSERT INTO processed_events (event_id, raw_event_id, received_at, timestamp, processed_at, platform,
    event_type, event_name, session_id, user_id, anonymous_id, identity, page_path, geo_country, browser_name, os_name,
    device_type, campaign, is_bot, key_id, context_text, properties_text, metrics_text, digest, batch_id, attempt_id)
SELECT id, id, at, at, at, if(h % 3 = 0, 'ios', 'web'), ['page_view', 'click', 'purchase'][1 + h % 7 % 3],
    ['Home', 'Buy', 'Search', 'Pay'][1 + h % 4], toUUID('00000000-0000-0000-0000-000000000000'),
    if(named, account, NULL), if(kind = 0 OR NOT named, device, ''),
    if(named, concat('u:', toString(account)), concat('a:', device)), concat('/page/', toString(h % 50)),
    ['DE', 'FR', 'US', ''][1 + v % 4], ['Chrome', 'Firefox', ''][1 + v % 3], 'Linux',
    ['desktop', 'mobile'][1 + v % 2], '', v % 97 = 0, 'k', '{"page":{"referrer":"https://example.org/"}}',
    '{"amount":9.5}', '{}', '',
    toUUID(concat('00000000-0000-0000-0000-', leftPad(toString({salt:UInt64}), 12, '0'))),
    toUUID(concat('00000000-0000-0000-', leftPad(toString({salt:UInt64} % 10000), 4, '0'), '-',
        leftPad(toString(intDiv(number, 5000)), 12, '0')))
FROM (SELECT *, concat('device-', toString(v)) AS device, h % 16 AS kind, v % 5 = 0 AND kind < 2 AS named,
    toUUID(concat('00000000-0000-4000-8000-', leftPad(lower(hex(intDiv(v, 2))), 12, '0'))) AS account,
    fromUnixTimestamp64Nano(toInt64({first:UInt64} + intDiv(visit % 1000003 * {seconds:UInt64}, 1000003)
        + number % 8 * {pace:UInt64}
        - if(visit % 100 = 7 AND {late:Bool}, visit % if(visit % 2000 = 7, 86400, 600), 0)) * 1000000000
        + h % 1000000000, 'UTC') AS at
    FROM (SELECT number, generateUUIDv7(number) AS id, cityHash64(number, {salt:UInt64}) AS h,
        cityHash64(intDiv(number, 8), {salt:UInt64}, 1) AS visit,
        toUInt64(pow((sipHash64(intDiv(number, 8), {salt:UInt64}) % 1000000) / 1e6, 3) * {visitors:UInt64}) AS v
        FROM numbers({count:UInt64})))"""


def generate(client: Any, salt: int, count: int, first: int, seconds: int, late: bool, visitors: int) -> None:
    """Put events into the store, in attempts of 5,000. ``salt`` tells one lot from another."""
    given = {"salt": salt, "first": first, "seconds": seconds, "late": late, "visitors": visitors}
    given["pace"] = 150 if seconds > 3_600 else 5
    for at in range(0, count, 1_000_000):
        more = {"salt": salt + at // 1_000_000, "count": min(1_000_000, count - at)}
        client.command(_EVENTS, parameters={**given, **more}, settings={"max_insert_threads": 2})


def touch(client: Any, salt: int) -> None:
    """The word that recording would have left of them."""
    client.command(
        "INSERT INTO touched (attempt_id, minutes, event_ids, events)"
        " SELECT attempt_id, groupUniqArray(toStartOfMinute(toDateTime(timestamp, 'UTC'))), [], count()"
        " FROM processed_events WHERE batch_id = toUUID(concat('00000000-0000-0000-0000-', leftPad({salt:String}, 12,"
        " '0'))) GROUP BY attempt_id",
        parameters={"salt": str(salt)},
    )


def also_raw(client: Any) -> None:
    """The raw rows of events that have none."""
    shared = (
        "event_id, received_at, timestamp, processed_at, platform, event_type, event_name, session_id, user_id,"
        " anonymous_id, properties_text, key_id, digest, batch_id, attempt_id"
    )
    client.command(
        f"INSERT INTO raw_events ({shared}, processing_status) SELECT {shared}, 'processed' FROM processed_events"
        " WHERE batch_id NOT IN (SELECT DISTINCT batch_id FROM raw_events)"
    )


class Bench:
    """One store and a QuestDB, and the batches over them."""

    def __init__(self, url: str, series: QuestDb) -> None:
        migrate(url, "bench")
        migrate_questdb(series.url)
        settings = series.settings()
        os.environ |= {
            "WEIR_CLICKHOUSE_URL": url,
            "WEIR_CLICKHOUSE_DATABASE": "bench",
            "WEIR_QUESTDB_URL": settings.questdb_url,
            "WEIR_QUESTDB_PG_PORT": str(settings.questdb_pg_port),
        }
        # What was made for another store before.
        wiring.measure_settings.cache_clear()
        wiring.series_store.cache_clear()
        self.client = clickhouse_connect.get_client(
            dsn=url, database="bench", autogenerate_session_id=False, send_receive_timeout=900
        )

    def run(self, rebuild: bool) -> float:
        """Seconds that a run took, with all that follows the sessions."""
        began = time.perf_counter()
        done = wiring.measure_service().run(3_600, 60, Range(None, None) if rebuild else None)
        print("   ", done, file=sys.stderr, flush=True)
        assert done.state == "done", done
        return time.perf_counter() - began


def measure(quick: bool = False, count: int = 0) -> dict[str, float]:
    """A rebuild of ten million events (``quick``: a million), a tick over them, and what a tenth of them takes."""
    count = count or (1_000_000 if quick else 10_000_000)
    small = _measured(count // 10)
    large = _measured(count)
    return {
        "measure_rebuild_seconds": large[0],
        "measure_tick_seconds": large[1],
        "measure_growth_ratio": large[0] / small[0],
        "measure_function_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _measured(count: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        server, series = ClickHouse(Path(folder) / "data"), QuestDb(Path(folder) / "questdb")
        server.start()
        series.start()
        try:
            bench = Bench(server.url, series)
            visitors = count // 10
            generate(bench.client, 1, count, START, WEEK, False, visitors)
            also_raw(bench.client)
            rebuilt = bench.run(rebuild=True)
            generate(bench.client, 999, TICK_EVENTS, START + WEEK, 60, True, visitors)
            also_raw(bench.client)
            touch(bench.client, 999)
            return rebuilt, bench.run(rebuild=False)
        finally:
            series.stop()
            server.stop()


if __name__ == "__main__":
    print(measure(count=int(sys.argv[1]) if len(sys.argv) > 1 else 0))
