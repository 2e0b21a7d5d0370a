"""The enrichment pipeline: which steps there are, in which order, and the loop that runs them."""

from collections.abc import Callable, Sequence
from typing import Any

from functions.enrich.steps.address import address_step
from functions.enrich.steps.bot import bot_step
from functions.enrich.steps.device import device_step
from functions.enrich.steps.geo import geo_step
from functions.enrich.steps.identity import identity_step
from functions.enrich.steps.local_time import local_time_step
from functions.enrich.steps.network import network_step
from functions.enrich.steps.page import page_step
from functions.enrich.steps.step import Step
from functions.enrich.steps.traffic import traffic_step
from functions.enrich.steps.user_agent import user_agent_step
from functions.enrich.steps.visitor import visitor_step
from functions.shared.domain.places import GeoLookup
from functions.shared.domain.privacy import AddressMode

__all__ = ["Row", "Step", "build_steps", "enrich"]

Row = dict[str, Any]


def build_steps(geo: GeoLookup | None, address: AddressMode = "kept", daily: bool = False) -> tuple[Step, ...]:
    """The steps in their order. A step may read what those before it found. ``daily``: visitors are told by the day."""
    return (
        network_step(),  # ip, network
        geo_step(geo),  # geo_*: by the canonical ip
        user_agent_step(),  # browser_*, os_*, device_*
        device_step(),  # device_*, os_*: the client's words over the user agent's
        page_step(),  # page_*
        traffic_step(),  # channel, source, …: by the page's host and query
        bot_step(),  # is_bot, bot_reasons, device_type: by the user agent and ua-parser's verdict
        local_time_step(),  # timezone, local_*: by the client's zone, else the address's
        *([visitor_step()] if daily else []),  # anonymous_id: by the whole ip, where none was sent
        address_step(address),  # ip, network: as they may be stored; nothing after it sees more
        identity_step(),  # identity: by ids, else by the ip as it is stored and the user agent
    )


def enrich(rows: Sequence[Row], steps: Sequence[Step], now_ns: Callable[[], int]) -> dict[str, int]:
    """Add every step's columns to every row, in place, and return the nanoseconds each step took for all of them.

    A row never fails: where a step raises on it, it gets the step's empty columns and the flag ``<step>_failed``.
    """
    spent = {}
    for step in steps:
        started = now_ns()
        _run(step, rows)
        spent[step.name] = now_ns() - started
    return spent


def _run(step: Step, rows: Sequence[Row]) -> None:
    run = step.run
    for row in rows:
        try:
            row.update(run(row))
        except Exception:  # noqa: BLE001 - whatever a step's defect, the event is kept and says so
            row.update(step.empty)
            row["flags"] = [*row["flags"], f"{step.name}_failed"]
