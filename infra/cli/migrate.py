"""`weir migrate`: brings ClickHouse up to the newest tables."""

from __future__ import annotations

from typing import Annotated

import typer


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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")] = False,
) -> None:
    """Create or renew Weir's tables in ClickHouse.

    Safe to run twice, and by two at once. `weir up` does it by itself.

    Examples:

    \b
    weir migrate
    WEIR_CLICKHOUSE_PASSWORD=… weir migrate --url https://ch.example.org:8443
    weir migrate --cluster events
    """
    import logging

    from clickhouse_connect.driver.exceptions import ClickHouseError

    from infra.cli import client
    from infra.clickhouse.migrate import migrate as apply

    # The driver logs what it raises; once is enough.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    with client.telling():
        try:
            applied = apply(url, database, cluster or None, user, password)
        except (ClickHouseError, ValueError) as error:
            raise client.CommandError(f"ClickHouse at {client.without_secrets(url)}: {_reason(error)}") from error
    if as_json:
        client.show_json({"applied": applied})
    else:
        print(f"applied {', '.join(applied)}" if applied else "nothing to do: the tables are up to date")


def _reason(error: Exception) -> str:
    text = str(error).strip()
    if "Connection refused" in text:
        return "nothing answers there; is `weir up` running?"
    return text.splitlines()[0] if text else type(error).__name__
