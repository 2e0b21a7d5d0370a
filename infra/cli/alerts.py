"""`weir alerts`: what fires, what was told, silences, and whether anybody would hear."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from functions.measure.alerts.silences import Silence

_JSON = typer.Option("--json", help="Print one JSON document, for machines.")
_FILE = typer.Argument(help="A file of rules; without it that of WEIR_ALERTS_PATH, else the shipped one.")


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="What fires, what was told, silences, and whether anybody would hear.\n\n"
        "On the store that WEIR_CLICKHOUSE_URL names; where it names none, that of `weir up` on this machine.",
    )
    group.command(name="list")(show)
    for command in (history, silence, unsilence, silences, check):
        group.command()(command)
    group.command(name="test")(try_routes)
    app.add_typer(group, name="alerts")


def show(as_json: Annotated[bool, _JSON] = False) -> None:
    """Show each rule, and how its alerts stand."""
    from infra.cli import client
    from infra.cli.alerting import asking, words

    with client.telling():
        standing = list(asking.book(lambda book: book.standing()).values())
        found = [
            words.rule(name, rule, [one for one in standing if one.rule == name])
            for name, rule in asking.rules().items()
        ]
        if as_json:
            client.show_json({"rules": found})
            return
        for one in found:
            print(f"{one['state']:<8} {one['severity']:<9} {one['rule']}: {one['condition']}")
            for alert in one["alerts"]:
                if alert["state"] != "ok":
                    print(f"         {alert['state']} since {alert['since']} {words.tags(alert['tags'])}".rstrip())


def history(
    rule: Annotated[str, typer.Argument(help="Only of this rule.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many changes.")] = 20,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Show the last changes, the newest first, and what came of telling each by each route."""
    from infra.cli import client
    from infra.cli.alerting import asking, words

    with client.telling():
        rows = asking.book(lambda book: book.history(limit, rule))
        found = [words.change(entry, routes) for entry, routes in rows]
        if as_json:
            client.show_json({"changes": found})
            return
        for one in found:
            told = ", ".join(f"{route} {state}" for route, state in one["routes"].items()) or "told nobody yet"
            if not one["told"]:
                told = "silenced" if one["silence_id"] else "not told"
            value = "" if one["value"] is None else f" ({one['value']:g})"
            name = f"{one['rule']} {words.tags(one['tags'])}".rstrip()
            print(f"{one['at']}  {one['event']:<12} {name}{value}: {told}")


def silence(
    rule: Annotated[str, typer.Argument(help="A rule; * stands for any text, and alone for all rules.")],
    why: Annotated[str, typer.Option(help="For who wonders later.")],
    span: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 1d.")] = "",
    until: Annotated[str, typer.Option(help="Or until when: RFC 3339.")] = "",
    since: Annotated[str, typer.Option("--from", help="From when on: RFC 3339; now without it.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(help="Only alerts with this tag: platform=web. May be given again.")
    ] = None,
    who: Annotated[str, typer.Option("--by", help="Who says so; you without it.")] = "",
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Tell nobody of some alerts for a while. What still fires afterwards is told then.

    Examples:

    \b
    weir alerts silence queue_backlog --for 2h --why "the import of last year"
    weir alerts silence '*' --tag platform=ios --until 2030-01-01T00:00:00Z --why "no release yet"
    """
    import getpass
    import time
    import uuid

    from functions.measure.alerts.silences import Silence
    from infra.cli import client
    from infra.cli.alerting import asking, words

    with client.telling():
        if bool(span) == bool(until):
            raise client.CommandError("Say either --for or --until.")
        begins = words.instant("--from", since) if since else time.time_ns()
        ends = words.instant("--until", until) if until else begins + words.span(span)
        if ends <= begins:
            raise client.CommandError("It is to end after it begins.")
        tags = dict(words.tag(one) for one in tag or [])
        said = Silence(str(uuid.uuid4()), rule, tags, begins, ends, who or getpass.getuser(), why)
        asking.book(lambda book: book.silence(said))
        _show([said], as_json)


def unsilence(
    silence_id: Annotated[str, typer.Argument(help="The id that `silence` and `silences` show.")],
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """End a silence now."""
    from infra.cli import client
    from infra.cli.alerting import asking

    with client.telling():
        _show([asking.book(lambda book: book.unsilence(silence_id))], as_json)


def silences(as_json: Annotated[bool, _JSON] = False) -> None:
    """Show all silences, also those that are over."""
    from infra.cli import client
    from infra.cli.alerting import asking

    with client.telling():
        _show(asking.book(lambda book: book.silences()), as_json)


def try_routes(
    rule: Annotated[str, typer.Argument(help="As if it were of this rule: by its routes alone.")] = "",
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Send a notification that is marked as a test by every route that is set here, and say of each if it was taken.

    Routes are WEIR_ALERTS_SNS_TOPIC_ARN, WEIR_ALERTS_WEBHOOK_URL and WEIR_ALERTS_FILE, as for the measure function.
    """
    from infra.cli import client
    from infra.cli.alerting import asking

    with client.telling():
        results = asking.send_test(rule)
        if as_json:
            client.show_json({"routes": {route: problem or "taken" for route, problem in results.items()}})
        else:
            for route, problem in results.items():
                print(f"{route}: {problem or 'taken'}")
        if not results:
            raise client.CommandError("No route is set up: nobody would hear of any alert.")
        if any(results.values()):
            client.fail("Not every route took it.")


def check(file: Annotated[Path | None, _FILE] = None) -> None:
    """Say what is wrong with a file of rules, and if nothing is, what is in it."""
    from infra.cli import client
    from infra.cli.alerting import asking

    with client.telling():
        rules = asking.rules(file)
        for name, rule in rules.items():
            print(f"{name}: {rule.condition()} ({rule.severity}, to {', '.join(rule.routes) or 'every route'})")
        print(f"{len(rules)} rules, and nothing is wrong with them")


def _show(found: Iterable[Silence], as_json: bool) -> None:
    from infra.cli import client
    from infra.cli.alerting import words

    rows = [words.silence(one) for one in found]
    if as_json:
        client.show_json({"silences": rows})
        return
    for row in rows:
        name = f"{row['rule']} {words.tags(row['tags'])}".rstrip()
        print(f"{row['silence_id']}  {name}  {row['since']} to {row['until']}, by {row['said_by']}: {row['reason']}")
