"""The template by the tools of others: its syntax, what AWS would refuse, and what it leaves open."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from infra.local import surroundings, tools
from infra.local.paths import ROOT

CONFIGURATION = ROOT / ".checkov.yaml"


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = surroundings.clean(SAM_CLI_TELEMETRY="0", AWS_DEFAULT_REGION=surroundings.REGION)
    command = [str(python), *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def scanner() -> Path:
    return tools.environment("scan")


def test_cfn_lint_has_nothing_to_say(scanner: Path) -> None:
    done = run(scanner, str(scanner.with_name("cfn-lint")), "template.yaml")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_sam_takes_it_for_valid() -> None:
    done = run(tools.environment("sam"), "-m", "samcli", "validate", "--lint", "--template-file", "template.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_security_scan_finds_nothing_that_is_not_explained(scanner: Path) -> None:
    asked = ("--file", "template.yaml", "--config-file", str(CONFIGURATION), "--output", "json")
    done = run(scanner, "-m", "checkov.main", *asked)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    # It was read at all: an unreadable file has no finding either.
    told = json.loads(done.stdout)["summary"]
    assert (told["failed"], told["parsing_errors"]) == (0, 0)
    assert told["passed"] > 10


def test_each_finding_that_stands_has_its_reason() -> None:
    lines = CONFIGURATION.read_text().splitlines()
    skipped = [place for place, line in enumerate(lines) if re.fullmatch(r"  - CKV\w+", line)]
    assert skipped
    assert all(lines[place - 1].startswith("  # ") for place in skipped)
