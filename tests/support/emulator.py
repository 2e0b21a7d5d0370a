"""The emulator of AWS that the laptop stack runs, by itself."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local import engines, ports, tools
from infra.local.commands import tethered
from tests.support.polling import until

_START_SECONDS = 120


@contextmanager
def emulator(folder: Path) -> Iterator[str]:
    """Its URL, for as long as it is needed. It keeps all in memory."""
    service = engines.emulator(tools.environment("emulator"), folder, folder, ports.choose(0, set()), lambda: None)
    with service.log.open("wb") as log:
        process = subprocess.Popen(tethered(service.command), env=service.environment, stdout=log, stderr=log)
    try:
        until(service.is_ready, _START_SECONDS, "the emulator")
        yield service.url
    finally:
        process.kill()
        process.wait(30)
