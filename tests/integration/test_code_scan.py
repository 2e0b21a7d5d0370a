"""The code and what it is made with, by the tools of others: what is unsafe, secrets, withdrawn and holed packages.

Each in CI as a test, over the same tool environment as the scans of the template (test_template_scan.py).
"""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from infra.local import surroundings, tools
from infra.local.paths import ROOT, tool

pytestmark = pytest.mark.engines

LOCKED = sorted((ROOT / "requirements").glob("*.txt"))
# Advisories that stand, each with its reason and where it stands: {"GHSA-…": "…"}.
KNOWN_HOLES: dict[str, str] = {}
BASELINE = ROOT / ".secrets.baseline"
# Locked hashes and generated documents hold nothing that anybody wrote.
GENERATED = r"^requirements/.*\.txt$|^docs/openapi\.json$|^\.secrets\.baseline$|^events_samples/web-log/"
# In tests words such as password are made up, and so are the values beside them: only real formats are looked for.
BY_GUESS = ("KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString", "BasicAuthDetector")


@pytest.fixture(scope="module")
def scanner() -> Path:
    return tools.environment("scan")


def run(command: list[str], seconds: float = 900) -> subprocess.CompletedProcess[str]:
    environment = {**surroundings.clean(), "NO_COLOR": "1"}
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds
    )


def test_bandit_finds_nothing_that_is_not_explained(scanner: Path) -> None:
    options = ("-q", "-c", "pyproject.toml", "-f", "json", "-r", "functions", "schemas", "infra")
    done = run([str(scanner.with_name("bandit")), *options])
    told = json.loads(done.stdout)
    assert told["metrics"]["_totals"]["loc"] > 10_000, "it read the code"
    assert told["errors"] == []
    found = [f"{one['filename']}:{one['line_number']} {one['test_id']}" for one in told["results"]]
    assert (done.returncode, found) == (0, [])


def test_what_bandit_leaves_out_is_held_to_line_by_line_by_the_linter_or_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    configured = tomllib.loads(text)["tool"]
    linter = configured["ruff"]["lint"]
    assert "S" in linter["select"]
    section = text.partition("[tool.bandit]")[2].partition("\n[")[0]
    for skipped in configured["bandit"]["skips"]:
        by_the_linter = f"S{skipped[1:]}" not in linter["ignore"]
        reason = re.search(rf'^# .*{skipped}|"{skipped}",  # ', section, re.MULTILINE)
        assert by_the_linter or reason, skipped


def secrets(scanner: Path, *options: str) -> set[tuple[str, str, str]]:
    """What looks like a secret: in which file, which kind, and its hash. Lines move, and are left out."""
    command = [str(scanner.with_name("detect-secrets")), "scan", "--exclude-files", GENERATED, *options]
    done = run(command)
    assert done.returncode == 0, done.stderr[-2000:]
    return listed(json.loads(done.stdout))


def listed(told: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(file, one["type"], one["hashed_secret"]) for file, all_ in told["results"].items() for one in all_}


def test_no_secret_is_in_the_code(scanner: Path) -> None:
    found = secrets(scanner, "--exclude-files", "^tests/|^events_samples/")
    new = {(file, kind) for file, kind, _ in found - listed(json.loads(BASELINE.read_text()))}
    assert not new, "if none of it is a secret: detect-secrets scan --baseline .secrets.baseline, and say so there"


def test_no_secret_is_in_a_test_or_a_sample(scanner: Path) -> None:
    guessing = [option for plugin in BY_GUESS for option in ("--disable-plugin", plugin)]
    assert not secrets(scanner, *guessing) - listed(json.loads(BASELINE.read_text()))


def test_each_entry_of_the_baseline_was_looked_at() -> None:
    entries = [one for all_ in json.loads(BASELINE.read_text())["results"].values() for one in all_]
    assert all(one["is_secret"] is False for one in entries)


@pytest.mark.parametrize("file", LOCKED, ids=lambda path: path.stem)
def test_no_locked_package_was_withdrawn(file: Path, tmp_path: Path) -> None:
    """By the registry's own word: each version is there, has the hash that is locked, and was not yanked."""
    command = [tool("uv"), "pip", "install", "--dry-run", "--no-deps", "--require-hashes", "--target", str(tmp_path)]
    done = run([*command, "--python", tool("python"), "-r", str(file)])
    assert done.returncode == 0, done.stderr[-2000:]
    assert "yanked" not in done.stderr


def audited(scanner: Path, file: Path) -> list[dict[str, Any]]:
    """What the advisories say of a file's packages."""
    options = ("--disable-pip", "--no-deps", "--progress-spinner", "off", "-f", "json", "-r", str(file))
    done = run([str(scanner.with_name("pip-audit")), *options])
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return []
    return found


@pytest.fixture(scope="module")
def advisories(scanner: Path) -> None:
    """Skip where nobody can be asked; CI that can be sure of the network says WEIR_REQUIRE_ADVISORIES=1."""
    probe = audited(scanner, ROOT / "requirements" / "uv.txt")
    if probe and not any("skip_reason" in one for one in probe):
        return
    if os.environ.get("WEIR_REQUIRE_ADVISORIES"):
        pytest.fail("the service that knows of holes in packages cannot be reached")
    pytest.skip("the service that knows of holes in packages cannot be reached: only withdrawn ones were looked for")


@pytest.mark.usefixtures("advisories")
@pytest.mark.parametrize("file", LOCKED, ids=lambda path: path.stem)
def test_no_locked_package_has_a_known_hole(scanner: Path, file: Path) -> None:
    found = audited(scanner, file)
    assert found
    holes = {
        f"{one['name']} {one['version']}: {hole['id']}"
        for one in found
        for hole in one.get("vulns", ())
        if hole["id"] not in KNOWN_HOLES
    }
    assert not holes
