"""``wait=stored`` polls until the fate of this very delivery is known."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from functions.shared.adapters.clickhouse_waiter import Waiter
from functions.shared.errors import NotFound, StoreUnavailable

GOOD: dict[str, Any] = {"raw": {"batch_id": "other", "processing_status": "processed"}, "processed": {}}
FAILED: dict[str, Any] = {"raw": {"batch_id": "own", "processing_status": "failed"}, "processed": None}
FORMER: dict[str, Any] = {"raw": {"batch_id": "other", "processing_status": "failed"}, "processed": None}
HALF: dict[str, Any] = {"raw": None, "processed": {}}
OTHER_HALF: dict[str, Any] = {"raw": {"batch_id": "own", "processing_status": "processed"}, "processed": None}


class Clock:
    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def waited(answers: Iterable[dict[str, Any] | Exception]) -> tuple[dict[str, Any] | None, float]:
    """What comes of one answer of the store after another, the last for ever; and how many seconds it took."""
    left, clock = list(answers), Clock()

    def find(event_id: str, environment: str) -> bytes:
        assert (event_id, environment) == ("event", "live")
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode()

    waiter = Waiter(find, 5, clock.sleep, lambda: clock.now)
    return waiter.wait("event", "own", "live"), clock.now


@pytest.mark.parametrize("fate", [GOOD, FAILED], ids=["stored", "failed"])
@pytest.mark.parametrize(
    "before",
    [NotFound("event_not_found", "no"), StoreUnavailable("away"), FORMER, HALF, OTHER_HALF],
    ids=lambda one: type(one),
)
def test_it_waits_for_the_fate_of_this_delivery(before: Any, fate: dict[str, Any]) -> None:
    found, seconds = waited([before, before, fate])
    assert found == fate
    assert 0 < seconds < 5


@pytest.mark.parametrize("standing", [FORMER, HALF, OTHER_HALF])
def test_at_the_deadline_it_answers_with_what_stands_there(standing: dict[str, Any]) -> None:
    found, seconds = waited([standing])
    assert found == standing
    assert seconds >= 5


def test_nothing_is_found_when_nothing_is_there() -> None:
    assert waited([NotFound("event_not_found", "no")])[0] is None
