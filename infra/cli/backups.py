"""`weir backup` and `weir restore`: a copy of all that cannot be computed again, and the way back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.backup.manifest import Manifest
    from infra.backup.store import Store

# Rows that were on their way when the backup began are there by then, or belong to the next one.
_SETTLE_SECONDS = 30.0
_RUN_SECONDS = 86_400.0
_LEFT = "The events are restored; `weir measure --from 1970-01-01T00:00:00Z` computes the rest, which failed:"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]


def register(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(
    folder: Annotated[Path, typer.Argument(help="An empty folder, or one that is not there yet.")],
    settle_seconds: Annotated[
        float, typer.Option("--settle", min=0, help="How long to wait for rows that are on their way.")
    ] = _SETTLE_SECONDS,
    as_json: Json = False,
) -> None:
    """Save the events, the ledger and what operators said into a folder. Weir may go on working meanwhile.

    Sessions, metrics and anomalies are not saved: they are computed from the events, by `weir restore` too. The folder
    is complete when it holds manifest.json, with which every file's hash is checked before a restore.

    It reads the ClickHouse that WEIR_CLICKHOUSE_URL and WEIR_CLICKHOUSE_DATABASE name, that of `weir up` unless said
    otherwise. For clusters of many terabytes ClickHouse's own BACKUP … TO S3 is faster (docs/deploying.md).

    Examples:

    \b
    weir backup /backups/2026-01-31
    WEIR_CLICKHOUSE_URL=https://ch.example.org:8443 weir backup ./copy --json
    """
    import time

    from functions.shared.domain import instants
    from infra.backup.copying import save

    def run(store: Store, moved: Callable[[str, int], None]) -> Manifest:
        until = store.now()
        time.sleep(settle_seconds)
        return save(store, folder, until, instants.to_text(time.time_ns()), moved)

    _show(_with_store(run), as_json, "saved")


def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    measure: Annotated[bool, typer.Option(help="Compute sessions, metrics and anomalies from the events.")] = True,
    as_json: Json = False,
) -> None:
    """Put a backup into an empty ClickHouse and compute what is computed, in ClickHouse and QuestDB.

    The tables are made when they are not there. Every file is checked first, and nothing is written when one is missing
    or was changed. A restore that was cut short is begun anew in an empty database.

    Examples:

    \b
    weir restore /backups/2026-01-31
    WEIR_CLICKHOUSE_DATABASE=restored weir restore /backups/2026-01-31 --no-measure
    """
    from infra.backup.copying import restore as put_back

    _migrate()
    made = _with_store(lambda store, moved: put_back(store, folder, moved))
    if measure:
        _measure()
    _show(made, as_json, "restored")


def _with_store(run: Callable[[Store, Callable[[str, int], None]], Manifest]) -> Manifest:
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from functions.shared.errors import Misconfigured
    from functions.shared.settings import StoreSettings, load
    from infra.backup.manifest import NoBackup
    from infra.backup.store import Store
    from infra.cli import client

    with client.telling():
        try:
            settings = load(StoreSettings, os.environ)
            store = Store(settings)
            try:
                with _progress() as moved:
                    return run(store, moved)
            finally:
                store.close()
        except (NoBackup, Misconfigured) as error:
            raise client.CommandError(str(error)) from error
        except ClickHouseError as error:
            place = client.without_secrets(os.environ.get("WEIR_CLICKHOUSE_URL", "http://127.0.0.1:8123"))
            raise client.CommandError(f"ClickHouse at {place}: {str(error).strip()[:300]}") from error


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Rows so far, by table; at a terminal a line that moves."""
    from rich.console import Console

    counts: dict[str, int] = {}
    console = Console(stderr=True)
    with console.status("reading the tables") as status:

        def moved(table: str, rows: int) -> None:
            counts[table] = counts.get(table, 0) + rows
            status.update(", ".join(f"{name} {count:,}" for name, count in counts.items()))

        yield moved


def _migrate() -> None:
    from functions.shared.settings import SeriesSettings, StoreSettings, load
    from infra.cli import client
    from infra.cli.migrate import apply_all

    with client.telling():
        apply_all(load(StoreSettings, os.environ), load(SeriesSettings, os.environ))


def _measure() -> None:
    from functions.measure.service import Range
    from functions.shared.errors import Misconfigured, Retry
    from functions.shared.wiring import measure_service
    from infra.cli import client

    with client.telling():
        try:
            done = measure_service(at_once=True).run(_RUN_SECONDS, 600, Range(None, None))
        except (Retry, Misconfigured) as error:
            raise client.CommandError(
                f"The events are restored; then: {error}. Run `weir measure --from …`."
            ) from error
        if done.state != "done":
            raise client.CommandError(f"The events are restored, but not all is computed: {done.detail or done.state}")


def _show(made: Manifest, as_json: bool, what: str) -> None:
    from infra.cli import client

    rows = {table.name: table.rows for table in made.tables}
    if as_json:
        found: dict[str, Any] = {"until": made.until, "made_at": made.made_at, "rows": rows}
        client.show_json(found)
        return
    for name, count in rows.items():
        print(f"{name:<20} {count:>12,} rows {what}")
