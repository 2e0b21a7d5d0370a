"""Sockets are closed everywhere but in the folders whose tests start real engines themselves."""

from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket

_OPEN = ("contract", "integration", "e2e")
_ROOT = Path(__file__).parent


@pytest.fixture(autouse=True)
def _sockets(request: pytest.FixtureRequest) -> None:
    folder = request.path.relative_to(_ROOT).parts[0]
    if folder in _OPEN:
        enable_socket()
    else:
        disable_socket(allow_unix_socket=True)
