"""What the README and the first run tell a user to type works as it stands, but for the port."""

import json
import re
import shlex
import subprocess

import pytest

from infra.cli.first_run import next_steps
from infra.local.paths import ROOT
from infra.local.stack import Stack

BASE_URL = "http://127.0.0.1:3000"
README = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("curl ")]
PRINTED = [line.strip() for line in next_steps(BASE_URL).splitlines() if line.strip().startswith("curl ")]


def typed(line: str, stack: Stack) -> object:
    """The JSON that a line's command prints; fails on any status but a good one."""
    command = shlex.split(line.replace(BASE_URL, stack.base_url))
    assert command[0] == "curl"
    options = ["--silent", "--show-error", "--fail-with-body", "--max-time", "20"]
    done = subprocess.run(["curl", *options, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return json.loads(done.stdout)


def test_there_are_five_of_each() -> None:
    assert (len(README), len(PRINTED)) == (5, 5)


@pytest.mark.parametrize("lines", [README, PRINTED], ids=["README", "first run"])
def test_each_line_answers_and_the_bad_event_of_the_batch_is_named(lines: list[str], stack: Stack) -> None:
    answers = [typed(line, stack) for line in lines]
    assert all(isinstance(answer, dict) and answer for answer in answers)
    batches = [answer for answer in answers if isinstance(answer, dict) and "rejected" in answer]
    assert [(batch["received"], batch["rejected"]) for batch in batches] == [(2, 1)]


def test_the_readme_names_the_two_commands_that_the_makefile_has() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named == {"run", "test"}
    assert all(re.search(rf"^{name}:", makefile, re.MULTILINE) for name in named)
