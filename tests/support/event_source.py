"""The event source as a process, for tests: started against a broker and an endpoint, and killable."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class EventSourceProcess:
    """One ``python -m infra.nats.event_source``; settings are the variables without their prefix."""

    def __init__(self, folder: Path, nats_url: str, lambda_url: str, *options: str, **settings: str) -> None:
        self.log = folder / "event_source.log"
        variables = {
            "WEIR_NATS_URL": nats_url,
            "WEIR_ENRICH_FUNCTION": "enrich",
            "WEIR_EVENT_SOURCE_BACKOFF_SECONDS": "0.05,0.1",
            "WEIR_EVENT_SOURCE_WINDOW_SECONDS": "0.1",
            "AWS_ENDPOINT_URL": lambda_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-west-1",
            **{f"WEIR_EVENT_SOURCE_{name.upper()}": value for name, value in settings.items()},
        }
        self._command = [sys.executable, "-m", "infra.nats.event_source", *options]
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
        self._environment |= variables
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self) -> "EventSourceProcess":
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
        return self

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self, timeout_seconds: float = 10) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_seconds)

    def lines(self) -> str:
        return self.log.read_text()
