"""A real QuestDB on free ports, in a folder of its own, ended by the kernel when the tests end."""

import signal
import subprocess
from pathlib import Path

from functions.shared.settings import SeriesSettings
from infra.local import questdb
from infra.local.commands import tethered
from infra.local.engines import answers, listens
from tests.support.nats import free_port
from tests.support.polling import until


class QuestDb:
    """One server process that can be killed and started again on the same data and ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, self.pg_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def settings(self, **changed: object) -> SeriesSettings:
        """What reaches it; short times, since tests wait for them."""
        given: dict[str, object] = {"questdb_retry_seconds": 0.2, "questdb_timeout_seconds": 20.0, **changed}
        return SeriesSettings.model_validate({"questdb_url": self.url, "questdb_pg_port": self.pg_port, **given})

    def start(self) -> None:
        """Start and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = tethered(questdb.command(questdb.jar(), self._folder))
        variables = questdb.environment(self.port, self.pg_port)
        with (self._folder.parent / "questdb.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        ping = answers(self.port, "/ping")
        until(lambda: ping() and listens(self.pg_port), 60, "QuestDB")

    def pause(self) -> None:
        """Let it hang: connections stay, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        # Each thread stops once it is next at work, and until then may answer.
        tasks = Path(f"/proc/{self._process.pid}/task")
        until(lambda: all("State:\tT" in (one / "status").read_text() for one in tasks.iterdir()), 10, "its halt")

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def _end(self, sign: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(timeout=30)
            self._process = None
