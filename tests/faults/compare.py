"""The witness's account held against the stores and every answer of the API. Each finding names its ids."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tests.faults import broker, ledger
from tests.faults.account import Account
from tests.faults.findings import NAMED, Findings
from tests.faults.rig import Rig
from tests.faults.witness import STEPS

if TYPE_CHECKING:
    from tests.faults.scene import Scene

_BATCHES_LOOKED_AT = 3
# Late events are of three days ago; a wrong clock is a day off.
_RANGE_SECONDS = 5 * 86_400
_FUNNEL_SECONDS = 300 * 86_400
# How far a corrected timestamp may be from the truth: the clock is measured once a request, on a busy machine.
_CLOCK_SECONDS = 60.0


class Stored(NamedTuple):
    """What the tables hold since a moment: how often each id is processed, and the statuses of its raw rows."""

    processed: Counter[str]
    raw: dict[str, list[str]]


def stored(rig: Rig, since: float) -> Stored:
    """Read the tables. Raises httpx.HTTPError, also for a statement that the store refused."""
    received = f"received_at >= fromUnixTimestamp64Milli({int(since * 1000)})"
    processed = query(rig, f"SELECT toString(event_id) FROM processed_events WHERE {received}")
    raw = query(rig, f"SELECT toString(event_id), toString(processing_status) FROM raw_events WHERE {received}")
    statuses: defaultdict[str, list[str]] = defaultdict(list)
    for event_id, status in raw:
        statuses[event_id].append(status)
    return Stored(Counter(row[0] for row in processed), dict(statuses))


def query(rig: Rig, sql: str) -> list[list[Any]]:
    """Rows of a statement, from the store itself."""
    answer = httpx.post(
        rig.clickhouse_url, params={"database": "weir"}, content=f"{sql} FORMAT JSONCompactEachRow", timeout=30
    )
    answer.raise_for_status()
    return [json.loads(line) for line in answer.text.splitlines()]


def missing(account: Account, found: Stored) -> set[str]:
    """What is acknowledged or refused and not to be seen yet."""
    return {
        *(account.counted.keys() - found.processed.keys()),
        *(one for one in (*account.counted, *account.failed) if one not in found.raw),
    }


def compare(rig: Rig, scene: Scene, account: Account) -> Findings:
    """All of it."""
    findings, name = Findings(problems=[f"odd answer: {one}" for one in account.odd[:NAMED]]), scene.name
    found = _without_strangers(findings, account, stored(rig, scene.began - 1), scene.strangers)
    stores(findings, account, found)
    there = account.counted.keys() | (account.unsure & found.processed.keys())
    listed = _events(rig, {"platform": name, "fields": "event_id,timestamp,event_name"})
    _listed(findings, "listed", [one["event_id"] for one in listed], there)
    _times(findings, account, listed)
    failed = _events(rig, {"platform": name, "source": "raw", "status": "failed", "fields": "event_id"})
    refused = {one for one in account.failed if found.raw.get(one) == ["failed"]}
    _listed(findings, "listed as failed", [one["event_id"] for one in failed], refused)
    _metrics(rig, findings, name, len(there))
    users = Counter(account.counted[one].user for one in there if one in account.counted)
    _sessions(rig, findings, users)
    _funnel(rig, findings, name, account, listed)
    _batches(rig, findings, account)
    queue = rig.get("/api/v1/status")["queue"]
    findings.same("the queue", (queue["ready"], queue["in_flight"]), (0, 0))
    findings.add("events ought to be dead letters and are not", scene.dead - dead(rig))
    ledger.compare(rig, findings, len(there), len(refused) + scene.strangers, len(scene.dead) + scene.other_dead)
    ledger.audit(rig, findings, scene.began)
    return findings


def _without_strangers(findings: Findings, account: Account, found: Stored, wanted: int) -> Stored:
    """What was put into the queue past collect has ids that nobody sent: it is visible as failed."""
    strangers = {one for one, statuses in found.raw.items() if one not in account.known and statuses == ["failed"]}
    findings.same("the number of failed rows that nobody sent as an event", len(strangers), wanted)
    return Stored(found.processed, {one: each for one, each in found.raw.items() if one not in strangers})


def stores(findings: Findings, account: Account, found: Stored) -> None:
    """The tables against the account."""
    findings.lost |= account.counted.keys() - found.processed.keys()
    findings.add("acknowledged events are not in processed_events", findings.lost)
    for table, counts in (("processed_events", found.processed), ("raw_events", _counts(found.raw))):
        twice = {one for one, count in counts.items() if count > 1}
        findings.twice |= twice
        findings.add(f"events are in {table} twice", twice)
        findings.add(f"events in {table} were never sent", counts.keys() - account.known)
    invisible = {one for one in account.failed if "failed" not in found.raw.get(one, ())}
    findings.lost |= {one for one in invisible if one not in found.raw}
    findings.add("refused events are not visible as failed", invisible)
    findings.add("refused events are processed", account.failed.keys() & found.processed.keys())
    wrong = {one for one in account.counted if found.raw.get(one) != ["processed"]}
    findings.add("acknowledged events are not processed in raw_events", wrong)


def _counts(raw: Mapping[str, list[str]]) -> Counter[str]:
    return Counter({one: len(statuses) for one, statuses in raw.items()})


def _events(rig: Rig, params: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = rig.get("/api/v1/events", {**params, "limit": "1000", **cursor})
        found += page["events"]
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def _listed(findings: Findings, what: str, ids: Iterable[str], wanted: Collection[str]) -> None:
    counts = Counter(ids)
    twice = {one for one, count in counts.items() if count > 1}
    findings.twice |= twice
    findings.add(f"events are {what} twice", twice)
    findings.add(f"events are not {what}", wanted - counts.keys())
    findings.add(f"events are {what} and ought not to be", counts.keys() - wanted)


def _times(findings: Findings, account: Account, listed: Iterable[Mapping[str, Any]]) -> None:
    """Whatever a client's clock says, an event is where it happened."""
    wrong = {
        one["event_id"]
        for one in listed
        if one["event_id"] in account.counted
        and abs(_seconds(one["timestamp"]) - account.counted[one["event_id"]].true) > _CLOCK_SECONDS
    }
    findings.add("events have a timestamp that is far from when they happened", wrong)


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _metrics(rig: Rig, findings: Findings, name: str, wanted: int) -> None:
    range_of = {"from": _text(time.time() - _RANGE_SECONDS), "to": _text(time.time() + _RANGE_SECONDS)}
    for interval in ("1m", "1h", "1d"):
        asked = {"interval": interval, "tags.platform": name, **range_of}
        series = rig.get("/api/v1/metrics/events", asked)["series"]
        values = sum(point["value"] for one in series for point in one["points"])
        findings.same(f"the metric events by {interval}", values, wanted)


