"""`python -m infra.local.clickhouse_door --data DIR --port 8123`: a chDB folder as ClickHouse over HTTP."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import resource
import signal
import sys
import threading
from pathlib import Path

from . import folder
from .limits import Gate
from .server import DoorServer
from .space import Space

_FINISH_SECONDS = 5.0
_CANCEL_SECONDS = 2.0
_PARENT_CHECK_SECONDS = 0.5
_OPEN_FILES = 16_384
_MIB = 1 << 20
_NO_ROOM = 3


def main() -> int:
    options = _options()
    stop = threading.Event()
    try:
        lock = folder.claim(options.data)
        server = DoorServer(options.host, options.port)
    except folder.FolderTaken as error:
        return _refuse(str(error))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _refuse(f"port {options.port} on {options.host} is taken by another program")
        return _refuse(str(error))
    code = _serve(options, server, stop)
    os.close(lock)
    return code


def _serve(options: argparse.Namespace, server: DoorServer, stop: threading.Event) -> int:
    # Loaded here and not above: it takes a quarter of a second that a refusal need not wait for.
    from .engine import Engine
    from .errors import DoorError

    _allow_open_files()
    # Before the engine, whose merges begin with it.
    space = Space(options.data, _end_at_once)
    space.start()
    try:
        engine = Engine(options.data, options.memory_mib * _MIB)
    except DoorError as error:
        return _refuse(f"the engine cannot open {options.data}: {error}")
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    if options.parent_pid:
        threading.Thread(target=_watch_parent, args=(options.parent_pid, stop), daemon=True).start()
    gate = Gate(options.max_queries, options.queue_seconds)
    server.start(engine, gate, space, options.max_body_mib * _MIB)
    _say(f"listening on http://{options.host}:{server.server_port} (engine {engine.version})")
    stop.wait()
    server.stop_accepting()
    gate.close()
    if not gate.wait_idle(_FINISH_SECONDS):
        engine.cancel_all()
        gate.wait_idle(_CANCEL_SECONDS)
    engine.close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="clickhouse_door", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data folder, made if it is not there")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--parent-pid", type=int, default=0, help="end when this process ends")
    parser.add_argument("--memory-mib", type=int, default=4096, help="what all queries together may use")
    parser.add_argument("--max-queries", type=int, default=32, help="how many run at once")
    parser.add_argument("--queue-seconds", type=float, default=30.0, help="how long one more waits")
    parser.add_argument("--max-body-mib", type=int, default=256, help="the largest request body, inflated")
    return parser.parse_args()


def _allow_open_files() -> None:
    """Raise the soft limit: the engine holds some hundred files under load, and macOS begins with 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _watch_parent(pid: int, stop: threading.Event) -> None:
    """Polled, since the kernel's own signal is bound to the parent's thread and not to its process."""
    while not stop.wait(_PARENT_CHECK_SECONDS):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            stop.set()
        except PermissionError:
            continue


def _end_at_once() -> None:
    """As a crash does: whatever is at work must not come to an acknowledgement."""
    # The log may be on the same disk.
    with contextlib.suppress(OSError):
        _say("the disk is full: the engine has to be started anew, to find what it could not write")
    os._exit(_NO_ROOM)


def _refuse(reason: str) -> int:
    _say(reason)
    return 1


def _say(text: str) -> None:
    print(f"clickhouse door: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # The engine's threads outlive the interpreter's own end; leave without waiting for them.
    os._exit(status)
