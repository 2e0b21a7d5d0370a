"""How long each enrichment step takes an event: ``python -m benchmarks.steps``.

A mix like a busy site's: 1,000 user agents, 5,000 addresses, 5,000 URLs, some campaigns and SDK events with a device
object, in batches of 500. The caches start empty; the table's last column is the first pass, the one before a warm one.
"""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from functions.enrich.pipeline import Row, build_steps, enrich
from functions.shared.adapters.geo_mmdb import load
from functions.shared.domain.ids import NIL

EVENTS, BATCH, PASSES = 50_000, 500, 3
GEO = Path(__file__).parents[1] / "tests" / "data"
START = 1_763_633_727 * 10**9
REFERRERS = ("https://www.google.com/", "https://shop.example.com/", "https://t.co/abc", "https://blog.example.org/a")
ZONES = ("Europe/London", "America/New_York", "Asia/Tokyo", "Europe/Paris", "America/Sao_Paulo")


def user_agents() -> list[str]:
    return [
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.{build}.0 {phone}Safari/537.36"
        for system, phone in (
            ("Windows NT 10.0; Win64; x64", ""),
            ("Macintosh; Intel Mac OS X 10_15_7", ""),
            ("Linux; Android 14; Pixel 8", "Mobile "),
            ("X11; Linux x86_64", ""),
        )
        for major in range(100, 125)
        for build in range(10)
    ]


def rows(chance: random.Random, count: int) -> Iterator[Row]:
    agents = user_agents()
    addresses = [f"81.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}" for _ in range(5_000)]
    urls = [f"https://shop.example.com/products/{n}?page={n % 7}" for n in range(4_500)]
    urls += [
        f"https://shop.example.com/sale/{n}?utm_source=news&utm_medium=email&utm_campaign=c{n}" for n in range(500)
    ]
    for number in range(count):
        context: dict[str, Any] = {"timezone": chance.choice(ZONES), "library": {"name": "weir-js"}}
        web = number % 4
        if web:
            context["page"] = {"url": chance.choice(urls), "title": "Product", "referrer": chance.choice(REFERRERS)}
        else:
            context["device"] = {"type": "mobile", "model": "Pixel 8", "manufacturer": "Google"}
        if number % 10 == 0:
            context["campaign"] = {"name": "spring", "source": "google", "medium": "cpc"}
        yield {
            "platform": "web" if web else "android",
            "timestamp": START + number * 20_000_000,
            "properties": {"sku": "A1"},
            "context": context,
            "ip": chance.choice(addresses),
            "user_agent": chance.choice(agents),
            "flags": [],
            "user_id": None,
            "anonymous_id": "",
            "session_id": NIL,
        }


def once(data: list[Row], steps: Any) -> dict[str, float]:
    """Microseconds an event, per step."""
    spent: dict[str, int] = {}
    fresh = [dict(row) for row in data]
    for start in range(0, len(fresh), BATCH):
        for name, nanoseconds in enrich(fresh[start : start + BATCH], steps, time.perf_counter_ns).items():
            spent[name] = spent.get(name, 0) + nanoseconds
    return {name: value / len(data) / 1_000 for name, value in spent.items()}


def main() -> None:
    data = list(rows(random.Random(7), EVENTS))
    steps = build_steps(load(Path(sys.argv[1]) if sys.argv[1:] else GEO))
    cold = once(data, steps)
    passes = [once(data, steps) for _ in range(PASSES)]
    print(f"{'step':<12}{'warm µs':>10}{'cold µs':>10}")
    for name in cold:
        print(f"{name:<12}{min(each[name] for each in passes):>10.2f}{cold[name]:>10.2f}")
    print(f"{'total':<12}{min(sum(each.values()) for each in passes):>10.2f}{sum(cold.values()):>10.2f}")


if __name__ == "__main__":
    main()
