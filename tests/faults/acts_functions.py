"""Faults of what works: the functions, the event source, and the series store."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading

from infra.local.paths import ROOT
from tests.faults.rig import KILLED_SECONDS
from tests.faults.scene import Scene
from tests.support.http_proxy import Answered, Asked, Forward, Gone
from tests.support.polling import until

_SECONDS = 120.0
_SCHEDULERS = 2
_COMMAND_SECONDS = 120.0
# A command that took longer is killed.
_LONG_SECONDS, _SHORT_LONG_SECONDS = 30.0, 6.0


def enrich_killed(scene: Scene) -> None:
    """Rows are stored, and nobody hears of it: before and after word of them is left for the batches."""
    for table in ("raw_events", "touched"):
        _kill_after(scene, table)
        scene.more(30)


def _kill_after(scene: Scene, table: str) -> None:
    rig, fired = scene.rig, threading.Event()

    def rule(asked: Asked, forward: Forward) -> Answered:
        answered = forward(asked)
        if fired.is_set() or not asked.inserts_into(table):
            return answered
        assert rig.kill_function("enrich")
        fired.set()
        raise Gone

    rig.store.rule = rule
    until(fired.is_set, _SECONDS, f"an insert into {table}")
    rig.store.plainly()


def event_source_killed(scene: Scene) -> None:
    scene.rig.kill("event source")
    scene.more(50)
    scene.rig.kill("event source")


def questdb_killed(scene: Scene) -> None:
    """While the batches tell it of sessions and metrics."""
    before = scene.rig.services()["questdb"]["restarts"]
    measuring = threading.Thread(target=_invoke_measure, args=(scene,), daemon=True)
    measuring.start()
    scene.more(50)
    scene.rig.end("questdb")
    measuring.join(_COMMAND_SECONDS)
    scene.rig.wait_back("questdb", before)


def _invoke_measure(scene: Scene) -> None:
    assert scene.rig.invoke("measure")["state"] in ("done", "unfinished", "busy")


def emulator_killed(scene: Scene) -> None:
    scene.rig.kill("emulator")


def two_schedulers(scene: Scene) -> None:
    """Two commands at once beside the schedule itself; what has not ended by then dies in the midst."""
    commands = [_measuring(scene) for _ in range(_SCHEDULERS)]
    long = _SHORT_LONG_SECONDS if scene.rig.short else _LONG_SECONDS
    try:
        _invoke_measure(scene)
        scene.more(50)
        for one in commands:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(long)
    finally:
        for one in commands:
            one.kill()
            one.wait(KILLED_SECONDS)


def _measuring(scene: Scene) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "infra.cli.main", "measure"]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=ROOT, env=scene.rig.variables(), stdout=nowhere, stderr=nowhere)
