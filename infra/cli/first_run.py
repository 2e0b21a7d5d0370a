"""What `weir up` does when it is ready: an empty store is filled with a real web log, and what to try next is said."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from infra.cli import client, first_answers
from infra.cli.importing.run import Bar, Import, Outcome, run
from infra.local import dev_keys
from infra.local.paths import ROOT

SAMPLE = ROOT / "events_samples" / "web-log" / "access.log.gz"
_DEADLINE_SECONDS = 60.0
_POLL_SECONDS = 0.25
_WRITE_KEY, _READ_KEY = dev_keys.WRITE, dev_keys.READ
_PAGES = """SELECT page_path, count() AS events FROM processed_events WHERE event_type = 'page_view' AND NOT is_bot
GROUP BY page_path ORDER BY events DESC, page_path LIMIT 5 FORMAT JSONCompact"""
_COUNTRIES = """SELECT geo_country, count() AS events FROM processed_events WHERE geo_country != ''
GROUP BY geo_country ORDER BY events DESC, geo_country LIMIT 5 FORMAT JSONCompact"""


def welcome(base_url: str, variables: Mapping[str, str], stopping: Callable[[], bool] = lambda: False) -> None:
    """Show what Weir does on a first run, and a short account on every other. Raises :class:`client.CommandError`.

    ``variables`` are those that name the engines.
    """
    console = Console(stderr=True, soft_wrap=True)
    with client.connect(base_url, _READ_KEY) as reader:
        before = status(reader)
        if _is_empty(before):
            _first(base_url, variables, reader, console, stopping)
        elif ledger := before.get("ledger"):
            console.print(f"in store: {_account(ledger)}", highlight=False)
    if not stopping():
        console.print(next_steps(base_url), highlight=False, markup=False)


def status(reader: httpx.Client) -> dict[str, Any]:
    """What Weir says of itself."""
    return client.expect(client.patiently(reader, "GET", "/api/v1/status"))


def next_steps(base_url: str) -> str:
    """Five lines for a shell: send, send several, list, look for what failed, follow one."""
    events = f"{base_url}/api/v1/events"
    own = "00000000-0000-4000-8000-000000000001"
    good = '{"event_type":"click","event_name":"buy","platform":"web"}'
    one = f'{{"event_id":"{own}","event_type":"click","event_name":"buy","platform":"web"}}'
    read = f"-H 'Authorization: Bearer {_READ_KEY}'"
    write = f"-H 'Authorization: Bearer {_WRITE_KEY}' -H 'Content-Type: application/json'"
    return "\n".join(
        (
            "try next:",
            "  # send one event, and see it enriched",
            f"  curl -s '{events}?wait=stored' {write} -d '{one}'",
            "  # a batch, of which one is bad: it costs its neighbour nothing",
            f"""  curl -s '{events}/batch' {write} -d '[{good},{{"event_type":"click"}}]'""",
            "  # list events by a filter",
            f"  curl -sg '{events}?event_type=page_view&properties.bytes[gte]=100000&limit=3' {read}",
            "  # find what failed, and why",
            f"  curl -s '{events}?source=raw&status=failed&limit=3' {read}",
            "  # follow the first event on its way (and: weir status)",
            f"  curl -s '{events}/{own}/trace' {read}",
        )
    )


def _first(
    base_url: str, variables: Mapping[str, str], reader: httpx.Client, console: Console, stopping: Callable[[], bool]
) -> None:
    console.print(f"the store is empty: importing {SAMPLE.relative_to(ROOT)}, a real web log", highlight=False)
    began = time.monotonic()
    with client.connect(base_url, _WRITE_KEY) as writer:
        # The store is empty, whatever an account of an earlier import says.
        outcome = run(Import(SAMPLE, "access-log", restart=True), writer, console, stopping=stopping)
    if outcome.stopped:
        if stopping():
            return
        raise client.CommandError(outcome.stopped)
    ledger = _settled(reader, outcome, console, stopping)
    if stopping():
        return
    took = time.monotonic() - began
    console.print(f"in {took:.1f} s: {_account(ledger)}", highlight=False)
    for code, count in outcome.progress.codes.items():
        line = outcome.progress.examples[code][0]["line"]
        console.print(f"  failed: {code} ({count:,}), first in line {line:,}", highlight=False, markup=False)
    if ledger["stored"] < outcome.progress.acknowledged:
        console.print("  the rest is still on its way: `weir status` tells")
    _show_tops(variables["WEIR_CLICKHOUSE_URL"], console)
    first_answers.show(reader, variables, console)


def _settled(reader: httpx.Client, outcome: Outcome, console: Console, stopping: Callable[[], bool]) -> dict[str, int]:
    """The ledger once every line can be read as stored or failed, or when the time is over."""
    wanted = outcome.progress.acknowledged
    deadline = time.monotonic() + _DEADLINE_SECONDS
    with Bar(console, "stored or failed", wanted) as move:
        while True:
            ledger = status(reader).get("ledger") or {"received": 0, "stored": 0, "processed": 0, "failed": 0}
            done = min(ledger["stored"], ledger["processed"] + ledger["failed"])
            move(min(done, wanted))
            if done >= wanted or time.monotonic() >= deadline or stopping():
                return ledger
            time.sleep(_POLL_SECONDS)


def _is_empty(found: dict[str, Any]) -> bool:
    ledger, queue = found.get("ledger"), found.get("queue") or {}
    if not ledger:
        return False
    return not any((ledger["received"], ledger["stored"], queue.get("ready"), queue.get("in_flight")))


def _account(ledger: dict[str, int]) -> str:
    return f"{ledger['received']:,} received, {ledger['processed']:,} stored, {ledger['failed']:,} failed"


def _show_tops(clickhouse_url: str, console: Console) -> None:
    """The top pages and countries, asked of ClickHouse itself."""
    try:
        pages, countries = (_rows(clickhouse_url, query) for query in (_PAGES, _COUNTRIES))
    except client.CommandError as error:
        console.print(str(error), markup=False)
        return
    table = Table("top pages (bots left out)", "views", "top countries", "events", box=None)
    for place in range(max(len(pages), len(countries))):
        cells = [*(pages[place : place + 1] or [["", ""]])[0], *(countries[place : place + 1] or [["", ""]])[0]]
        table.add_row(*(f"{int(cell):,}" if cell and index % 2 else str(cell) for index, cell in enumerate(cells)))
    console.print(table)
    if not countries:
        console.print("no countries: there is no geolocation data (`weir up` fetches it unless told --no-geo)")


def _rows(clickhouse_url: str, query: str) -> list[list[Any]]:
    database = os.environ.get("WEIR_CLICKHOUSE_DATABASE", "weir")
    user, password = (os.environ.get(f"WEIR_CLICKHOUSE_{name}", "") for name in ("USER", "PASSWORD"))
    with client.connect(clickhouse_url, "") as store:
        if user:
            store.auth = httpx.BasicAuth(user, password)
        answer = client.ask(store, "POST", "/", params={"database": database}, content=query.encode())
    if answer.status_code != httpx.codes.OK:
        raise client.CommandError(f"ClickHouse answered {answer.status_code} to a question about the events.")
    rows: list[list[Any]] = client.document(answer)["data"]
    return rows
