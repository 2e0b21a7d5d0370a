"""Who refuses, from what a browser sends at the front door to what the stores hold: as docs/privacy.md has it."""

import json
import uuid
from collections.abc import Collection, Iterator
from typing import Any

import clickhouse_connect
import httpx
import pytest

from infra.local.functions import STACK_NAME
from infra.local.functions import client as aws
from infra.local.paths import ROOT
from infra.local.stack import Stack
from tests.support.polling import until

pytestmark = pytest.mark.parametrize("stack", ["nats"], indirect=True)
MODES = ("off", "drop", "anonymise")
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0; of Ada) Gecko/20100101 Firefox/140.0"
BROWSER = {"Origin": "https://shop.example", "User-Agent": AGENT}
GPC = {"Sec-GPC": "1"}
# By the heads and the first cells of the table.
SIGNALS: dict[str, dict[str, str]] = {"no header": {}, "`DNT: 1`": {"DNT": "1"}, "`Sec-GPC: 1`": GPC}
WORDS: dict[str, list[Any]] = {
    "nothing, or `null`": [{}, {"consent": None}, {"consent": {"analytics": None}}],
    "`true`": [{"consent": True}, {"consent": {"analytics": True}}],
    'anything else, also `"granted"`': [{"consent": False}, {"consent": {"analytics": "granted"}}],
}


def promised() -> list[list[str]]:
    """The rows of the table on whose word counts, its head first."""
    text = (ROOT / "docs/privacy.md").read_text().partition("| The event says |")
    lines = [text[1] + text[2].partition("\n")[0], *text[2].splitlines()[2:5]]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


@pytest.fixture(params=MODES)
def mode(stack: Stack, request: pytest.FixtureRequest) -> Iterator[str]:
    """Both functions are told how to hear refusals, as an operator tells them, while the stack runs."""
    lambdas = aws("lambda", stack.emulator_url)
    before = {
        name: lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        for name in (f"{STACK_NAME}-collect", f"{STACK_NAME}-enrich")
    }
    said = {
        "WEIR_PRIVACY_CONSENT": request.param,
        "WEIR_PRIVACY_CONSENT_PROPERTIES": "properties.email=drop" if request.param == "anonymise" else "",
    }
    for name, own in before.items():
        lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": {**own, **said}})
    yield str(request.param)
    for name, own in before.items():
        lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": own})


def event(context: dict[str, Any]) -> dict[str, Any]:
    """A page view of a person who is named in every way there is."""
    own = uuid.uuid4().hex
    return {
        "event_id": str(uuid.uuid4()), "event_type": "page_view", "event_name": "Consent", "platform": "web",
        "user_id": f"ada-{own}", "anonymous_id": f"phone-{own}", "session_id": str(uuid.uuid4()),
        "properties": {"email": f"{own}@example.com", "plan": "pro"},
        "context": {
            "ip": "81.2.69.142", "device": {"id": f"serial-{own}"},
            "page": {"url": f"https://shop.example/p?gclid=click-{own}"}, **context,
        },
    }  # fmt: skip


def names(sent: dict[str, Any]) -> list[str]:
    """By what its person could be known; all but the address and the agent are of this event alone."""
    own = sent["user_id"].removeprefix("ada-")
    return [own, sent["session_id"], "81.2.69", "of Ada"]


def stored(stack: Stack, event_id: str) -> dict[str, dict[str, Any]]:
    """The rows of an event, by table."""
    found = {}
    with clickhouse_connect.get_client(dsn=stack.clickhouse_url, database="weir") as store:
        for table in ("raw_events", "processed_events"):
            sql = f"SELECT * EXCEPT (properties, context) FROM {table} WHERE event_id = {{id:UUID}}"
            for row in store.query(sql, parameters={"id": event_id}).named_results():
                found[table] = row
    return found


def what_became_of(stack: Stack, sent: dict[str, Any]) -> str:
    """``whole``, ``nowhere`` or ``nobody``: of its person nothing, in no row."""
    rows = stored(stack, sent["event_id"])
    if not rows:
        return "nowhere"
    raw, row = rows["raw_events"], rows["processed_events"]
    if not any(name in repr(rows) for name in names(sent)):
        assert (row["identity"], row["user_id"], raw["request_ip"], raw["request_user_agent"]) == ("", None, "", "")
        assert "anonymised" in row["flags"]
        # What is no trait of the person is as ever.
        assert (row["browser_name"], row["channel"], json.loads(row["properties_text"])) == (
            "Firefox", "paid_search", {"plan": "pro"},
        )  # fmt: skip
        return "nobody"
    assert (row["user_ref"], raw["raw_data"]) == (sent["user_id"], json.dumps(sent))
    assert "anonymised" not in row["flags"]
    return "whole"


def is_in_force(client: httpx.Client, mode: str) -> bool:
    """Whether both functions heard of it: a dry run goes through both."""
    shown = client.post("/api/v1/events", params={"dry_run": "true"}, headers=GPC, json=event({})).json()
    flags = [row["flags"] for row in shown["processed"]]
    return flags == {"off": [[]], "drop": [], "anonymise": [["anonymised"]]}[mode]


