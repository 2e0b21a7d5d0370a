"""What enrich keeps of former events: bounded, counted, and never another answer than a fresh one."""

import json
from pathlib import Path
from typing import Any

import pytest

from functions.enrich.assembly import Assembler
from functions.enrich.pipeline import build_steps
from functions.enrich.recording import Recorder
from functions.enrich.service import EnrichService
from functions.enrich.steps import geo, user_agent
from functions.enrich.steps.geo import geo_step
from functions.enrich.steps.user_agent import user_agent_step
from functions.shared.adapters.geo_mmdb import load
from functions.shared.adapters.memory_tables import MemoryTables
from functions.shared.domain.places import Place
from schemas.validation import Validator
from tests.unit.enrich.test_service import NOW, message

DATA = Path(__file__).parents[2] / "data"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"


def event(number: int, ip: str, agent: str) -> dict[str, Any]:
    return {
        "event_id": f"00000000-0000-4000-8000-{number:012}", "event_type": "t", "event_name": "n", "platform": "web",
        "context": {"ip": ip, "user_agent": agent},
    }  # fmt: skip


def test_hits_and_misses_are_counted_by_invocation() -> None:
    service = EnrichService(
        Recorder(MemoryTables(), lambda: "a"), Assembler(Validator(), []), build_steps(load(DATA)), lambda: NOW, print
    )
    events = [event(1, "81.2.69.142", CHROME), event(2, "81.2.69.142", CHROME), event(3, "2.125.160.216", CHROME)]
    first, again = (service.handle([message(*events)]).counts for _ in range(2))
    names = ("geo_cache_hits", "geo_cache_misses", "user_agent_cache_hits", "user_agent_cache_misses")
    assert [first[name] for name in names] == [1, 2, 2, 1]
    assert [again[name] for name in names] == [3, 0, 3, 0]
    assert json.dumps(again)


def test_without_a_source_no_lookup_is_counted() -> None:
    assert geo_step(None).cache is None


class Counting:
    """A lookup that says how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def find(self, address: str) -> Place:
        self.asked += 1
        return Place(city=address)


@pytest.mark.parametrize("over", [0, 1])
def test_so_many_addresses_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch, over: int) -> None:
    monkeypatch.setattr(geo, "_CACHED", 50)
    lookup = Counting()
    step = geo_step(lookup)
    addresses = [f"10.0.0.{number}" for number in range(50 + over)]
    for _ in range(2):
        for address in addresses:
            assert step.run({"ip": address})["geo_city"] == address
    assert lookup.asked == (50 if not over else 2 * 51)


def test_so_many_user_agents_are_kept_and_what_is_kept_is_what_a_fresh_look_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(user_agent, "_CACHED", 10)
    kept = user_agent_step()
    agents = [CHROME.replace("120", str(number)) for number in range(100, 120)]
    for agent in [*agents, *reversed(agents)]:
        assert kept.run({"user_agent": agent}) == user_agent_step().run({"user_agent": agent})
    assert kept.cache is not None
    assert kept.cache().hits == 10
