"""The whole of Weir on one machine: what `weir up` runs, and what the tests run.

with Stack(ROOT, data_dir, ports=FREE) as stack:
    post(stack.base_url, ...)
    stack.kill("nats")
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from . import commands, containers, dev_keys, engines, gauges, logs, ports, questdb, state, surroundings, tools
from .front_door import upstream
from .function_logs import FunctionLogs
from .functions import STAGE_NAME, Functions, keep
from .packaging import STAGES
from .paths import ROOT
from .processes import Guardian, NotReady, Service, Supervised
from .reload import Reloader

ENGINES = frozenset({"nats", "clickhouse", "questdb"})
EVERYTHING = ENGINES | {"emulator", "functions", "event source", "front door"}
FRONT_DOOR_PORT = 3000
PREFERRED = {
    "nats": 4222,
    "nats monitor": 8222,
    "clickhouse": 8123,
    "questdb": 9000,
    "questdb pg": 8812,
    "emulator": 4566,
    "event source": 8225,
    "front door": FRONT_DOOR_PORT,
}
FREE = dict.fromkeys(PREFERRED, 0)
DATABASE = "weir"
# What of a person is stored: the template's parameter, and the variable that it is taken from here.
_PRIVACY = {
    "PrivacyAddress": "WEIR_PRIVACY_ADDRESS",
    "PrivacyProperties": "WEIR_PRIVACY_PROPERTIES",
    "PrivacyVisitors": "WEIR_PRIVACY_VISITORS",
    "PrivacyConsent": "WEIR_PRIVACY_CONSENT",
    "PrivacyConsentProperties": "WEIR_PRIVACY_CONSENT_PROPERTIES",
}
_DRAIN_SECONDS = 10.0
_START_THREADS = 16
_TIDY_SECONDS = 5.0


class PortTaken(RuntimeError):
    """The front door's port, which never moves, is another's."""


@dataclass(frozen=True)
class Step:
    """One thing that was done on the way up."""

    name: str
    detail: str
    seconds: float


def _silent(_: object) -> None:
    """Tell nobody."""


@dataclass
class Stack:
    """Starts the services that are asked for, keeps them running, and ends them all."""

    root: Path = ROOT
    data_dir: Path = ROOT / ".weir"
    ports: Mapping[str, int] = field(default_factory=lambda: PREFERRED)
    services: frozenset[str] | set[str] = EVERYTHING
    queue: str = field(default_factory=lambda: os.environ.get("WEIR_QUEUE") or "nats")
    geo: bool = True
    reload: bool = False
    containers: bool = False
    done: Callable[[Step], None] = _silent
    say: Callable[[str], None] = _silent
    running: dict[str, Supervised] = field(default_factory=dict, init=False)
    functions: Functions | None = field(default=None, init=False)
    _up: bool = field(default=False, init=False)
    _forced: bool = field(default=False, init=False)

    # -- what users of a running stack ask

    @property
    def is_up(self) -> bool:
        """Whether the start is over and the end has not begun."""
        return self._up and not self._stopping.is_set()

    @property
    def base_url(self) -> str:
        return f"http://{ports.HOST}:{self._ports['front door']}"

    @property
    def nats_url(self) -> str:
        return f"nats://{ports.HOST}:{self._ports['nats']}"

    @property
    def clickhouse_url(self) -> str:
        return self._given_clickhouse or f"http://{ports.HOST}:{self._ports['clickhouse']}"

    @property
    def questdb_url(self) -> str:
        return self._given_questdb or f"http://{ports.HOST}:{self._ports['questdb']}"

    @property
    def questdb_pg_port(self) -> int:
        given = int(os.environ.get("WEIR_QUESTDB_PG_PORT") or PREFERRED["questdb pg"])
        return given if self._given_questdb else self._ports["questdb pg"]

    @property
    def emulator_url(self) -> str:
        return f"http://{ports.HOST}:{self._ports['emulator']}"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def alerts_file(self) -> Path:
        """Where who runs the stack sees its alerts."""
        return self.data_dir.resolve() / "alerts.jsonl"

    @property
    def keys_file(self) -> Path:
        """The keys that this stack takes; `weir keys` changes them."""
        return self.data_dir.resolve() / "keys.json"

    @property
    def sam_variables(self) -> Path:
        """What `sam local` is told by `--env-vars`, where containers are let in."""
        return self.data_dir / "sam_local.json"

    def variables(self) -> dict[str, str]:
        """What a function, or a person's shell, needs to reach the engines."""
        found = {
            "WEIR_ENVIRONMENT": STAGE_NAME,
            "WEIR_QUEUE": self.queue,
            "WEIR_NATS_URL": self.nats_url,
            "WEIR_CLICKHOUSE_URL": self.clickhouse_url,
            "WEIR_CLICKHOUSE_DATABASE": DATABASE,
            "WEIR_QUESTDB_URL": self.questdb_url,
            "WEIR_QUESTDB_PG_PORT": str(self.questdb_pg_port),
            "WEIR_GEO_PATH": self._geo_path,
            "WEIR_ALERTS_FILE": str(self.alerts_file),
            "WEIR_KEYS": "file",
            "WEIR_KEYS_PATH": str(self.keys_file),
        }
        if self.functions and self.functions.queue_url:
            found["WEIR_SQS_QUEUE_URL"] = self.functions.queue_url
        return found

    def kill(self, name: str) -> int:
        """Kill a service as a crash would. Returns how often it had come back before."""
        before = self.running[name].restarts
        self.running[name].kill()
        return before

    def wait_back(self, name: str, before: int, seconds: float = 60.0) -> None:
        """Until a killed service works again."""
        service = self.running[name]
        deadline = time.monotonic() + seconds
        while not (service.restarts > before and service.state == "ready"):
            if time.monotonic() > deadline:
                raise NotReady(f"{name} is {service.state} {seconds:g} s after it was killed: {service.problem}")
            self._changed.wait(0.1)
            self._changed.clear()

    # -- up

    def __enter__(self) -> Self:
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._helpers: list[FunctionLogs | Reloader | containers.Relay] = []
        self._geo_path = ""
        self._given_clickhouse = os.environ.get("WEIR_CLICKHOUSE_URL", "") if "clickhouse" in self.services else ""
        self._given_questdb = os.environ.get("WEIR_QUESTDB_URL", "") if "questdb" in self.services else ""
        self._writing = threading.Lock()
        self._lock = state.Lock.take(self.data_dir)
        try:
            self._begin()
        except BaseException:
            self._lock.release()
            raise
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _begin(self) -> None:
        if left := state.end_leftovers(self.data_dir):
            self.say(f"ended what an earlier stack had left: {', '.join(left)}")
        self._ports = self._choose_ports()
        self._guardian = Guardian()
        self._tidy = threading.Thread(target=self._keep_tidy, name="tidy", daemon=True)
        self._tidy.start()

    def _choose_ports(self) -> dict[str, int]:
        chosen: dict[str, int] = {}
        fixed = self.ports["front door"]
        if "front door" in self.services and fixed and not ports.is_free(fixed):
            raise PortTaken(f"port {fixed} is taken by {ports.holder(fixed)}; the front door does not move")
        for name in sorted(PREFERRED):
            preferred = self.ports.get(name, 0)
            keep = name == "front door" and preferred
            chosen[name] = preferred if keep else ports.choose(preferred, set(chosen.values()))
        return chosen

    def _start(self) -> None:
        upstream.write(self._upstream_file, None, [])
        dev_keys.ensure(self.keys_file)
        # One thread for each task and each that it waits for.
        pool = ThreadPoolExecutor(_START_THREADS, thread_name_prefix="start")
        try:
            geo = pool.submit(self._bring_geo)
            tasks = [geo, *(pool.submit(task) for task in self._engine_tasks())]
            if "functions" in self.services:
                tasks.append(pool.submit(self._deploy_functions, pool, geo))
            elif "emulator" in self.services:
                tasks.append(pool.submit(self._start_bare_emulator))
            self._all(tasks)
            if "functions" in self.services:
                self._open()
            if self.containers:
                self._let_containers_in()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        self._up = True
        self._write_state()

    def _engine_tasks(self) -> Iterable[Callable[[], None]]:
        if "nats" in self.services and self.queue == "nats":
            yield self._start_nats
        if "clickhouse" in self.services:
            yield self._start_clickhouse
        if "questdb" in self.services:
            yield self._start_questdb
        if "front door" in self.services:
            yield lambda: self._run(engines.front_door(self._upstream_file, self.logs_dir, self._ports["front door"]))

    def _start_nats(self) -> None:
        folder = self.data_dir / "nats"
        self._run(engines.nats(folder, self.logs_dir, self._ports["nats"], self._ports["nats monitor"]))
        # Here and not above: a command that asks for no stack should not wait for the clients' imports.
        from infra.nats.topology import ensure_topology

        self._step("streams", "", lambda: asyncio.run(ensure_topology(self.nats_url)))

    def _start_clickhouse(self) -> None:
        if self._given_clickhouse:
            self.done(Step("clickhouse", f"{self._given_clickhouse} (WEIR_CLICKHOUSE_URL)", 0.0))
        else:
            folder = self.data_dir / "clickhouse"
            self._run(engines.clickhouse(folder, self.logs_dir, self._ports["clickhouse"], os.getpid()))
        from infra.clickhouse.migrate import migrate

        user, password = self._clickhouse_login if self._given_clickhouse else ("default", "")
        self._step(
            "migrations",
            lambda new: f"{len(new)} new",
            lambda: migrate(self.clickhouse_url, DATABASE, user=user, password=password),
        )

    def _start_questdb(self) -> None:
        if self._given_questdb:
            self.done(Step("questdb", f"{self._given_questdb} (WEIR_QUESTDB_URL)", 0.0))
        else:
            with state.alone(self.root / ".weir" / "questdb.lock"):
                server = questdb.jar(self.root, self.say)
            folder = self.data_dir / "questdb"
            self._run(engines.questdb(server, folder, self.logs_dir, self._ports["questdb"], self._ports["questdb pg"]))
        from infra.questdb.migrate import migrate

        user, password, ttl_days = questdb.login(bool(self._given_questdb))
        self._step("series", lambda new: f"{len(new)} new", lambda: migrate(self.questdb_url, ttl_days, user, password))

    def _tool(self, name: str) -> Path:
        """A tool's Python. Installed by one stack at a time: a test's may start beside a person's."""
        with state.alone(self.root / ".weir" / f"{name}.lock"):
            return tools.environment(name, self.root, self.say)

    def _deploy_functions(self, pool: ThreadPoolExecutor, geo: Future[None]) -> None:
        """Tools, build and emulator side by side, then the deployment."""
        emulator = pool.submit(self._start_emulator)
        sam = self._tool("sam")
        self._all([geo])
        functions = Functions(self.root, self._built, sam, self.emulator_url, self._parameters(), self._secrets())
        with state.alone(self.root / ".weir" / "build.lock"):
            self._step("build", lambda built: "built" if built else "unchanged", functions.build)
        self._all([emulator])
        self._step("deploy", "", functions.deploy)
        self.functions = functions
        warming = [pool.submit(functions.warm, stage) for stage in STAGES]
        self._step("functions", ", ".join(STAGES), lambda: self._all(warming))

    def _start_emulator(self) -> None:
        self._python = self._tool("emulator")
        folder = self.data_dir / "emulator"
        self._run(engines.emulator(self._python, folder, self.logs_dir, self._ports["emulator"], self._deploy_again))

    def _start_bare_emulator(self) -> None:
        """For `sam deploy`: with the keys where samconfig.toml says that they are."""
        self._start_emulator()
        keep(self.emulator_url, "keys", self.keys_file.read_text())

    def _deploy_again(self) -> None:
        """The emulator holds its state in memory: after a crash it knows of no function."""
        if self.functions is None:
            keep(self.emulator_url, "keys", self.keys_file.read_text())
        else:
            upstream.write(self._upstream_file, None, [])
            self.functions.deploy()
            upstream.write(self._upstream_file, self.functions.api_url, self.functions.routes())

    def _bring_geo(self) -> None:
        if not self.geo:
            return
        folder = self.root / ".weir" / "geo"
        began = time.monotonic()
        with state.alone(self.root / ".weir" / "geo.lock"):
            problem = tools.geo_data(folder, self.root, self.say)
        self._geo_path = "" if problem else str(folder.resolve())
        self.done(Step("geolocation", f"off: {problem}" if problem else "on", time.monotonic() - began))

    def _parameters(self) -> dict[str, str]:
        return {
            "Environment": STAGE_NAME,
            "Queue": self.queue,
            # The stack runs its own, as a process.
            "EventSource": "none",
            "NatsUrl": self.nats_url,
            "ClickhouseUrl": self.clickhouse_url,
            "ClickhouseDatabase": DATABASE,
            "QuestdbUrl": self.questdb_url,
            "QuestdbPgPort": str(self.questdb_pg_port),
            "GeoPath": self._geo_path,
            "SchemasPath": os.path.abspath(given) if (given := os.environ.get("WEIR_SCHEMAS_PATH")) else "",
            "AlertsFile": str(self.alerts_file),
            "Keys": "file",
            "KeysPath": str(self.keys_file),
            **{name: given for name, variable in _PRIVACY.items() if (given := os.environ.get(variable))},
            **({"ClickhouseUser": self._clickhouse_login[0]} if self._given_clickhouse else {}),
            **({"QuestdbUser": questdb.login(True)[0]} if self._given_questdb else {}),
        }

    def _secrets(self) -> dict[str, str]:
        """What is secret of what was given, by the parameter that refers to each."""
        found = {
            "ClickhousePasswordSecret": self._clickhouse_login[1] if self._given_clickhouse else "",
            "QuestdbPasswordSecret": questdb.login(True)[1] if self._given_questdb else "",
            "PrivacySecret": os.environ.get("WEIR_PRIVACY_SECRET", ""),
        }
        return {name: password for name, password in found.items() if password}

    @property
    def _clickhouse_login(self) -> tuple[str, str]:
        """User and password of a server that was given."""
        return os.environ.get("WEIR_CLICKHOUSE_USER") or "default", os.environ.get("WEIR_CLICKHOUSE_PASSWORD", "")

    def _open(self) -> None:
        """All behind the door works: let clients in."""
        assert self.functions is not None
        if self.queue == "nats" and "event source" in self.services:
            variables = {
                **self.variables(),
                **surroundings.aws(self.emulator_url),
                "WEIR_ENRICH_FUNCTION": "weir-enrich",
            }
            self._run(engines.event_source(self.logs_dir, variables, self._ports["event source"], os.getpid()))
        upstream.write(self._upstream_file, self.functions.api_url, self.functions.routes())
        self._helpers.append(FunctionLogs(self.emulator_url, self.logs_dir / "functions.log", self._standing))
        if self.reload:
            self._helpers.append(Reloader(self.functions, self._python, self.say))
        for helper in self._helpers:
            helper.start()

    def _standing(self) -> str:
        """What a Prometheus server is told of the engines, and of the event source where there is one."""
        running = {name: one.service for name, one in self.running.items()}
        told = gauges.engines({name: running[name].is_ready for name in ENGINES & running.keys()})
        source = running.get("event source")
        return told + (gauges.event_source(gauges.ask(source.url)) if source else "")

    def _let_containers_in(self) -> None:
        """Functions in containers are told where the engines are, and can reach them."""
        # No file of this machine, and no topic where there is no emulator: alerts are seen in status and history.
        paths = ("WEIR_ALERTS_FILE", "WEIR_KEYS_PATH", "WEIR_SCHEMAS_PATH")
        unheard = dict.fromkeys((*paths, "WEIR_ALERTS_SNS_TOPIC_ARN"), "")
        keys = {"WEIR_KEYS": "inline", "WEIR_KEYS_DOCUMENT": self.keys_file.read_text()}
        containers.write_sam_variables(self.sam_variables, {**self.variables(), **unheard, **keys})
        if not (bridge := containers.bridge()):
            self.done(Step("containers", "no Docker bridge here", 0.0))
            return
        own = [one.service.port for one in self.running.values()]
        relay = containers.Relay(bridge, [*own, self._ports["questdb pg"]])
        self._step("containers", f"let in at {bridge.ip}", relay.start)
        self._helpers.append(relay)

    # -- the parts of it

    @property
    def _upstream_file(self) -> Path:
        return self.data_dir / "upstream.json"

    @property
    def _built(self) -> Path:
        return self.root / ".weir" / "sam"

    def _run(self, service: Service) -> None:
        began = time.monotonic()
        supervised = Supervised(service, self._guardian, self._on_change)
        self.running[service.name] = supervised
        supervised.start()
        if self._stopping.is_set():
            # Who ends the stack may have looked already at what there is to end.
            supervised.stop()
            supervised.join()
        supervised.wait_ready()
        self.done(Step(service.name, service.url, time.monotonic() - began))

    def _step(self, name: str, detail: str | Callable[[Any], str], action: Callable[[], Any]) -> None:
        began = time.monotonic()
        result = action()
        text = detail if isinstance(detail, str) else detail(result)
        self.done(Step(name, text, time.monotonic() - began))

    def _all(self, futures: list[Future[None]]) -> None:
        """Until all are done; the first failure ends the start."""
        finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in finished:
            future.result()

    def _on_change(self) -> None:
        self._changed.set()
        # Who watches a service tells of it here, and has to go on where the disk is full: the next change is told then.
        with contextlib.suppress(OSError):
            self._write_state()

    def _write_state(self) -> None:
        with self._writing:
            state.write(self.data_dir, self._state())

    def _state(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "base_url": self.base_url,
            "variables": self.variables(),
            "emulator_url": self.emulator_url,
            "alert_topic": self.functions.alert_topic if self.functions else "",
            "nats_monitor_url": f"http://{ports.HOST}:{self._ports['nats monitor']}",
            "services": {
                name: {
                    "state": one.state,
                    "pid": one.pid,
                    "born": one.born,
                    "port": one.service.port,
                    "url": one.service.url,
                    "started_at": one.started_at,
                    "restarts": one.restarts,
                    "log": str(one.service.log),
                }
                for name, one in list(self.running.items())
            },
        }

    def _keep_tidy(self) -> None:
        while not self._stopping.wait(_TIDY_SECONDS):
            logs.bound(self.logs_dir)

    # -- down

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all of it: the door first, so that what it let in is still answered."""
        self._stopping.set()
        commands.end_all()
        for helper in self._helpers:
            helper.stop()
        self._end("front door")
        self._drain()
        self._end("event source")
        self._end("emulator")
        self._end("nats", "clickhouse", "questdb")
        self._guardian.close()
        (self.data_dir / "stack.json").unlink(missing_ok=True)
        self._lock.release()

    def _end(self, *names: str) -> None:
        group = [self.running[name] for name in names if name in self.running]
        for one in group:
            one.stop()
        for one in group:
            one.join()

    def _drain(self) -> None:
        """The emulator's queue is in its memory alone: what was acknowledged must be consumed before it ends."""
        if self.functions is None or not self.functions.queue_url or self._forced:
            return
        if left := self.functions.drain(_DRAIN_SECONDS):
            self.say(f"{left} messages were still in the emulator's queue, which ends with it")

    def force(self) -> None:
        """End all of it now."""
        self._stopping.set()
        self._forced = True
        for one in list(self.running.values()):
            one.force()
