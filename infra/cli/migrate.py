"""`weir migrate`: brings ClickHouse and QuestDB up to the newest tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from functions.shared.settings import SeriesSettings, StoreSettings


def register(app: typer.Typer) -> None:
    app.command()(migrate)


def migrate(
    url: Annotated[
        str, typer.Option("--url", envvar="WEIR_CLICKHOUSE_URL", help="ClickHouse's address.")
    ] = "http://127.0.0.1:8123",
    database: Annotated[
        str, typer.Option(envvar="WEIR_CLICKHOUSE_DATABASE", help="Made when it is not there.")
    ] = "weir",
    cluster: Annotated[
        str, typer.Option(envvar="WEIR_CLICKHOUSE_CLUSTER", help="Create on this whole cluster, replicated.")
    ] = "",
    user: Annotated[str, typer.Option(envvar="WEIR_CLICKHOUSE_USER", help="Who to be there.")] = "default",
    password: Annotated[
        str,
        typer.Option(envvar="WEIR_CLICKHOUSE_PASSWORD", help="Better given by the variable.", show_default=False),
    ] = "",
    questdb_url: Annotated[
        str, typer.Option(envvar="WEIR_QUESTDB_URL", help="QuestDB's address.")
    ] = "http://127.0.0.1:9000",
    questdb_user: Annotated[str, typer.Option(envvar="WEIR_QUESTDB_USER", help="Who to be there.")] = "admin",
    questdb_password: Annotated[
        str,
        typer.Option(envvar="WEIR_QUESTDB_PASSWORD", help="Better given by the variable.", show_default=False),
    ] = "quest",  # noqa: S107  QuestDB's own
    questdb_ttl_days: Annotated[
        int,
        typer.Option(
            envvar="WEIR_QUESTDB_TTL_DAYS", min=0, help="Drop what is so much older than the newest; 0 never."
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
) -> None:
    """Create or renew Weir's tables in ClickHouse and QuestDB.

    Safe to run twice, and by two at once. `weir up` does it by itself.

    Examples:

    \b
    weir migrate
    WEIR_CLICKHOUSE_PASSWORD=… weir migrate --url https://ch.example.org:8443
    weir migrate --cluster events
    """
    from infra.cli import client

    with client.telling():
        applied = {
            "clickhouse": _clickhouse(url, database, cluster, user, password),
            "questdb": _questdb(questdb_url, questdb_ttl_days, questdb_user, questdb_password),
        }
    if as_json:
        client.show_json({"applied": applied})
        return
    for store, names in applied.items():
        print(f"{store}: applied {', '.join(names)}" if names else f"{store}: the tables are up to date")


def apply_all(store: StoreSettings, series: SeriesSettings) -> None:
    """Bring the stores of some settings up to date. Raises ``client.CommandError``."""
    cluster, user = store.clickhouse_cluster, store.clickhouse_user
    _clickhouse(store.clickhouse_url, store.clickhouse_database, cluster, user, store.clickhouse_password)
    _questdb(series.questdb_url, series.questdb_ttl_days, series.questdb_user, series.questdb_password)


def _clickhouse(url: str, database: str, cluster: str, user: str, password: str) -> list[str]:
    import logging
    import os

    from clickhouse_connect.driver.exceptions import ClickHouseError

    from functions.shared.errors import Misconfigured
    from functions.shared.settings import RetentionSettings, load
    from infra.cli import client
    from infra.clickhouse.migrate import migrate as apply

    # The driver logs what it raises; once is enough.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    try:
        retention = load(RetentionSettings, os.environ)
        return apply(url, database, cluster or None, user, password, retention)
    except Misconfigured as error:
        raise client.CommandError(str(error)) from error
    except (ClickHouseError, ValueError) as error:
        raise client.CommandError(f"ClickHouse at {client.without_secrets(url)}: {_reason(error)}") from error


def _questdb(url: str, ttl_days: int, user: str, password: str) -> list[str]:
    from infra.cli import client
    from infra.questdb.migrate import QuestDbError
    from infra.questdb.migrate import migrate as apply

    try:
        return apply(url, ttl_days, user, password)
    except QuestDbError as error:
        raise client.CommandError(f"QuestDB at {client.without_secrets(url)}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error).strip()
    if "Connection refused" in text:
        return "nothing answers there; is `weir up` running?"
    return text.splitlines()[0] if text else type(error).__name__
