"""The README's section on development as a person follows it: a checkout, two shells, the ports as they stand.

The one word that is added is the section's own: --skip-pull-image, so that no registry is asked.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local import ports
from infra.local.commands import tethered
from infra.local.functions import client
from infra.local.paths import ROOT
from infra.local.stack import FRONT_DOOR_PORT, PREFERRED
from tests.e2e.test_readme import BASE_URL, README, README_TEXT, typed
from tests.support import sam_local
from tests.support.keys import bearer
from tests.support.polling import until

SECTION = README_TEXT.partition("## Develop on it")[2].partition("\n## ")[0]
LINES = [line.partition("#")[0].strip() for line in SECTION.split("```")[1].strip().splitlines()]
_MAKES = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
UP = ".venv/bin/weir up --engines-only"
START_API = "sam local start-api"
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".weir", ".aws-sam", "__pycache__", ".*_cache")
# What was installed for this checkout serves for its copy.
INSTALLED = ("tools", "build")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that nothing is mixed with the data of who runs the tests."""
    copy = tmp_path_factory.mktemp("readme") / "weir"
    shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    (copy / ".weir/geo").mkdir(parents=True)
    # The stack fetches the databases where there is none.
    shutil.copy(ROOT / "tests/data/GeoIP2-City-Test.mmdb", copy / ".weir/geo")
    for name in INSTALLED:
        (ROOT / ".weir" / name).mkdir(parents=True, exist_ok=True)
        (copy / ".weir" / name).symlink_to(ROOT / ".weir" / name)
    return copy


class Shell:
    """A shell in the checkout, with SAM's command line on its PATH."""

    def __init__(self, checkout: Path, **variables: str) -> None:
        self._checkout, self._path = checkout, ""
        surrounding = sam_local.surrounding(**variables)
        # Whoever starts the tests by make is no reason for the shell's own make to speak of another.
        self._environment = {name: value for name, value in surrounding.items() if name not in _MAKES}
        self._path = self.run("make sam").strip().splitlines()[-1]

    def export(self, lines: str) -> None:
        """Take variables, as a person who pastes them."""
        self._path += "\n" + lines

    def run(self, line: str) -> str:
        """What a line prints, once it has ended well."""
        done = subprocess.run(**self._typed(line), capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, (line, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout

    def _typed(self, line: str) -> dict[str, Any]:
        command = tethered(["bash", "-c", f"{self._path}\n{line}"])
        return {"args": command, "cwd": self._checkout, "env": self._environment, "stdin": subprocess.DEVNULL}

    @contextmanager
    def foreground(self, line: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A line that goes on until Ctrl-C, which is what ends it here."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                **self._typed(f"exec {line}"), stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield process
        finally:
            ctrl_c(process)
        told = log.read_text()
        assert process.returncode == 0, told[-3000:]
        # Lambda's own client in a container that is ended may show a trace of itself, and only that.
        assert not [code for code in (self._checkout, ROOT, "/var/task") if f'File "{code}/' in told], told


def ctrl_c(process: subprocess.Popen[bytes]) -> None:
    """As a terminal: to all that runs in its foreground."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=90)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def running(process: subprocess.Popen[bytes], log: Path, sign: str) -> bool:
    """Whether a line that goes on has said so."""
    assert process.poll() is None, log.read_text()[-3000:]
    return sign in log.read_text()


def containers_of(checkout: Path) -> list[str]:
    """The containers that have something of the checkout mounted."""
    found = sam_local.docker("ps", "--quiet").split()
    return [one for one in found if str(checkout) in sam_local.docker("inspect", one)]


def test_the_section_is_these_lines() -> None:
    assert UP in " ".join(SECTION.split())
    assert "`make sam`" in SECTION
    assert "--skip-pull-image" in SECTION
    assert LINES == [
        "sam build",
        START_API,
        "sam local invoke DrainFunction --event events_samples/aws/schedule.json",
        "sam local invoke MeasureFunction --event events_samples/aws/schedule.json",
        "sam validate --lint",
        "sam deploy --config-env local",
    ]


@pytest.mark.timeout(900)
def test_the_lines_do_as_they_stand_what_they_say_and_ctrl_c_ends_what_goes_on(checkout: Path, tmp_path: Path) -> None:
    sam_local.needs_docker()
    taken = {port: ports.holder(port) for port in PREFERRED.values() if not ports.is_free(port)}
    if taken:
        told = f"the README's lines are of ports that others have here: {taken}"
        (pytest.fail if os.environ.get(sam_local.REQUIRE_DOCKER) else pytest.skip)(told)
    build, start_api, drain, measure, validate, deploy = (
        f"{line} --skip-pull-image" if line.startswith("sam local") else line for line in LINES
    )
    # The program is this checkout's; the code that it is to run is the copy's.
    first, second = Shell(checkout, PYTHONPATH=str(checkout)), Shell(checkout)
    up_log, api_log = tmp_path / "up.log", tmp_path / "start_api.log"
    with first.foreground(UP, up_log) as up:
        second.run(build)
        until(lambda: running(up, up_log, "export AWS_ENDPOINT_URL="), 120, "the engines")
        second.export("\n".join(re.findall(r"^export .*$", up_log.read_text(), re.MULTILINE)))
        with second.foreground(start_api, api_log) as api:
            until(lambda: running(api, api_log, f"Running on {BASE_URL}"), 120, "the API")
            assert all(isinstance(typed(line), dict) for line in README)
            drained = json.loads(second.run(drain))
            assert (drained["state"], drained["counts"]["events"]) == ("empty", 3), drained
            [home] = typed(README[2])["events"]
            assert home["event_id"]
        until(lambda: ports.is_free(FRONT_DOOR_PORT), 10, "a free port after Ctrl-C")
        assert containers_of(checkout) == []
        assert json.loads(second.run(measure))["state"] == "done"
        assert "is a valid SAM Template" in second.run(validate)
        second.run(deploy)
        assert _posted_to_what_was_deployed(up_log.read_text()) == 202
    until(lambda: all(map(ports.is_free, PREFERRED.values())), 20, "free ports after Ctrl-C")


def _posted_to_what_was_deployed(told: str) -> int:
    endpoint = re.findall(r"^export AWS_ENDPOINT_URL=(\S+)$", told, re.MULTILINE)[0]
    [stack] = client("cloudformation", endpoint).describe_stacks(StackName="weir")["Stacks"]
    api = next(one["OutputValue"] for one in stack["Outputs"] if one["OutputKey"] == "ApiId")
    event = {"event_type": "t", "event_name": "n", "platform": "p"}
    url = f"{endpoint}/_aws/execute-api/{api}/local/api/v1/events"
    return httpx.post(url, json=event, headers=bearer("wk_local"), timeout=60).status_code