def test_a_person_is_heard_as_the_manual_says(stack: Stack, client: httpx.Client, mode: str) -> None:
    until(lambda: is_in_force(client, mode), 30, f"{mode} in force", pause_seconds=0.3)
    refused = {"off": "whole", "drop": "nowhere", "anonymise": "nobody"}[mode]
    batches: dict[str, int] = {}
    head, *rows = promised()
    assert ([row[0] for row in rows], head[1:]) == (list(WORDS), list(SIGNALS))
    for column, headers in enumerate(SIGNALS.values(), 1):
        sent = [(event(context), row[column]) for row in rows for context in WORDS[row[0]]]
        answer = client.post(
            "/api/v1/events/batch",
            params={"wait": "stored"},
            headers={**BROWSER, **headers, "Content-Type": "text/plain"},
            content=json.dumps([one for one, _ in sent]),
        )
        assert answer.status_code == 202, answer.text
        wanted = [refused if verdict == "refused" else "whole" for _, verdict in sent]
        assert (headers, [what_became_of(stack, one) for one, _ in sent]) == (headers, wanted)
        dropped = [one["result"] for one in answer.json()["results"] if one["errors"][0]["code"] == "consent"]
        assert dropped == ["drop"] * wanted.count("nowhere")
        batches[answer.json()["batch_id"]] = len(dropped)
    until(lambda: dropped_of(stack, batches) == batches, 60, "the ledger's word on them", pause_seconds=1.0)


def dropped_of(stack: Stack, batches: Collection[str]) -> dict[str, int]:
    """How many events of each the ledger has as dropped for consent, once the batches took the tallies to it."""
    measure(stack)
    with clickhouse_connect.get_client(dsn=stack.clickhouse_url, database="weir") as store:
        sql = """SELECT toString(batch_id), max(dropped['consent']) FROM ledger
            WHERE kind = 'tally' AND batch_id IN {batches:Array(UUID)} GROUP BY batch_id"""
        return dict(store.query(sql, parameters={"batches": list(batches)}).result_rows)


def measure(stack: Stack) -> None:
    """Run the batches now."""
    aws("lambda", stack.emulator_url).invoke(FunctionName=f"{STACK_NAME}-measure", Payload=b"{}")


@pytest.mark.parametrize("mode", ["drop"], indirect=True)
def test_a_page_is_told_that_its_event_was_dropped(client: httpx.Client, mode: str) -> None:
    until(lambda: is_in_force(client, mode), 30, f"{mode} in force", pause_seconds=0.3)
    answer = client.post("/api/v1/events", headers={**BROWSER, **GPC}, json=event({}))
    assert (answer.status_code, answer.json()["status"]) == (202, "dropped")
    assert [one["code"] for one in answer.json()["warnings"]] == ["consent"]


@pytest.mark.parametrize("mode", ["anonymise"], indirect=True)
def test_who_refuses_is_of_no_session_and_what_their_browser_said_is_kept(
    stack: Stack, client: httpx.Client, mode: str
) -> None:
    until(lambda: is_in_force(client, mode), 30, f"{mode} in force", pause_seconds=0.3)
    refused, other = event({}), event({"consent": True})
    for signal, sent in ((GPC, refused), (SIGNALS["`DNT: 1`"], other)):
        answer = client.post("/api/v1/events", params={"wait": "stored"}, headers={**BROWSER, **signal}, json=sent)
        assert answer.status_code == 201, answer.text
        if sent is refused:
            assert answer.json()["event"]["context"]["consent"] == {"analytics": False, "signal": "gpc"}
    # What came later is in a session, so the batches have seen both.
    until(lambda: other["event_id"] in in_sessions(stack, refused, other), 60, "a session", pause_seconds=1.0)
    assert in_sessions(stack, refused, other) == {other["event_id"]}


def in_sessions(stack: Stack, *sent: dict[str, Any]) -> set[str]:
    """Which of the events are of a session, after a run of the batches."""
    measure(stack)
    with clickhouse_connect.get_client(dsn=stack.clickhouse_url, database="weir") as store:
        sql = "SELECT toString(event_id) FROM session_event_rows WHERE event_id IN {ids:Array(UUID)}"
        return {row[0] for row in store.query(sql, parameters={"ids": [one["event_id"] for one in sent]}).result_rows}


def test_a_browser_need_not_ask_for_headers_that_no_page_can_set(client: httpx.Client) -> None:
    """It sends both by itself and never names them to a preflight; what a page may set is allowed."""
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = client.options(
        "/api/v1/events", headers={**asked, "Access-Control-Request-Headers": "authorization,content-type"}
    )
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().replace(" ", "").split(",")
    assert {"authorization", "content-type"} <= set(allowed)
    assert not {"dnt", "sec-gpc"} & set(allowed)
