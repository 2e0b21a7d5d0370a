"""Faults of the broker."""

from __future__ import annotations

import signal

from tests.faults import broker
from tests.faults.scene import Scene
from tests.support.polling import until

_CUT = 5
_COMPLETED = 10
_ROOM_BYTES = 60_000
_SECONDS = 120.0


def stopped(scene: Scene) -> None:
    with scene.rig.down("nats", signal.SIGTERM):
        scene.refused(3)


def killed(scene: Scene) -> None:
    scene.rig.kill("nats")
    scene.more(50)
    scene.rig.kill("nats")


def hangs(scene: Scene) -> None:
    with scene.rig.frozen("nats"):
        scene.refused(3)


def answers_lost(scene: Scene) -> None:
    """A batch is stored, and collect never hears of it."""
    proxy = scene.rig.nats
    proxy.cut_answers = _CUT
    until(lambda: not proxy.cut_answers, _SECONDS, "answers that are lost")


def five_times(scene: Scene) -> None:
    redelivering = broker.Redelivering(5)
    scene.rig.nats.rewrite = redelivering
    until(lambda: redelivering.completed >= _COMPLETED, _SECONDS, "messages that were delivered five times")


def stream_full(scene: Scene) -> None:
    url = scene.rig.nats_url
    try:
        with scene.rig.frozen("event source"):
            broker.bound(url, _ROOM_BYTES)
            scene.refused(3)
        # It is as small as before, and no longer full.
        scene.more(50)
    finally:
        broker.bound(url, None)


def disk_full(scene: Scene) -> None:
    with scene.rig.full("nats"):
        scene.refused(3)
