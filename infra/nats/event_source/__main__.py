"""Run the event source: ``python -m infra.nats.event_source [--health-port N] [--parent-pid N]``."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence

from functions.shared.adapters import secret_references
from functions.shared.adapters.nats_names import SLOW
from functions.shared.errors import Misconfigured
from functions.shared.settings import load
from infra.nats.event_source import health
from infra.nats.event_source.report import Counters, log
from infra.nats.event_source.settings import EventSourceSettings
from infra.nats.event_source.source import EventSource

_LOOK_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or the parent's end. 2 when a setting is wrong."""
    options = _parser().parse_args(arguments)
    try:
        settings = load(EventSourceSettings, os.environ, secret_references.read)
    except Misconfigured as error:
        print(error, file=sys.stderr)
        return 2
    asyncio.run(_run(settings, options.health_port or settings.event_source_health_port, options.parent_pid))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.nats.event_source", description=__doc__)
    parser.add_argument("--health-port", type=int, default=0, help="answer GET /health on this port of 127.0.0.1")
    parser.add_argument("--parent-pid", type=int, default=0, help="stop when the process with this id ends")
    return parser


async def _run(settings: EventSourceSettings, health_port: int, parent_pid: int) -> None:
    counters = Counters()
    source = EventSource(settings, counters)
    # One block at a time, whatever waits there: the slow lane takes at most one turn of several.
    slow = EventSource(settings.model_copy(update={"event_source_concurrency": 1}), Counters(), SLOW)

    def stop() -> None:
        source.stop()
        slow.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    server = await health.serve(health_port, counters.as_dict) if health_port else None
    watching = loop.create_task(_watch(parent_pid, stop)) if parent_pid else None
    log("started", function=settings.enrich_function, concurrency=settings.event_source_concurrency)
    try:
        await asyncio.gather(source.run(), slow.run())
    finally:
        if watching:
            watching.cancel()
        if server:
            server.close()


async def _watch(pid: int, stop: Callable[[], None]) -> None:
    """A parent that died is known by our having another; any other process by its being gone."""
    ours = os.getppid() == pid
    while os.getppid() == pid if ours else _exists(pid):
        await asyncio.sleep(_LOOK_SECONDS)
    log("parent_gone", pid=pid)
    stop()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # An invocation that outlasted the stop is still being waited for by a thread; its messages were given back.
    os._exit(status)
