"""Faults of the event store."""

from __future__ import annotations

import signal
import threading
import time
from itertools import count

from tests.faults.scene import Scene
from tests.support.http_proxy import Answered, Asked, Forward, store_error
from tests.support.polling import until

_SECONDS = 120.0
_IN_THE_MIDST_SECONDS = 0.004
_ERRORS = 8


def stopped(scene: Scene) -> None:
    with scene.rig.down("clickhouse", signal.SIGTERM):
        scene.more(200)


def killed(scene: Scene) -> None:
    """In the midst of an insert; and when processed rows are stored, and raw ones are not yet."""
    for table, midst in (("raw_events", True), ("processed_events", False), ("event_deliveries", True)):
        _kill_at(scene, table, midst)
        scene.more(30)


def _kill_at(scene: Scene, table: str, midst: bool) -> None:
    rig, fired = scene.rig, threading.Event()
    before = rig.services()["clickhouse"]["restarts"]

    def rule(asked: Asked, forward: Forward) -> Answered:
        if fired.is_set() or not asked.inserts_into(table):
            return forward(asked)
        fired.set()
        if midst:
            threading.Timer(_IN_THE_MIDST_SECONDS, rig.end, ["clickhouse"]).start()
            return forward(asked)
        answered = forward(asked)
        rig.end("clickhouse")
        return answered

    rig.store.rule = rule
    until(fired.is_set, _SECONDS, f"an insert into {table}")
    rig.wait_back("clickhouse", before)
    rig.store.plainly()


def slow(scene: Scene) -> None:
    seconds = 0.6 if scene.rig.short else 4.0

    def rule(asked: Asked, forward: Forward) -> Answered:
        answered = forward(asked)
        time.sleep(seconds)
        return answered

    scene.rig.store.rule = rule
    scene.lasting(40, 6)


def hangs(scene: Scene) -> None:
    """Longer than a statement may take, than an invocation may take, and than the queue waits for it."""
    with scene.rig.frozen("clickhouse"):
        scene.lasting(100, 12)


def errors(scene: Scene) -> None:
    """Of seven writes two are refused, two are stored and told to have failed, and three succeed."""
    numbers, told = count(), count()

    def rule(asked: Asked, forward: Forward) -> Answered:
        if "INSERT INTO" not in asked.statement:
            return forward(asked)
        turn = next(numbers) % 7
        if turn in (0, 3):
            next(told)
            return store_error(252, "TOO_MANY_PARTS") if turn else store_error(241, "MEMORY_LIMIT_EXCEEDED")
        answered = forward(asked)
        if turn in (2, 5):
            next(told)
            return store_error(159, "TIMEOUT_EXCEEDED") if turn == 2 else store_error(210, "NETWORK_ERROR")
        return answered

    scene.rig.store.rule = rule
    until(lambda: _seen(told) >= _ERRORS, _SECONDS, "errors of the store")


def _seen(counter: count[int]) -> int:
    return int(repr(counter)[6:-1])


def disk_full(scene: Scene) -> None:
    with scene.rig.full("clickhouse"):
        scene.waiting(200)
