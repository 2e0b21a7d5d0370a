"""SAM's own command line, as a person types it: `sam build`, `sam deploy`, `sam local start-api` and `invoke`."""

import json
import os
import signal
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local import ports, state, surroundings, tools
from infra.local.commands import tethered
from infra.local.paths import ROOT
from tests.support.polling import until

REQUIRE_DOCKER = "WEIR_REQUIRE_DOCKER"
_START_SECONDS = 120
_COMMAND_SECONDS = 180


def needs_docker() -> None:
    """Skip where no Docker answers, and say so; fail where it was promised."""
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False, timeout=30)
        problem = done.stderr.strip()[-200:] if done.returncode else ""
    except OSError as error:
        problem = str(error)
    if problem and os.environ.get(REQUIRE_DOCKER):
        pytest.fail(f"Docker must answer here and does not: {problem}")
    if problem:
        pytest.skip(f"Docker does not answer, and `sam local` needs it: {problem}")


def surrounding(**more: str) -> dict[str, str]:
    """The environment of SAM's command line: no account of this machine's, no news to its makers."""
    return surroundings.clean(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        SAM_CLI_TELEMETRY="0",
        **more,
    )


@cache
def sam() -> str:
    """The program, in an environment of its own."""
    return str(tools.environment("sam").with_name("sam"))


def run(*arguments: str, **variables: str) -> str:
    """What a command wrote to stdout; fails when the command does."""
    return _run(*arguments, **variables).stdout


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sam(), *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=surrounding(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-4000:])
    return done


def docker(*arguments: str) -> str:
    """What Docker says, on either of its outputs."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return (done.stdout + done.stderr if arguments[0] == "logs" else done.stdout).strip()


@cache
def build() -> None:
    """`sam build`, once for all the processes that share a run of the tests: functions at work are mounted from it."""
    testrun = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    built = ROOT / ".aws-sam/testrun"
    with state.alone(ROOT / ".aws-sam/testrun.lock"):
        if not built.exists() or built.read_text() != testrun:
            run("build")
            built.write_text(testrun)


def invoke(function: str, event: str, variables: Path) -> Any:
    """What a function answers to a sample event."""
    return invoked(function, event, variables)[0]


def invoked(function: str, event: str, variables: Path) -> tuple[Any, str]:
    """What a function answers to a sample event, and what it logs."""
    options = ["--skip-pull-image", "--env-vars", str(variables)]
    done = _run("local", "invoke", function, "--event", f"events_samples/aws/{event}", *options)
    return json.loads(done.stdout), done.stderr


class StartApi:
    """`sam local start-api` on a port of its own, until it is stopped."""

    def __init__(self, variables: Path, log: Path) -> None:
        self._port = ports.choose(0, set())
        self.url = f"http://{ports.HOST}:{self._port}"
        self._log = log
        options = ["--skip-pull-image", "--port", str(self._port), "--env-vars", str(variables)]
        self._command = tethered([sam(), "local", "start-api", *options])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=surrounding(), stdout=log, stderr=log)
        until(self._answers, _START_SECONDS, "sam local start-api")

    def stop(self) -> None:
        """As Ctrl-C: SAM then removes its containers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=_COMMAND_SECONDS)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-3000:]
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False
