"""What lets functions in containers reach engines that listen on loopback alone."""

import contextlib
import ipaddress
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.containers import Relay, write_sam_variables

# Linux answers on all of 127/8, so another address of it stands for the bridge's.
BRIDGE = "127.0.0.2"
BODY = bytes(range(256)) * 4096


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@contextlib.contextmanager
def echoing() -> Iterator[int]:
    """A server on loopback that says everything back once it was told all. Gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(everything(connection))

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def asked(port: int, body: bytes) -> bytes:
    with socket.create_connection((BRIDGE, port), timeout=5) as connection:
        connection.sendall(body)
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


@pytest.fixture
def port() -> Iterator[int]:
    with echoing() as found:
        yield found


def test_a_connection_is_carried_both_ways_until_each_end_has_said_all(port: int) -> None:
    relay = Relay(ipaddress.IPv4Interface(f"{BRIDGE}/8"), [port])
    relay.start()
    try:
        assert [asked(port, BODY), asked(port, b"x")] == [BODY, b"x"]
    finally:
        relay.stop()
    with pytest.raises(ConnectionRefusedError):
        asked(port, b"x")


def test_a_stranger_to_the_bridges_network_is_not_carried(port: int) -> None:
    relay = Relay(ipaddress.IPv4Interface(f"{BRIDGE}/32"), [port])
    relay.start()
    try:
        with contextlib.suppress(OSError):
            assert asked(port, b"x") == b""
    finally:
        relay.stop()


def test_an_engine_that_is_away_is_a_connection_that_ends() -> None:
    with echoing() as port:
        pass
    relay = Relay(ipaddress.IPv4Interface(f"{BRIDGE}/8"), [port])
    relay.start()
    try:
        with contextlib.suppress(OSError):
            assert asked(port, b"x") == b""
    finally:
        relay.stop()


def test_functions_are_told_of_this_machine_as_containers_know_it(tmp_path: Path) -> None:
    file = tmp_path / "sam_local.json"
    write_sam_variables(file, {"WEIR_NATS_URL": "nats://127.0.0.1:4222", "WEIR_GEO_PATH": "/here/geo"})
    assert json.loads(file.read_text()) == {
        "Parameters": {"WEIR_NATS_URL": "nats://host.docker.internal:4222", "WEIR_GEO_PATH": ""}
    }
