"""Everything at once: no process of the stack lives on, nor does a command that was at work."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.cli.importing.identity import line_id
from infra.cli.importing.run import FOLDER
from infra.cli.importing.sending import BATCH_EVENTS
from infra.local.paths import ROOT
from tests.faults.account import Sent
from tests.faults.rig import KILLED_SECONDS
from tests.faults.scene import Scene
from tests.support.polling import until

_LINES, _SHORT_LINES = 10_000, 4_000
_EVENTS_A_SECOND = "2500"
_SECONDS = 120.0


def stack_killed(scene: Scene) -> None:
    """While a file is imported; the import is killed too, and begun again when the stack is back."""
    with _file(scene) as (log, account, lines):
        importing = _importing(scene, log, "--rate", _EVENTS_A_SECOND)
        until(lambda: _acknowledged(account) >= 3 * BATCH_EVENTS, _SECONDS, "lines before the kill")
        importing.kill()
        scene.rig.kill_everything()
        importing.communicate(timeout=KILLED_SECONDS)
        assert _acknowledged(account) < lines, "all was imported before the kill"
        scene.rig.start()
        importing = _importing(scene, log)
        try:
            told, _ = importing.communicate(timeout=_SECONDS)
        finally:
            importing.kill()
        outcome = json.loads(told)
        assert (outcome["complete"], outcome["accepted"], outcome["rejected"]) == (True, lines, 0), outcome


@contextlib.contextmanager
def _file(scene: Scene) -> Iterator[tuple[Path, Path, int]]:
    """A file of lines without ids, the file in which the import keeps account of it, and how many lines it has."""
    lines = _SHORT_LINES if scene.rig.short else _LINES
    # When it happened is in the line: the stack may be away for longer than a clock is taken to be wrong.
    at = time.time()
    event: dict[str, Any] = {"event_type": "t", "event_name": f"{scene.name}:line", "platform": scene.name}
    event |= {"user_id": f"{scene.name}-import", "timestamp": datetime.fromtimestamp(at, UTC).isoformat()}
    log = scene.rig.folder / "import.ndjson"
    with log.open("w") as file:
        for line in range(lines):
            file.write(json.dumps({**event, "properties": {"line": line, "at": scene.began}}) + "\n")
    digest = hashlib.sha256(log.read_bytes()).hexdigest()
    for line in range(1, lines + 1):
        own = line_id(digest, line)
        scene.accepted[own] = Sent(own, True, event["event_name"], event["user_id"], at)
    account = FOLDER / f"{digest}.json"
    try:
        yield log, account, lines
    finally:
        account.unlink(missing_ok=True)


def _importing(scene: Scene, log: Path, *more: str) -> subprocess.Popen[str]:
    url = scene.rig.base_url
    command = [sys.executable, "-m", "infra.cli.main", "import", str(log), "--format", "ndjson", "--json", "--url", url]
    return subprocess.Popen([*command, *more], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _acknowledged(account: Path) -> int:
    """The lines that the importer knows to be acknowledged."""
    return int(json.loads(account.read_text())["progress"]["acknowledged"]) if account.exists() else 0
