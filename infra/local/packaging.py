"""`python -m infra.local.packaging STAGE FOLDER`: put into a folder what one function imports, and no more.

The dependencies of a stage are installed once for each content of its requirement file, below `.weir/build`;
our own code is laid beside them on every build.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.local.paths import ROOT, tool

STAGES = ("collect", "enrich", "serve")
# Amazon Linux 2, under Lambda's python3.11, has an older C library than most wheels of today ask for.
LAMBDA_PLATFORM = "x86_64-manylinux2014"
PLATFORM_VARIABLE = "WEIR_BUILD_PLATFORM"
# Chalice's command line asks for botocore, inquirer, pip and more; its runtime is these two files.
_CHALICE_RUNTIME = {"__init__.py", "app.py", "py.typed"}
# Its wheel holds the sources that were compiled.
_QUESTDB_RUNTIME = {".py", ".so", ".typed"}
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "Makefile", "tests")
# wait=stored answers with the event as serve shows it.
_ALSO = {"collect": ("functions/serve",)}
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==")


def build(stage: str, folder: Path, root: Path = ROOT) -> None:
    """Lay the stage's dependencies and our own code into the folder, compiled."""
    if stage not in STAGES:
        raise SystemExit(f"there is no function {stage!r}, only {', '.join(STAGES)}")
    dependencies = install_dependencies(stage, root)
    shutil.copytree(dependencies, folder, dirs_exist_ok=True)
    copy_code(stage, folder, root)


def parts(stage: str) -> tuple[str, ...]:
    """The folders of our own code that a stage's package holds."""
    return (f"functions/{stage}", *_ALSO.get(stage, ()), "functions/shared", "schemas")


def copy_code(stage: str, folder: Path, root: Path = ROOT) -> None:
    """Replace our own code in the folder by what the checkout holds now."""
    for name in ("functions", "schemas"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for part in parts(stage):
        shutil.copytree(root / part, folder / part, ignore=_LEFT_OUT)
    shutil.copy2(root / "functions/__init__.py", folder / "functions/__init__.py")
    for name in ("functions", "schemas"):
        _compile(folder / name)


def install_dependencies(stage: str, root: Path = ROOT) -> Path:
    """The folder with the stage's installed dependencies; made when there is none for this requirement file."""
    requirements = root / "requirements" / f"{stage}.txt"
    platform = os.environ.get(PLATFORM_VARIABLE) or LAMBDA_PLATFORM
    text = needed(requirements.read_text())
    key = hashlib.sha256(f"{platform}\n{sys.version}\n{text}".encode()).hexdigest()[:16]
    shelf = root / ".weir" / "build"
    target = shelf / f"{stage}-{key}"
    if target.is_dir():
        return target
    shelf.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shelf, prefix=f"{stage}-") as temporary:
        fresh = Path(temporary) / "packages"
        _install(text, fresh, platform)
        _trim(fresh)
        _compile(fresh)
        _drop_older(shelf, stage)
        fresh.rename(target)
    return target


def needed(requirements: str) -> str:
    """The locked requirements without those that only Chalice's command line asks for.

    Each block of a file locked by uv ends with the names that asked for it (`# via chalice`).
    """
    blocks = _blocks(requirements)
    askers = {name: _askers(block) for name, block in blocks.items()}
    kept = {name for name, by in askers.items() if not by or any(asker.startswith("-r ") for asker in by)}
    while True:
        more = {name for name, by in askers.items() if name not in kept and by & (kept - {"chalice"})}
        if not more:
            return "\n".join(blocks[name] for name in blocks if name in kept) + "\n"
        kept |= more


def _blocks(requirements: str) -> dict[str, str]:
    """The lines of each requirement, by its name."""
    blocks: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in requirements.splitlines():
        if match := _REQUIREMENT.match(line):
            lines = blocks.setdefault(match[1], [])
        lines.append(line)
    return {name: "\n".join(lines) for name, lines in blocks.items()}


def _askers(block: str) -> set[str]:
    comments = [line.strip().removeprefix("#").strip() for line in block.splitlines() if line.strip().startswith("#")]
    return {comment.removeprefix("via").strip() for comment in comments} - {""}


def _install(requirements: str, target: Path, platform: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements)
        file.flush()
        command = [tool("uv"), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        command += ["--python", sys.executable, "--target", str(target), "-r", file.name]
        if platform != "native":
            command += ["--python-platform", platform]
        subprocess.run(command, check=True)


def _trim(packages: Path) -> None:
    """Leave out command lines, and all of Chalice and of QuestDB's client that a function never loads."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for entry in (packages / "questdb").glob("*"):
        if entry.suffix not in _QUESTDB_RUNTIME:
            entry.unlink()
    for entry in (packages / "chalice").glob("*"):
        if entry.name not in _CHALICE_RUNTIME:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _compile(folder: Path) -> None:
    """Compile ahead: a package is unpacked anew for each worker, which would else compile all it imports."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, invalidation_mode=mode, stripdir=str(folder.parent), workers=1)


def _drop_older(shelf: Path, stage: str) -> None:
    for old in shelf.glob(f"{stage}-" + "[0-9a-f]" * 16):
        shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    build(sys.argv[1], Path(sys.argv[2]))


if __name__ == "__main__":
    main()
