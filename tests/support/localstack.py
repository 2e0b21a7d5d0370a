"""LocalStack without Docker: the last free release, in an environment of its own, for the services that it has so."""

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from infra.local import ports, surroundings, tools
from infra.local.commands import tethered
from tests.support.polling import until

SERVICES = ("cloudwatch", "secretsmanager", "sns", "sqs", "ssm")
# What its code asks for, whatever its package says.
PYTHON = "python3.13"
REQUIRE_LOCALSTACK = "WEIR_REQUIRE_LOCALSTACK"
# Three processes may start engines at once.
_START_SECONDS = 240


@cache
def localstack() -> str:
    """Its URL: one server for all the tests of this process, which ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="localstack-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = f"{ports.HOST}:{ports.choose(0, set())}"
    settings = {
        "GATEWAY_LISTEN": address,
        "LOCALSTACK_HOST": address,
        "SERVICES": ",".join(SERVICES),
        "STRICT_SERVICE_LOADING": "1",
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    python = tools.environment("localstack", interpreter=newer_python())
    with (folder / "localstack.log").open("wb") as log:
        process = subprocess.Popen(
            tethered([str(python), "-m", "localstack.runtime.main"]),
            env=surroundings.clean(**settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    atexit.register(process.kill)
    until(lambda: _ready(address), _START_SECONDS, "LocalStack")
    return f"http://{address}"


def newer_python() -> str:
    """A Python that LocalStack's code can be read by, newer than this one. Where there is none this skips, or fails
    where it was promised."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(PYTHON), *map(str, sorted(pyenv.glob(f"*/bin/{PYTHON}")))]
    for candidate in filter(None, candidates):
        # A shim of pyenv may be there and yet run nothing.
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    if os.environ.get(REQUIRE_LOCALSTACK):
        pytest.fail(f"LocalStack must run here and cannot: there is no {PYTHON}")
    pytest.skip(f"LocalStack needs {PYTHON}, and it is not here")


def _ready(address: str) -> bool:
    try:
        with urlopen(f"http://{address}/_localstack/health", timeout=2) as answer:
            told = json.load(answer)["services"]
            return all(told[name] in {"available", "running"} for name in SERVICES)
    except (URLError, OSError):
        return False
