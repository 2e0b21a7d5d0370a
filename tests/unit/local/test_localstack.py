"""Whether LocalStack's tests run: they need a newer Python, and say so where there is none."""

from pathlib import Path

import pytest

from tests.support.localstack import PYTHON, REQUIRE_LOCALSTACK, newer_python


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that is looked in, with nothing in it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.delenv(REQUIRE_LOCALSTACK, raising=False)
    return tmp_path


def program(path: Path, status: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return str(path)


def test_without_a_newer_python_they_skip(folder: Path) -> None:
    program(folder / PYTHON, 127)
    with pytest.raises(pytest.skip.Exception, match=PYTHON):
        newer_python()


def test_where_it_was_promised_they_fail(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_LOCALSTACK, "1")
    with pytest.raises(pytest.fail.Exception, match=PYTHON):
        newer_python()


def test_one_that_runs_is_taken_before_one_that_does_not(folder: Path) -> None:
    program(folder / PYTHON, 127)
    kept = program(folder / "pyenv" / "versions" / "3.13.0" / "bin" / PYTHON, 0)
    assert newer_python() == kept
