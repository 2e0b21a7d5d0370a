"""Where keys are kept: one contract, held by the fake, a file, both of AWS' services, and a real nats-server."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import nats
import pytest

from functions.shared.adapters.keys_file import FileKeys
from functions.shared.adapters.keys_memory import MemoryKeys
from functions.shared.adapters.keys_nats import NatsKeys
from functions.shared.adapters.keys_secret import SecretKeys
from functions.shared.domain import key_document
from functions.shared.domain.instants import SECOND
from functions.shared.errors import Conflict, KeysUnavailable, Misconfigured
from functions.shared.key_cache import KeyCache
from functions.shared.ports import KeySource
from infra.cli.keyring import Keyring
from infra.nats.topology import TopologySettings, ensure_topology
from tests.support.accounts import HOSTS, Client, account
from tests.support.nats import NatsServer

NOW = 1_767_225_600 * SECOND
FIRST = '{"keys":[],"version":1}'


class Subject:
    def __init__(self, source: KeySource, away: Callable[[], None] | None = None) -> None:
        self.source, self.away = source, away


Made = Callable[[Path], AbstractContextManager[Subject]]


@contextmanager
def memory(_: Path) -> Iterator[Subject]:
    source = MemoryKeys(FIRST)
    yield Subject(source, lambda: setattr(source, "available", False))


@contextmanager
def file(folder: Path) -> Iterator[Subject]:
    source = FileKeys(str(folder / "keys.json"))
    source.replace(FIRST, "")
    yield Subject(source)


def _secrets_manager(client: Client) -> str:
    return str(client("secretsmanager").create_secret(Name="k", SecretString=FIRST)["ARN"])


def _parameter(client: Client) -> str:
    ssm = client("ssm")
    ssm.put_parameter(Name="/weir/keys", Value=FIRST, Type="SecureString")
    return str(ssm.get_parameter(Name="/weir/keys")["Parameter"]["ARN"])


def secret(host: str, keep: Callable[[Client], str]) -> Made:
    @contextmanager
    def made(_: Path) -> Iterator[Subject]:
        with pytest.MonkeyPatch.context() as patch, account(host) as client:

            def refuse(*_: Any, **__: Any) -> None:
                from botocore.exceptions import EndpointConnectionError

                raise EndpointConnectionError(endpoint_url="https://aws.test")

            call = "botocore.client.BaseClient._make_api_call"
            yield Subject(SecretKeys(keep(client)), lambda: patch.setattr(call, refuse))

    return made


@contextmanager
def bucket(folder: Path) -> Iterator[Subject]:
    server = NatsServer(folder).start()
    asyncio.run(ensure_topology(server.url, TopologySettings(keys="nats")))
    source = NatsKeys(server.url)
    source.replace(FIRST, "")
    try:
        yield Subject(source, server.kill)
    finally:
        source.close()
        server.kill()


KEPT = {"secrets_manager": _secrets_manager, "parameter": _parameter}
SUBJECTS: dict[str, Made] = {
    **{one.__name__: one for one in (memory, file, bucket)},
    **{f"{name}-{host}": secret(host, keep) for name, keep in KEPT.items() for host in HOSTS},
}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    with SUBJECTS[request.param](tmp_path) as one:
        yield one


class TestKeySource:
    def test_what_was_put_is_read_whole(self, subject: Subject) -> None:
        text = FIRST + " " * 3_000 + "ä\n"
        subject.source.replace(text, subject.source.read().version)
        assert subject.source.read().text == text

    def test_each_change_has_a_version_of_its_own_and_only_the_newest_is_replaced(self, subject: Subject) -> None:
        first = subject.source.read().version
        subject.source.replace("second", first)
        second = subject.source.read().version
        assert first != second
        for stale in (first, ""):
            with pytest.raises(Conflict):
                subject.source.replace("third", stale)
        assert subject.source.read().text == "second"
        subject.source.replace("third", second)
        assert subject.source.read().text == "third"

    def test_what_is_changed_of_a_key_holds_within_a_minute_where_it_was_known_before(self, subject: Subject) -> None:
        now = [NOW]
        ring = Keyring(subject.source, clock=lambda: now[0])
        subject.source.replace(key_document.write([]), subject.source.read().version)
        made, token = ring.create("live", {"name": "shop", "scopes": ("write",), "events_per_second": 5})
        cache = KeyCache(subject.source, lambda: now[0], lambda error: pytest.fail(str(error)))
        assert cache.find(token).events_per_second == 5
        ring.set("shop", {"events_per_second": 9, "origins": ["https://a.test"], "slow_lane": True})
        now[0] += 60 * SECOND
        found = cache.find(token)
        assert (found.key_id, found.events_per_second, found.origins) == (made.key_id, 9, ("https://a.test",))
        assert found.slow_lane

    def test_a_source_that_is_away_is_told_of(self, subject: Subject) -> None:
        if subject.away is None:
            pytest.skip("a file of this machine is not away")
        version = subject.source.read().version
        subject.away()
        with pytest.raises(KeysUnavailable):
            subject.source.read()
        with pytest.raises(KeysUnavailable):
            subject.source.replace("second", version)


def test_a_file_is_its_owners_alone_and_no_reader_sees_half_of_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    FileKeys(str(path)).replace(FIRST, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    code = (
        "import sys\nfrom functions.shared.adapters.keys_file import FileKeys\n"
        "from functions.shared.errors import Conflict\nsource, done = FileKeys(sys.argv[1]), 0\n"
        "while done < 20:\n"
        "    kept = source.read()\n"
        "    try:\n"
        "        source.replace(str(int(kept.text or 0) + 1).zfill(4000), kept.version)\n"
        "        done += 1\n"
        "    except Conflict:\n"
        "        pass\n"
    )
    FileKeys(str(path)).replace("0", FileKeys(str(path)).read().version)
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path)], env=dict(os.environ)) for _ in range(3)]
    while any(one.poll() is None for one in writers):
        assert len(FileKeys(str(path)).read().text) in (1, 4000)
    assert [one.returncode for one in writers] == [0, 0, 0]
    assert int(FileKeys(str(path)).read().text) == 60


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (lambda folder: FileKeys(""), "WEIR_KEYS_PATH"),
        (lambda folder: FileKeys(str(folder / "none")).read(), "WEIR_KEYS_PATH"),
        (lambda folder: SecretKeys(""), "WEIR_KEYS_REFERENCE"),
        (lambda folder: MemoryKeys("").read(), "no keys"),
    ],
)
def test_a_source_that_is_not_set_up_is_named(tmp_path: Path, source: Any, named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        source(tmp_path)


def test_a_bucket_is_made_by_the_topology_and_read_by_any_client(tmp_path: Path) -> None:
    server = NatsServer(tmp_path).start()
    source = NatsKeys(server.url)
    try:
        with pytest.raises(Misconfigured, match="topology"):
            source.read()
        asyncio.run(ensure_topology(server.url, TopologySettings(keys="nats")))
        assert source.read() == ("", "")

        async def put() -> str:
            client = await nats.connect(server.url)
            entry = await client.jetstream().key_value("weir_keys")
            await entry.put("ring", FIRST.encode())
            await client.close()
            return FIRST

        assert source.read()[0] != asyncio.run(put())
        assert source.read().text == FIRST
        # A broken connection is made anew.
        server.kill()
        server.start()
        assert source.read().text == FIRST
    finally:
        source.close()
        server.kill()
