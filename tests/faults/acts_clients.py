"""Faults of clients, and of what they send."""

from __future__ import annotations

import gzip
import json
import socket
import time
import uuid
from urllib.parse import urlsplit

import httpx

from tests.faults import broker
from tests.faults.account import Sent
from tests.faults.compare import dead
from tests.faults.scene import Scene
from tests.support.http_proxy import Answered, Asked, Forward, Gone, store_error
from tests.support.polling import until

_REFUSED = "refused-by-the-store"
_DEAD_SECONDS = 400.0
_HALVES = 5


def plain_load(scene: Scene) -> None:
    """What is wrong is the witness's clock."""
    scene.more(300)


def poison(scene: Scene) -> None:
    """Each alone, and none costs its neighbours anything."""
    refused, deadly = str(uuid.uuid4()), str(uuid.uuid4())

    def rule(asked: Asked, forward: Forward) -> Answered:
        if asked.inserts_into("processed_events") and _REFUSED.encode() in asked.body:
            return store_error(117, "INCORRECT_DATA")
        if asked.inserts_into("event_deliveries") and deadly.encode() in asked.body:
            scene.rig.kill_function("enrich")
            raise Gone
        return forward(asked)

    scene.rig.store.rule = rule
    for one, word in ((refused, _REFUSED), (deadly, "deadly")):
        _post(scene, [_event(scene, one, word)])
    broker.put(scene.rig.nats_url, b"\xff\xfe no text")
    broker.put(scene.rig.nats_url, b"no envelope")
    scene.expected[refused] = Sent(refused, False, "", "", time.time())
    scene.dead, scene.strangers = {deadly}, 1
    scene.other_dead = 1
    until(lambda: deadly in dead(scene.rig), _DEAD_SECONDS, "the dead letter")


def half_sent(scene: Scene) -> None:
    """Requests of which half arrives, whole ones whose client is gone, and noise. None of the halves may be stored."""
    hanging = []
    for number in range(_HALVES):
        body = json.dumps([_event(scene, str(uuid.uuid4()), "half") for _ in range(20)]).encode()
        packed = gzip.compress(body)
        hanging.append(_send(scene, body[: len(body) * (number + 1) // (_HALVES + 1)], len(body)))
        _send(scene, body[: len(body) // 2], len(body)).close()
        # Cut at an event's end, and told to be whole: it is no JSON.
        _send(scene, body[: body.index(b"}, {") + 1], body.index(b"}, {") + 1).close()
        _send(scene, packed[: len(packed) // 2], len(packed) // 2).close()
        _send(scene, b"", -1).close()
        own = str(uuid.uuid4())
        scene.unsure.add(own)
        whole = json.dumps([_event(scene, own, "not waited for")]).encode()
        _send(scene, whole, len(whole)).close()
    scene.more(100)
    for link in hanging:
        link.close()


def _send(scene: Scene, body: bytes, length: int) -> socket.socket:
    """The beginning of a request; its connection, still open. A length below 0: noise instead."""
    where = urlsplit(scene.rig.base_url)
    link = socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=10)
    head = (
        f"POST /api/v1/events/batch HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer wk_local\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    link.sendall(head.encode() + body if length >= 0 else b"\x16\x03\x01 no request at all\r\n\r\n")
    return link


def _event(scene: Scene, event_id: str, word: str) -> dict[str, object]:
    return {
        "event_id": event_id,
        "event_type": "click",
        "event_name": f"{scene.name}:by-hand",
        "platform": scene.name,
        "user_id": f"{scene.name}-by-hand",
        "properties": {"word": word},
    }


def _post(scene: Scene, events: list[dict[str, object]]) -> None:
    """Until it is accepted, as a client does."""

    def accepted() -> bool:
        headers = {"Authorization": "Bearer wk_local"}
        answer = httpx.post(f"{scene.rig.base_url}/api/v1/events/batch", json=events, headers=headers, timeout=30)
        return answer.status_code == 202

    until(accepted, 60, "events that are accepted")
