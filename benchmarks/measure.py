"""The batches: a rebuild of ten million events of a week, and ten ticks on top of it (``quick``: a million, and three).

The week is generated in the store: visitors whose activity is heavy-tailed, devices that are shared, logins in the
midst of it, and bots. A tick follows a minute of 5,000 new events a second, one in a hundred of them late: most by
minutes, one in twenty of these by up to a day. In a tick with logins some thousand devices tell for the first time
whose they are, so that events of theirs in all of the week become another visitor's.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect

from benchmarks.machine import cpu_seconds, family
from benchmarks.results import Values
from functions.measure.service import Range
from functions.shared import wiring
from infra.clickhouse.migrate import migrate
from infra.questdb.migrate import migrate as migrate_questdb
from tests.support import wired
from tests.support.clickhouse import ClickHouse
from tests.support.polling import until
from tests.support.questdb import QuestDb

START, WEEK = 1_764_547_200, 7 * 86_400
TICK_EVENTS = 300_000
# A block of ten minutes fills with them, and the more it holds the more there is to read of it again.
TICKS, QUICK_TICKS = 10, 3
# What the batches write: as it is once a store had its nights, so that no tick pays for what the rebuild left to merge.
_BATCH_TABLES = ("session_event_rows", "session_rows", "metric_states", "visitor_first_rows", "identity_links")
_SETTLE_SECONDS = 300
# Events come as visits of eight, of visitors drawn so that few make most; some of these log in now and then.
_EVENTS = """INSERT INTO processed_events (event_id, raw_event_id, received_at, timestamp, processed_at, platform,
    event_type, event_name, session_id, user_id, anonymous_id, identity, page_path, geo_country, browser_name, os_name,
    device_type, campaign, is_bot, key_id, context_text, properties_text, metrics_text, digest, batch_id, attempt_id)
SELECT id, id, at, at, at, if(h % 3 = 0, 'ios', 'web'), ['page_view', 'click', 'purchase'][1 + h % 7 % 3],
    concat(['Home', 'Buy', 'Search', 'Pay'][1 + h % 4],
        if({names:UInt8} = 4, '', concat(' ', toString(intDiv(h, 4) % intDiv({names:UInt8}, 4))))),
    toUUID('00000000-0000-0000-0000-000000000000'),
    if(named, account, NULL), if(kind = 0 AND {logins:Bool} OR NOT named, device, ''),
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


def generate(
    client: Any, salt: int, count: int, visitors: int, minute: int | None = None, logins: bool = True, names: int = 4
) -> None:
    """Put events of the week, or of a minute after it, into the store, in attempts of 5,000.

    ``salt`` tells one lot from another; ``names`` is how many names events have, a multiple of four.
    """
    given: dict[str, Any] = {"visitors": visitors, "logins": logins, "late": minute is not None, "names": names}
    given |= {"first": START, "seconds": WEEK, "pace": 150}
    if minute is not None:
        given |= {"first": START + WEEK + 60 * minute, "seconds": 60, "pace": 5}
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


class Took(NamedTuple):
    """What a run took: the time of the clock, and of the CPU by the store, the series store and the function."""

    seconds: float
    cpu_seconds: float
    counts: dict[str, int]


class Bench:
    """One store and a QuestDB, and the batches over them."""

    def __init__(self, server: ClickHouse, series: QuestDb) -> None:
        migrate(server.url, "bench")
        migrate_questdb(series.url)
        settings = series.settings()
        os.environ |= {
            "WEIR_CLICKHOUSE_URL": server.url,
            "WEIR_CLICKHOUSE_DATABASE": "bench",
            "WEIR_QUESTDB_URL": settings.questdb_url,
            "WEIR_QUESTDB_PG_PORT": str(settings.questdb_pg_port),
        }
        # What was made for another store before.
        wired.forget()
        assert server._process is not None
        assert series._process is not None
        self._pids = [os.getpid(), server._process.pid, *family(series._process.pid)]
        self.client = clickhouse_connect.get_client(
            dsn=server.url, database="bench", autogenerate_session_id=False, send_receive_timeout=900
        )

    def rebuild(self) -> Took:
        """Compute all anew."""
        return self._run(Range(None, None))

    def rest(self) -> None:
        """Let the store merge all that a rebuild wrote at once: of what ticks write, they bear the merges."""
        for table in _BATCH_TABLES:
            self.client.command(f"OPTIMIZE TABLE {table} FINAL")
        self._settle()

    def tick(self, minute: int, visitors: int, logins: bool = False) -> Took:
        """Let a minute pass, and compute what it changed."""
        generate(self.client, 900 + minute, TICK_EVENTS, visitors, minute, logins)
        also_raw(self.client)
        touch(self.client, 900 + minute)
        self._settle()
        return self._run(None)

    def _settle(self) -> None:
        """Wait until the store has merged the events that were put there at once: that is no part of the batches."""
        count = "SELECT count() FROM system.merges"
        until(lambda: self.client.query(count).result_rows[0][0] == 0, _SETTLE_SECONDS, "the store's merges")

    def _run(self, rebuild: Range | None) -> Took:
        before, began = self._cpu(), time.perf_counter()
        done = wiring.measure_service().run(3_600, 60, rebuild)
        took = Took(time.perf_counter() - began, self._cpu() - before, done.counts)
        assert done.state == "done", done
        print(f"    {took.seconds:.1f} s, {took.cpu_seconds:.1f} s of CPU: {done}", file=sys.stderr, flush=True)
        return took

    def _cpu(self) -> float:
        return sum(map(cpu_seconds, self._pids))


def measure(*, quick: bool = False, count: int = 0) -> Values:
    """What a rebuild takes, a tick over it, and a rebuild of a tenth."""
    count = count or (1_000_000 if quick else 10_000_000)
    small, *_ = _measured(count // 10, ticks=0)
    rebuilt, *ticks, logins = _measured(count, QUICK_TICKS if quick else TICKS)
    return {
        "measure_rebuild_seconds": rebuilt.seconds,
        "measure_rebuild_cpu_seconds": rebuilt.cpu_seconds,
        "measure_rebuild_sessions": rebuilt.counts["sessions"],
        "measure_tick_seconds": statistics.median(tick.seconds for tick in ticks),
        "measure_tick_cpu_seconds": statistics.median(tick.cpu_seconds for tick in ticks),
        "measure_first_tick_seconds": ticks[0].seconds,
        "measure_last_tick_seconds": ticks[-1].seconds,
        "measure_last_tick_cpu_seconds": ticks[-1].cpu_seconds,
        "measure_logins_tick_seconds": logins.seconds,
        "measure_logins_tick_cpu_seconds": logins.cpu_seconds,
        "measure_growth_ratio": rebuilt.cpu_seconds / small.cpu_seconds,
        "measure_function_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _measured(count: int, ticks: int) -> list[Took]:
    """A rebuild, and if ticks are asked for these, and one more with logins."""
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        server, series = ClickHouse(Path(folder) / "data"), QuestDb(Path(folder) / "questdb")
        server.start()
        series.start()
        try:
            bench, visitors = Bench(server, series), count // 10
            generate(bench.client, 1, count, visitors)
            also_raw(bench.client)
            took = [bench.rebuild()]
            bench.rest()
            took += [bench.tick(minute, visitors) for minute in range(ticks)]
            return [*took, bench.tick(ticks, visitors, logins=True)] if ticks else took
        finally:
            series.stop()
            server.stop()
