"""What goes into a function's package."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.packaging import STAGES, copy_code, needed
from infra.local.paths import ROOT

LOCKED = """\
alpha==1.0 \\
    --hash=sha256:aa
    # via -r collect.in
botocore==1.0 \\
    --hash=sha256:bb
    # via chalice
chalice==1.0 \\
    --hash=sha256:cc
    # via -r collect.in
jmespath==1.0 \\
    --hash=sha256:dd
    # via
    #   alpha
    #   botocore
urllib3==2.0 \\
    --hash=sha256:ee
    # via botocore
"""


def test_what_only_chalices_command_line_asks_for_is_left_out() -> None:
    kept = needed(LOCKED)
    assert [line.split("==")[0] for line in kept.splitlines() if "==" in line] == ["alpha", "chalice", "jmespath"]
    assert "--hash=sha256:dd" in kept


@pytest.mark.parametrize("stage", STAGES)
def test_the_locked_files_say_who_asked_for_what(stage: str) -> None:
    kept = needed((ROOT / "requirements" / f"{stage}.txt").read_text())
    assert "chalice==" in kept
    assert "pydantic==" in kept
    assert "botocore==" not in kept
    assert "pip==" not in kept


def test_a_package_holds_its_own_stage_and_what_is_shared(tmp_path: Path) -> None:
    copy_code("collect", tmp_path)
    assert {path.name for path in (tmp_path / "functions").iterdir()} >= {"collect", "shared", "__init__.py"}
    assert not (tmp_path / "functions" / "enrich").exists()
    assert (tmp_path / "schemas" / "event.py").exists()
    assert list((tmp_path / "schemas" / "__pycache__").glob("event.*.pyc"))


def test_code_that_went_away_does_not_stay(tmp_path: Path) -> None:
    stale = tmp_path / "functions" / "collect" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    copy_code("collect", tmp_path)
    assert not stale.exists()


@pytest.mark.parametrize(
    ("stage", "modules"),
    [
        ("collect", "functions.serve.views, functions.serve.service"),
        ("measure", "functions.measure.schedule, functions.measure.service, functions.measure.judging.judge"),
        ("serve", "functions.serve.views, functions.serve.analytics_views, functions.serve.analytics"),
    ],
)
def test_a_package_holds_all_that_is_imported_where_events_are_read(tmp_path: Path, stage: str, modules: str) -> None:
    copy_code(stage, tmp_path)
    told = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {modules}; print(functions.__file__)"
    done = subprocess.run([sys.executable, "-c", told], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(str(tmp_path))
