"""A function as it is deployed, in the stand-in for Lambda's image: what `sam build` packs, with Lambda's own runtime.

How long an invocation took is what its interface emulator reports, with no HTTP of this machine in it.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, Self

from benchmarks.machine import family
from infra.local import ports, tools
from tests.support.polling import until

IMAGE = "public.ecr.aws/lambda/python:3.11-x86_64"
VCPU_MB = 1_769  # a function has a vCPU from here on, below that its part of one
_ROOT = Path(__file__).parents[1]
_GEO = _ROOT / "tests" / "data"
_PATH = "/2015-03-31/functions/function/invocations"
_REPORT = re.compile(r"REPORT RequestId: \S+\s.*?(?<!Init )(?<!Billed )Duration: ([\d.]+) ms")
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
_LONGEST_SECONDS = 300


class Target(NamedTuple):
    """What runs in the image: a package, the handler in it, and what it is told."""

    package: Path
    handler: str
    variables: Mapping[str, str]


class Answer(NamedTuple):
    """What a handler answered, and how long it took by Lambda's own account; the first call loads the code too."""

    value: Any
    milliseconds: float


class Container:
    """One execution environment, which the first invocation starts. ``memory_mb`` gives it that part of a vCPU."""

    def __init__(self, target: Target, memory_mb: int | None = None) -> None:
        self._target, self._memory_mb = target, memory_mb
        self._name = ""

    def __enter__(self) -> Self:
        self._port = ports.choose(0, set())
        runtime = ports.choose(0, {self._port})
        # The host's network, so that it reaches engines that listen on loopback alone.
        command = ["docker", "run", "--detach", "--read-only", "--tmpfs", "/tmp", "--network", "host", *self._limits()]
        command += ["--volume", f"{_emulator()}:/var/rapid/aws-lambda-rie:ro"]
        command += ["--volume", f"{self._target.package}:/var/task:ro", "--volume", f"{_GEO}:/opt/geo:ro"]
        told = {"AWS_LAMBDA_FUNCTION_HANDLER": self._target.handler, "AWS_LAMBDA_FUNCTION_TIMEOUT": "300"}
        for name, value in {**told, **self._target.variables}.items():
            command += ["--env", f"{name}={value}"]
        command += ["--entrypoint", "/var/rapid/aws-lambda-rie", IMAGE, "--log-level", "error"]
        command += ["--runtime-interface-emulator-address", f"{ports.HOST}:{self._port}"]
        command += ["--runtime-api-address", f"{ports.HOST}:{runtime}", "/var/runtime/bootstrap"]
        self._name = _docker(*command[1:]).strip()
        until(lambda: not ports.is_free(self._port), 20, "Lambda's interface emulator")
        return self

    def __exit__(self, *_: object) -> None:
        _docker("rm", "--force", self._name)

    def invoke(self, event: Mapping[str, Any]) -> Answer:
        """Call the handler. Raises AssertionError, with the log, when it raises."""
        before = len(self._reports())
        connection = HTTPConnection(ports.HOST, self._port, timeout=_LONGEST_SECONDS)
        connection.request("POST", _PATH, json.dumps(event))
        value = json.loads(connection.getresponse().read())
        connection.close()
        assert not (isinstance(value, dict) and "errorType" in value), (value, self._log()[-3000:])
        until(lambda: len(self._reports()) > before, 10, "the report of an invocation")
        return Answer(value, self._reports()[before])

    def peak_mb(self) -> float:
        """The most memory that the runtime's process has held so far."""
        first = int(_docker("inspect", "--format", "{{.State.Pid}}", self._name))
        runtime = [pid for pid in family(first) if pid != first]
        told = [_PEAK.search(Path(f"/proc/{pid}/status").read_text()) for pid in runtime]
        return sum(int(one[1]) for one in told if one) / 1024

    def _limits(self) -> list[str]:
        if self._memory_mb is None:
            return []
        megabytes = f"{self._memory_mb}m"
        share = min(1.0, self._memory_mb / VCPU_MB)
        return ["--memory", megabytes, "--memory-swap", megabytes, "--cpus", f"{share:.3f}"]

    def _reports(self) -> list[float]:
        return [float(one) for one in _REPORT.findall(self._log())]

    def _log(self) -> str:
        done = subprocess.run(["docker", "logs", self._name], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def _emulator() -> Path:
    """SAM's command line brings the runtime interface emulator."""
    library = tools.environment("sam", _ROOT, print).parents[1]
    return next(library.glob("lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"))
