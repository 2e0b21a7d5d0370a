"""The compose file, as far as it can be tried without its images."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local import questdb
from infra.local.paths import ROOT, tool
from infra.nats.server_conf import MAX_PAYLOAD_BYTES

pytestmark = pytest.mark.engines
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "infra/compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def test_nothing_listens_to_the_network() -> None:
    published = [port for service in SERVICES.values() for port in service["ports"]]
    assert {port.split(":")[1] for port in published} == {"4222", "8222", "8123", "9000", "8812"}
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_what_an_engine_keeps_outlives_its_container() -> None:
    for name, service in SERVICES.items():
        (volume,) = service["volumes"]
        assert volume.split(":")[0] == name
        assert service["restart"] == "unless-stopped"
    assert set(COMPOSE["volumes"]) == set(SERVICES)


def test_the_series_store_is_of_the_version_that_is_tested() -> None:
    assert SERVICES["questdb"]["image"].rpartition(":")[2] == questdb.VERSION


def test_the_broker_takes_its_configuration_and_flushes_before_it_acknowledges(tmp_path: Path) -> None:
    given = COMPOSE["configs"]["nats"]["content"]
    assert "sync_interval: always" in given
    config = tmp_path / "nats.conf"
    config.write_text(given.replace("/data", str(tmp_path)))
    done = subprocess.run([tool("nats-server"), "-t", "-c", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"max_payload: {MAX_PAYLOAD_BYTES // 1024 // 1024}MB" in given
    # Where the file puts the configuration is where the server is told to look for it.
    service = SERVICES["nats"]
    assert service["command"] == ["--config", service["configs"][0]["target"]]
