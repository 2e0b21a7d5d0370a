"""`python -m infra.local.packaging STAGE FOLDER`: put into a folder what one function imports, and no more.

`EVENT_SOURCE` instead of a stage is what the event source's container imports.

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
from collections.abc import Mapping
from pathlib import Path

from infra.local import exchanges, state
from infra.local.paths import ROOT, tool

STAGES = ("collect", "enrich", "measure", "serve")
EVENT_SOURCE = "event_source"
# Amazon Linux 2, under Lambda's python3.11, has an older C library than most wheels of today ask for.
LAMBDA_PLATFORM = "x86_64-manylinux2014"
PLATFORM_VARIABLE = "WEIR_BUILD_PLATFORM"
# Chalice's command line asks for botocore, inquirer, pip and more; its runtime is these two files.
_CHALICE_RUNTIME = {"__init__.py", "app.py", "py.typed"}
# What of a dependency no function loads, by package: globs, and what of that stays. It is half of collect's package.
_NEVER_LOADED: Mapping[str, tuple[str, ...]] = {
    "aws_lambda_powertools": ("event_handler", "utilities/*"),
    # ClickHouse's client has lz4, and takes that.
    "backports": ("*",),
    "bin": ("*",),
    "clickhouse_connect": ("cc_sqlalchemy", "dbapi"),
    "lz4": ("block",),
    "numpy": ("**/tests", "_pyinstaller", "distutils", "f2py"),
    "packaging": ("[a-uw-z]*.py", "licenses"),
    "pydantic": ("v1", "mypy.py"),
    "urllib3": ("contrib/emscripten",),
    # Faster, and of use to who decorates in a loop.
    "wrapt": ("_wrappers*.so",),
    "redis": tuple(f"commands/{module}" for module in ("bf", "graph", "json", "search", "timeseries", "vectorset")),
}
_STAYS = {"__init__.py", "jmespath_utils"}
# The list of hashes by which an installer would remove a package.
_UNREAD = {"RECORD"}
# Sources that were compiled, and what only type checkers read.
_SOURCES = {".c", ".cpp", ".h", ".md", ".pxd", ".pxi", ".pyi", ".pyx"}
_LEFT_OUT = ("__pycache__", "*.pyc", "Makefile", "tests")
# Serve tells of what measure did and is to do; wait=stored answers with the event as serve shows it; measure takes the
# broker's tallies to the ledger by what enrich writes it with.
_READING = ("functions/serve", "functions/measure")
_ALSO = {"collect": _READING, "measure": ("functions/enrich",), "serve": _READING[1:]}
# What events are held to, which enrich alone does.
_OF_ENRICH = ("owned", "registry")
# Collect shows an event as serve does, and neither describes the API nor judges series.
_NOT_OF_COLLECT = ("anomalies", "openapi")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==")


def build(stage: str, folder: Path, root: Path = ROOT) -> None:
    """Lay the stage's dependencies and our own code into the folder, compiled."""
    if stage not in (*STAGES, EVENT_SOURCE):
        raise SystemExit(f"there is no function {stage!r}, only {', '.join(STAGES)} (and {EVENT_SOURCE})")
    dependencies = install_dependencies(stage, root)
    shutil.copytree(dependencies, folder, dirs_exist_ok=True)
    copy_code(stage, folder, root)


def parts(stage: str) -> tuple[str, ...]:
    """The folders of our own code that a stage's package holds."""
    if stage == EVENT_SOURCE:
        return ("infra/nats", "functions/shared", "schemas")
    return (f"functions/{stage}", *_ALSO.get(stage, ()), "functions/shared", "schemas")


def copy_code(stage: str, folder: Path, root: Path = ROOT) -> None:
    """Replace our own code in the folder by what the checkout holds now."""
    names = sorted({part.split("/")[0] for part in parts(stage)})
    for name in names:
        shutil.rmtree(folder / name, ignore_errors=True)
    others = (() if stage == "enrich" else _OF_ENRICH) + (_NOT_OF_COLLECT if stage == "collect" else ())
    left_out = shutil.ignore_patterns(*_LEFT_OUT, *others)
    for part in parts(stage):
        shutil.copytree(root / part, folder / part, ignore=left_out)
    for name in names:
        shutil.copy2(root / name / "__init__.py", folder / name / "__init__.py")
        _compile(folder / name)


def install_dependencies(stage: str, root: Path = ROOT) -> Path:
    """The folder with the stage's installed dependencies; made when there is none for this requirement file."""
    requirements = root / "requirements" / f"{stage}.txt"
    platform = os.environ.get(PLATFORM_VARIABLE) or LAMBDA_PLATFORM
    text = needed(requirements.read_text())
    ours = "".join(Path(module).read_text() for module in (__file__, exchanges.__file__))
    told = f"{platform}\n{sys.version}\n{ours}\n{text}"
    key = hashlib.sha256(told.encode()).hexdigest()[:16]
    shelf = root / ".weir" / "build"
    target = shelf / f"{stage}-{key}"
    shelf.mkdir(parents=True, exist_ok=True)
    # Two functions may be of one stage, and SAM builds them side by side.
    with state.alone(shelf / f"{stage}.lock"):
        if not target.is_dir():
            _make(text, stage, platform, target)
    return target


def _make(text: str, stage: str, platform: str, target: Path) -> None:
    shelf = target.parent
    with tempfile.TemporaryDirectory(dir=shelf, prefix=f"{stage}-") as temporary:
        fresh = Path(temporary) / "packages"
        _install(text, fresh, platform)
        _trim(fresh)
        exchanges.exchange(fresh)
        _compile(fresh)
        _drop_older(shelf, stage)
        fresh.rename(target)


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
    """Leave out what a function never loads: command lines, sources, and parts of packages."""
    for name, patterns in _NEVER_LOADED.items():
        for entry in [one for pattern in patterns for one in (packages / name).glob(pattern)]:
            if entry.name not in _STAYS:
                _remove(entry)
    for entry in (packages / "chalice").glob("*"):
        if entry.name not in _CHALICE_RUNTIME:
            _remove(entry)
    for entry in packages.rglob("*"):
        if (entry.suffix in _SOURCES or entry.name in _UNREAD) and entry.is_file():
            entry.unlink()


def _remove(entry: Path) -> None:
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
