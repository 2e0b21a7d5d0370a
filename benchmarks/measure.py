"""How long the batches take: ``python -m benchmarks.measure [events]``.

A week of events is generated in the store: visitors whose activity is heavy-tailed, devices that are shared, logins in
the midst of it, and bots. Measured are the rebuild of everything, and a tick after a minute of 5,000 new events a
second, one in a hundred of them late: most by minutes, some by up to a day.
"""

import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clickhouse_connect

from functions.measure.lease import Lease, Leased, comment
from functions.measure.rebuilding import plan_rebuild
from functions.measure.stitching.stitcher import Stitcher
from functions.shared.adapters.clickhouse_batch import ClickHouseBatch
from functions.shared.settings import StoreSettings
from infra.clickhouse.migrate import migrate
from tests.support.clickhouse import ClickHouse

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


class Bench:
    """One store, and the batches over it."""

    def __init__(self, url: str) -> None:
        migrate(url, "bench")
        self.settings = StoreSettings(clickhouse_url=url, clickhouse_database="bench")
        self.client = clickhouse_connect.get_client(
            dsn=url, database="bench", autogenerate_session_id=False, send_receive_timeout=900
        )

    def run(self, rebuild: bool) -> float:
        """Seconds that the batches took to their end."""
        lease_id = str(uuid.uuid4())
        database = ClickHouseBatch(self.settings, own={"log_comment": comment(lease_id)})
        lease = Lease(database, lease_id, time.time_ns, time.sleep)
        began = time.perf_counter()
        assert lease.acquire(60)
        if rebuild:
            plan_rebuild(database, None, None)
        stitcher = Stitcher(Leased(database, lease), lease, lambda *_: None, 1_800, 86_400, 1_500_000)
        while step := stitcher.step():
            print("   ", step, f"{time.perf_counter() - began:.1f} s", flush=True)
        lease.release()
        return time.perf_counter() - began


def main(count: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        server = ClickHouse(Path(folder) / "data")
        server.start()
        bench = Bench(server.url)
        visitors = count // 10
        _timed("generated", lambda: generate(bench.client, 1, count, START, WEEK, False, visitors))
        print(f"rebuild of {count:,} events: {bench.run(rebuild=True):.1f} s")
        generate(bench.client, 999, TICK_EVENTS, START + WEEK, 60, True, visitors)
        touch(bench.client, 999)
        print(f"tick of {TICK_EVENTS:,} events: {bench.run(rebuild=False):.1f} s")
        server.stop()


def _timed(what: str, action: Callable[[], Any]) -> None:
    began = time.perf_counter()
    action()
    print(f"{what} in {time.perf_counter() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
