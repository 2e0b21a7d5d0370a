"""What the README and the first run tell a user to type works as it stands, but for the port."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.cli.first_run import next_steps
from infra.local import surroundings
from infra.local.paths import ROOT
from infra.local.stack import Stack
from tests.support.keys import bearer

BASE_URL = "http://127.0.0.1:3000"
README_TEXT = (ROOT / "README.md").read_text()
README = [line for line in README_TEXT.splitlines() if line.startswith("curl ")]
TRUST = README_TEXT.partition("## Trust it")[2].split("```")[1].strip()
PRINTED = [line.strip() for line in next_steps(BASE_URL).splitlines() if line.strip().startswith("curl ")]


def typed(line: str, base_url: str = BASE_URL) -> Any:
    """The JSON that a line's command prints; fails on any status but a good one."""
    command = shlex.split(line.replace(BASE_URL, base_url))
    assert command[0] == "curl"
    options = ["--silent", "--show-error", "--fail-with-body", "--max-time", "30"]
    done = subprocess.run(["curl", *options, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return json.loads(done.stdout)


def test_there_are_eight_and_five() -> None:
    assert (len(README), len(PRINTED)) == (8, 5)


@pytest.mark.parametrize("lines", [README, PRINTED], ids=["README", "first run"])
def test_each_line_answers_and_the_bad_event_of_the_batch_is_named(lines: list[str], stack: Stack) -> None:
    answers = [typed(line, stack.base_url) for line in lines]
    assert all(isinstance(answer, dict) and answer for answer in answers)
    batches = [answer for answer in answers if isinstance(answer, dict) and "rejected" in answer]
    assert [(batch["received"], batch["rejected"]) for batch in batches] == [(2, 1)]


def test_the_lines_on_trust_end_with_a_balance_and_a_receipt(stack: Stack, tmp_path: Path) -> None:
    """As one script. Only where `weir` looks for the stack is told."""
    # The keys were looked at just now, as by whoever typed the lines before.
    assert httpx.post(f"{stack.base_url}/api/v1/events", headers=bearer("wk_nobody"), json={}).status_code == 401
    clickhouse = stack.running["clickhouse"].pid
    script = TRUST.replace("weir status --pid clickhouse", f"echo {clickhouse}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {**stack.variables(), **surroundings.aws(stack.emulator_url)}
    variables = {**os.environ, **own, "WEIR_URL": stack.base_url, "PATH": path}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    before, after = re.findall(r"^hour +((?:not )?balanced: .*)$", done.stdout, re.MULTILINE)
    assert re.search(r" [1-9][\d,]* stored \+ [1-9][\d,]* failed ", before), done.stdout
    assert re.search(r"^balanced: .* \+ 0 in flight$", after), done.stdout
    # A line above sends a bad event of that name as well.
    assert re.search(r"sent ([12]), stored \1, failed again 0", done.stdout), done.stdout + done.stderr
    receipt = (tmp_path / "receipt.txt").read_text()
    assert re.search(r"^raw_events +2 +0$", receipt, re.MULTILINE), receipt
    assert re.search(r"^[1-9][\d,]* received = ", done.stdout, re.MULTILINE), done.stdout
    assert done.stdout.rstrip().endswith("everything is where the ledger says")


def test_the_readme_names_the_two_commands_that_the_makefile_has() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"^make (\w+)", README_TEXT, re.MULTILINE))
    assert named == {"run", "test"}
    assert all(re.search(rf"^{name}:", makefile, re.MULTILINE) for name in named)
