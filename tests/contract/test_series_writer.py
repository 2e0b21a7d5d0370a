"""How the writer reaches QuestDB and how long it tries, without a server."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from questdb.ingress import Sender

from functions.shared.adapters.questdb_series import QuestDbSeries
from functions.shared.adapters.questdb_writer import Writer, _configuration, _refusal
from functions.shared.domain.series import METRICS
from functions.shared.errors import Misconfigured, StoreRefused, StoreUnavailable
from functions.shared.settings import SeriesSettings, load
from tests.contract.test_series_contract import metric
from tests.support.nats import free_port


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://q.test:9001", "http::addr=q.test:9001;"),
        ("http://q.test/", "http::addr=q.test:9000;"),
        ("https://q.test", "https::addr=q.test:443;"),
    ],
)
def test_the_address_has_a_port_and_the_scheme(url: str, address: str) -> None:
    assert _configuration(SeriesSettings(questdb_url=url)).startswith(address)


def test_a_password_may_hold_any_character_and_is_not_shown() -> None:
    settings = SeriesSettings(questdb_password="a;b=c;;d é")
    Sender.from_conf(_configuration(settings)).close()
    assert "a;b" not in repr(settings)


def test_tries_grow_apart_and_end_at_the_time_set() -> None:
    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(round(seconds, 3))
        now[0] += seconds

    settings = SeriesSettings(questdb_url=f"http://127.0.0.1:{free_port()}", questdb_retry_seconds=8)
    with pytest.raises(StoreUnavailable, match="QuestDB did not take rows of metrics"):
        Writer(settings, lambda: now[0], sleep).write(METRICS, [metric("a")])
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_nobody_there_is_an_outage_at_once() -> None:
    settings = SeriesSettings(questdb_url=f"http://127.0.0.1:{free_port()}", questdb_pg_port=free_port())
    store = QuestDbSeries(settings)
    for call in (store.ping, lambda: store.write(METRICS, [metric("a")]), lambda: store.await_visible(METRICS)):
        with pytest.raises(StoreUnavailable, match="QuestDB does not answer queries"):
            call()


@pytest.mark.parametrize(("status", "kind"), [(413, StoreRefused), (502, StoreUnavailable), (401, StoreUnavailable)])
def test_what_a_proxy_finds_too_large_is_refused_and_can_be_tried_with_fewer_rows(
    status: int, kind: type[Exception]
) -> None:
    assert isinstance(_refusal(METRICS, status, "<html>"), kind)


def test_who_says_so_before_all_of_a_request_has_come_is_heard() -> None:
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(answer)
                # Nobody listens to the rest, and who sends it is told so.
                connection.shutdown(socket.SHUT_RD)
                connection.recv(1)

        refused = pool.submit(refuse)
        settings = SeriesSettings(questdb_url=f"http://127.0.0.1:{server.getsockname()[1]}", questdb_retry_seconds=0)
        with pytest.raises(StoreRefused, match="of this size"):
            Writer(settings).write_lines(METRICS, b"x" * (64 << 20))
        refused.result(20)


@pytest.mark.parametrize("url", ["q.test:9000", "ws://q.test", "http://q.test;user=x", "http://"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(Misconfigured, match="WEIR_QUESTDB_URL"):
        load(SeriesSettings, {"WEIR_QUESTDB_URL": url})