def _sessions(rig: Rig, findings: Findings, users: Mapping[str, int]) -> None:
    for user, wanted in users.items():
        count, cursor = 0, {}
        while True:
            page = rig.get("/api/v1/sessions", {"user_id": user, "limit": "1000", **cursor})
            count += sum(one["event_count"] for one in page["sessions"])
            if not page["has_more"]:
                break
            cursor = {"cursor": page["next_cursor"]}
        findings.same(f"the events in sessions of {user}", count, wanted)


def _funnel(rig: Rig, findings: Findings, name: str, account: Account, listed: Iterable[Mapping[str, Any]]) -> None:
    """Who went from the first step to the second, by the order of the events as they are listed."""
    one, two = (f"{name}:{step}" for step in STEPS[:2])
    ordered = sorted(
        (event["timestamp"], event["event_id"], event["event_name"])
        for event in listed
        if event["event_id"] in account.counted
    )
    began: set[str] = set()
    went_on: set[str] = set()
    for _, event_id, event_name in ordered:
        user = account.counted[event_id].user
        if event_name == one:
            began.add(user)
        elif event_name == two and user in began:
            went_on.add(user)
    told = rig.get("/api/v1/funnels", {"steps": f"{one},{two}", "window_seconds": str(_FUNNEL_SECONDS)})
    findings.same("the funnel", [step["visitors"] for step in told["steps"]], [len(began), len(went_on)])


def _batches(rig: Rig, findings: Findings, account: Account) -> None:
    for batch_id in sorted(account.batches)[:_BATCHES_LOOKED_AT]:
        told = rig.get(f"/api/v1/batches/{batch_id}")
        settled = told["stored"] + told["failed"] + told["duplicates"]
        findings.same(f"batch {batch_id}", (told["state"], settled), ("complete", told["received"]))


def dead(rig: Rig) -> set[str]:
    """The ids of the events in the dead letters: the broker's, and those that are rows by now."""
    waiting = {one for body in broker.dead_letters(rig.nats_url) for one in broker.ids_in(body)}
    return waiting | {row[0] for row in query(rig, "SELECT toString(event_id) FROM dead_letters")}
