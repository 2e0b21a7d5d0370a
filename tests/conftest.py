"""Sockets are closed everywhere but in the folders whose tests start real engines themselves."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pytest_socket import disable_socket, enable_socket

from tests.support import scheduling, wired
from tests.support.keys import VARIABLES

# Before anything that is made once a process reads them.
os.environ.update(VARIABLES)

# Where the tests are started in the background Ctrl-C may be ignored, and every process they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's affair.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_OPEN = ("contract", "integration", "e2e", "faults")
_ROOT = Path(__file__).parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> scheduling.ByEngines:
    return scheduling.ByEngines(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Of what several processes find the scheduler looks at the names, as what they raise is not shown.
    if not hasattr(config, "workerinput"):
        scheduling.refuse_twins(item.nodeid for item in items)


@pytest.fixture(autouse=True)
def _sockets(request: pytest.FixtureRequest) -> None:
    folder = request.path.relative_to(_ROOT).parts[0]
    if folder in _OPEN:
        enable_socket()
    else:
        disable_socket(allow_unix_socket=True)


@pytest.fixture(scope="module", autouse=True)
def _made_anew() -> Iterator[None]:
    """Each module has engines of its own, and what was made for those of another would ask engines that are gone."""
    yield
    wired.forget()
