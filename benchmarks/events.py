"""The events that are sent: a busy site's mix, about 700 bytes each, no two with the same id.

1,000 user agents, 5,000 addresses, 5,000 pages, some campaigns; one event in a hundred has no platform and is refused.
"""

import json
import random
import uuid
from typing import Any

from benchmarks.steps import REFERRERS, ZONES, user_agents

KINDS = 1_000
INVALID_EVERY = 100
_ID = "00000000-0000-4000-8000-000000000000"
_NAMES = ("Product Viewed", "Cart Opened", "Checkout Started", "Order Completed")


class Events:
    """Makes events and requests, each event once. ``invalid``: whether one in a hundred is to be refused."""

    def __init__(self, seed: int = 7, *, invalid: bool = True) -> None:
        self._chance = random.Random(seed)
        self._prefix = str(uuid.uuid4())[:24]
        self._made = 0
        agents = user_agents()
        self._kinds = [_cut(self._event(number, agents, invalid)) for number in range(KINDS)]

    def take(self, count: int) -> list[str]:
        """The JSON text of the next events."""
        first, self._made = self._made, self._made + count
        return [
            f"{before}{self._prefix}{number:012x}{after}"
            for number in range(first, first + count)
            for before, after in (self._kinds[number % KINDS],)
        ]

    def body(self, count: int) -> str:
        """A batch request of the next events."""
        return f'{{"events":[{",".join(self.take(count))}]}}'

    def _event(self, number: int, agents: list[str], invalid: bool) -> dict[str, Any]:
        chance = self._chance
        product = chance.randrange(4_500)
        url = f"https://shop.example.com/products/{product}?page={product % 7}"
        if number % 10 == 0:
            url += f"&utm_source=news&utm_medium=email&utm_campaign=c{product % 50}"
        return {
            "event_id": _ID,
            "event_type": "page_view",
            "event_name": chance.choice(_NAMES),
            "platform": "" if invalid and number % INVALID_EVERY == 50 else "web",
            "timestamp": f"2026-11-20T{number % 24:02d}:{number % 60:02d}:27.{number % 1000:03d}Z",
            "session_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "user_id": f"customer-{chance.randrange(100_000)}" if number % 3 else None,
            "anonymous_id": f"anon-{chance.getrandbits(32):08x}",
            "properties": {"product_id": f"SKU-{product}", "price": product / 10, "currency": "EUR", "quantity": 1},
            "context": {
                "ip": f"81.2.{chance.randrange(20)}.{chance.randrange(256)}",
                "user_agent": chance.choice(agents),
                "locale": "en-GB",
                "timezone": chance.choice(ZONES),
                "page": {"url": url, "referrer": chance.choice(REFERRERS), "title": "Trail Runner"},
            },
        }


def _cut(event: dict[str, Any]) -> tuple[str, str]:
    before, after = json.dumps(event, separators=(",", ":")).split(_ID)
    return before, after
