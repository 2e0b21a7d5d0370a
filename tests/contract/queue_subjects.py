"""The queues that the contract is tested on, and what each can and cannot do."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import nats

from functions.shared.adapters.memory_queue import MemoryQueue
from functions.shared.adapters.nats_queue import NatsQueue
from functions.shared.adapters.sqs_queue import SqsQueue
from functions.shared.ports import Queue
from functions.shared.settings import QueueSettings
from infra.nats.topology import TopologySettings, ensure_topology
from tests.support.accounts import HOSTS, account
from tests.support.nats import NatsServer

ACK_WAIT_SECONDS = 1.0
MAX_ATTEMPTS = 3
LIMIT_BYTES = 200_000


class DeadLetter(NamedTuple):
    """What is kept of a message that was given up."""

    body: bytes
    cause: str
    attempts: str


class Subject(Protocol):
    """A queue under test."""

    recognises_resends: bool
    keeps_order: bool

    @property
    def queue(self) -> Queue:
        """What the tests drive."""
        ...

    def dead_letters(self) -> list[DeadLetter]:
        """The dead letters there are, oldest first."""
        ...


class MemorySubject:
    """The fake."""

    recognises_resends = True
    keeps_order = True

    def __init__(self) -> None:
        self.queue = MemoryQueue(LIMIT_BYTES, MAX_ATTEMPTS, ACK_WAIT_SECONDS)

    def dead_letters(self) -> list[DeadLetter]:
        return [DeadLetter(each.body, each.cause, str(each.attempts)) for each in self.queue.dead_letters]


class NatsSubject:
    """A real nats-server."""

    recognises_resends = True
    keeps_order = True

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self.queue = NatsQueue(QueueSettings(nats_url=server.url, max_message_bytes=LIMIT_BYTES), MAX_ATTEMPTS)

    def dead_letters(self) -> list[DeadLetter]:
        return asyncio.run(read_dead_letters(self.server.url))


class SqsSubject:
    """Somebody's SQS: queues of its own."""

    recognises_resends = False
    keeps_order = False

    def __init__(self, client: Any) -> None:
        self._client = client
        name = uuid.uuid4().hex
        dead = self._client.create_queue(QueueName=f"dead-{name}")["QueueUrl"]
        live = self._client.create_queue(
            QueueName=f"live-{name}", Attributes={"VisibilityTimeout": str(int(ACK_WAIT_SECONDS))}
        )["QueueUrl"]
        self.dead_url = dead
        settings = QueueSettings(
            queue="sqs", sqs_queue_url=live, sqs_dead_letter_url=dead, max_message_bytes=LIMIT_BYTES
        )
        self.queue = SqsQueue(settings, MAX_ATTEMPTS)

    def dead_letters(self) -> list[DeadLetter]:
        answer = self._client.receive_message(
            QueueUrl=self.dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return [
            DeadLetter(
                message["Body"].encode(),
                message["MessageAttributes"]["Weir-Cause"]["StringValue"],
                message["MessageAttributes"]["Weir-Attempts"]["StringValue"],
            )
            for message in answer.get("Messages", [])
        ]


async def read_dead_letters(url: str) -> list[DeadLetter]:
    """Everything in the dead-letter stream, left where it is."""
    client = await nats.connect(url)
    jetstream = client.jetstream()
    state = (await jetstream.stream_info("WEIR_DEAD_LETTERS")).state
    messages = [await jetstream.get_msg("WEIR_DEAD_LETTERS", number + 1) for number in range(state.messages)]
    await client.close()
    return [
        DeadLetter(each.data or b"", (each.headers or {})["Weir-Cause"], (each.headers or {})["Weir-Attempts"])
        for each in messages
    ]


async def fresh_topology(url: str, **settings: Any) -> None:
    """The declared topology, empty, with a short ack wait unless asked otherwise."""
    client = await nats.connect(url)
    jetstream = client.jetstream()
    for info in await jetstream.streams_info():
        await jetstream.delete_stream(str(info.config.name))
    await client.close()
    await ensure_topology(url, TopologySettings(**{"nats_ack_wait_seconds": ACK_WAIT_SECONDS, **settings}))


@contextmanager
def memory(_: Path) -> Iterator[Subject]:
    """The fake, for one test."""
    yield MemorySubject()


@contextmanager
def on_nats(folder: Path) -> Iterator[Subject]:
    """A server of its own, for one test."""
    server = NatsServer(folder).start()
    try:
        asyncio.run(fresh_topology(server.url))
        subject = NatsSubject(server)
        yield subject
        subject.queue.close()
    finally:
        server.kill()


def on(host: str) -> Callable[[Path], AbstractContextManager[Subject]]:
    """SQS of an account of its own, for one test."""

    @contextmanager
    def made(_: Path) -> Iterator[Subject]:
        with account(host) as client:
            subject = SqsSubject(client("sqs"))
            yield subject
            subject.queue.close()

    return made


SUBJECTS: dict[str, Callable[[Path], AbstractContextManager[Subject]]] = {
    "memory": memory,
    "nats": on_nats,
    **{f"sqs-{host}": on(host) for host in HOSTS},
}
