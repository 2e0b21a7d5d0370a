"""How each engine is run on a laptop, and how it is seen to work."""

from __future__ import annotations

import http.client
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from infra.nats.server_conf import render

from . import questdb as questdb_server
from . import surroundings
from .paths import ROOT, tool
from .ports import HOST
from .processes import Service

_PROBE_SECONDS = 1.0
# The account as a whole; the front door lets fewer in. More would each be one more worker process.
_LAMBDA_CONCURRENCY = "32"

# Above what the queue adapter sends, and a bound for a disk that is also a laptop's.
_NATS_PAYLOAD_BYTES = 8 << 20
_NATS_STORE_BYTES = 13 << 30

_CLICKHOUSE_CONFIG = """\
<clickhouse>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>{host}</listen_host>
  <http_port>{port}</http_port>
  <path>{data}/</path>
  <tmp_path>{data}/tmp/</tmp_path>
  <user_files_path>{data}/user_files/</user_files_path>
  <mark_cache_size>268435456</mark_cache_size>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile><quota>default</quota><access_management>1</access_management></default></users>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
</clickhouse>
"""


def answers(port: int, path: str, below: int = 300) -> Callable[[], bool]:
    """A probe: whether a GET is answered well."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status < below
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def listens(port: int) -> bool:
    """Whether a connection is taken."""
    try:
        socket.create_connection((HOST, port), timeout=_PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def _writes_no_more(monitor: int) -> bool:
    """Whether a stream met an error of its disk: JetStream then writes nothing until the server is started anew."""
    connection = http.client.HTTPConnection(HOST, monitor, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return b"write error" in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def nats(folder: Path, logs: Path, port: int, monitor: int) -> Service:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "server.conf"
    config.write_text(
        render(port, folder.resolve(), monitor, _NATS_PAYLOAD_BYTES, HOST, max_file_store_bytes=_NATS_STORE_BYTES)
    )
    ready = answers(monitor, "/healthz?js-enabled-only=true")
    return Service(
        name="nats",
        command=[tool("nats-server"), "--config", str(config)],
        environment=surroundings.clean(),
        log=logs / "nats.log",
        is_ready=lambda: ready() and listens(port),
        port=port,
        url=f"nats://{HOST}:{port}",
        is_lost=lambda: _writes_no_more(monitor),
    )


def clickhouse(folder: Path, logs: Path, port: int, parent: int) -> Service:
    """A real server where there is one, else the door to the engine in a library."""
    folder.mkdir(parents=True, exist_ok=True)
    if server := shutil.which("clickhouse"):
        config = folder / "server.xml"
        config.write_text(_CLICKHOUSE_CONFIG.format(host=HOST, port=port, data=(folder / "server").resolve()))
        command = [server, "server", "--config-file", str(config)]
    else:
        command = [sys.executable, "-m", "infra.local.clickhouse_door", "--data", str(folder / "chdb")]
        command += ["--host", HOST, "--port", str(port), "--parent-pid", str(parent)]
    return Service(
        name="clickhouse",
        command=command,
        environment=surroundings.clean(),
        log=logs / "clickhouse.log",
        is_ready=answers(port, "/ping"),
        port=port,
        url=f"http://{HOST}:{port}",
        folder=ROOT,
        stop_seconds=15.0,
    )


def questdb(server: Path, folder: Path, logs: Path, port: int, pg_port: int) -> Service:
    folder.mkdir(parents=True, exist_ok=True)
    ready = answers(port, "/ping")
    return Service(
        name="questdb",
        command=questdb_server.command(server, folder),
        environment=questdb_server.environment(port, pg_port),
        log=logs / "questdb.log",
        is_ready=lambda: ready() and listens(pg_port),
        port=port,
        url=f"http://{HOST}:{port}",
        stop_seconds=15.0,
    )


def emulator(python: Path, folder: Path, logs: Path, port: int, after_restart: Callable[[], None]) -> Service:
    """MiniStack: Lambda, API Gateway and SQS. It holds all in memory; the stack deploys anew after each start."""
    # The workers' code is unpacked here; a killed emulator leaves it behind.
    temporary = folder / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    url = f"http://{HOST}:{port}"
    settings = {
        **surroundings.aws(url),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "LAMBDA_ACCOUNT_CONCURRENCY": _LAMBDA_CONCURRENCY,
        # Workers stay: their number is bounded at the door, and a new one takes a second.
        "LAMBDA_WARM_TTL_SECONDS": "604800",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(temporary.resolve()),
        "S3_DATA_DIR": str((folder / "s3").resolve()),
        # It would listen on all addresses for devices, and look for containers.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{(folder / 'no-docker.sock').resolve()}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return Service(
        name="emulator",
        command=[str(python), "-m", "ministack"],
        environment=surroundings.clean(**settings),
        log=logs / "emulator.log",
        is_ready=answers(port, "/_ministack/health"),
        port=port,
        url=url,
        after_restart=after_restart,
    )


def front_door(upstream: Path, logs: Path, port: int) -> Service:
    return Service(
        name="front door",
        command=[sys.executable, "-m", "infra.local.front_door", "--upstream", str(upstream), "--port", str(port)],
        environment=surroundings.clean(),
        log=logs / "front_door.log",
        is_ready=lambda: listens(port),
        port=port,
        url=f"http://{HOST}:{port}",
        folder=ROOT,
    )


def event_source(logs: Path, variables: dict[str, str], health_port: int, parent: int) -> Service:
    """What AWS does for SQS and nobody does for NATS: pull messages, invoke enrich, acknowledge."""
    command = [sys.executable, "-m", "infra.nats.event_source"]
    command += ["--health-port", str(health_port), "--parent-pid", str(parent)]
    return Service(
        name="event source",
        command=command,
        environment=surroundings.clean(**variables),
        log=logs / "event_source.log",
        is_ready=answers(health_port, "/health"),
        port=health_port,
        url=f"http://{HOST}:{health_port}/health",
        folder=ROOT,
        # It finishes what it has in hand; longer than this it is delivered once more.
        stop_seconds=15.0,
    )
