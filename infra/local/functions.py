"""The functions on the emulator: built by SAM, deployed from the real template, exchanged when their code changes."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import platform
import sys
import threading
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import commands, dev_keys, surroundings
from .packaging import PLATFORM_VARIABLE, STAGES

STACK_NAME = "weir"
STAGE_NAME = "local"
_BUCKET = "weir-artifacts"
_TEMPLATE = "template.yaml"
_POLL_SECONDS = 0.05
_DEPLOY_SECONDS = 60.0
_INPUTS = ("functions", "schemas", "template.yaml", "infra/local/packaging.py", "infra/local/exchanges.py")
# As many as the front door lets in at once: a request that finds all workers busy waits a second for a new one.
_WORKERS = {"collect": 3}
_FUNCTION = "AWS::Serverless::Function"


class BuildFailed(RuntimeError):
    """`sam build` did not succeed."""


class DeployFailed(RuntimeError):
    """The emulator did not take the template, or a function does not start."""


@dataclass
class Functions:
    """The functions of one checkout on one emulator."""

    root: Path
    built: Path
    sam: Path
    emulator_url: str
    parameters: Mapping[str, str]
    # By the parameter that is told where the value is kept.
    secrets: Mapping[str, str] = field(default_factory=dict)
    api_url: str = ""
    queue_url: str = ""
    alert_topic: str = ""
    _clients: dict[str, Any] = field(default_factory=dict)

    def build(self) -> bool:
        """Run `sam build` when anything it reads has changed. Returns whether it did."""
        stamp, digest = self.built / "weir.stamp", self._digest()
        if stamp.exists() and stamp.read_text() == digest:
            return False
        command = [str(self.sam), "-m", "samcli", "build", "--build-dir", str(self.built)]
        command += ["--template-file", str(self.root / "template.yaml")]
        native = {} if (sys.platform, platform.machine()) == ("linux", "x86_64") else {PLATFORM_VARIABLE: "native"}
        variables = surroundings.clean(
            **surroundings.aws(self.emulator_url), SAM_CLI_TELEMETRY="0", PYTHON=sys.executable, **native
        )
        done = commands.run(command, variables, self.root)
        if done.returncode:
            raise BuildFailed(done.stderr.strip()[-3000:])
        stamp.write_text(digest)
        return True

    def _digest(self) -> str:
        """Of all that goes into a package. Not of dates: a fresh checkout has new ones."""
        digest = hashlib.sha256(sys.version.encode())
        files = [self.root / "requirements" / f"{stage}.txt" for stage in STAGES]
        for name in _INPUTS:
            path = self.root / name
            files += sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.suffix != ".pyc":
                digest.update(f"{file.relative_to(self.root)}\0".encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def template(self) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load((self.built / "template.yaml").read_text())
        return content

    def routes(self) -> list[tuple[str, str, str]]:
        """Method, path and function of each route."""
        found = []
        for resource in _functions(self.template()).values():
            for event in resource["Properties"].get("Events", {}).values():
                if event["Type"] == "Api":
                    properties = event["Properties"]
                    found.append((properties["Method"].upper(), properties["Path"], _stage(resource)))
        return found

    def deploy(self) -> None:
        """Make the stack of the template on an emulator that has none."""
        template = self.template()
        _leave_out_optional(template)
        s3, cloudformation = self._client("s3"), self._client("cloudformation")
        s3.create_bucket(Bucket=_BUCKET)
        for name, resource in _functions(template).items():
            s3.put_object(Bucket=_BUCKET, Key=name, Body=self._package(name))
            resource["Properties"]["CodeUri"] = f"s3://{_BUCKET}/{name}"
        # By its place: as a text in the call a template may have 51,200 bytes.
        s3.put_object(Bucket=_BUCKET, Key=_TEMPLATE, Body=yaml.safe_dump(template).encode())
        cloudformation.create_stack(
            StackName=STACK_NAME,
            TemplateURL=f"{self.emulator_url}/{_BUCKET}/{_TEMPLATE}",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in self._parameters(template).items()
            ],
        )
        outputs = self._settled()
        for name in (*_functions(template), _TEMPLATE):
            # The emulator keeps its own copy of the code.
            s3.delete_object(Bucket=_BUCKET, Key=name)
        self.api_url = f"{self.emulator_url}/_aws/execute-api/{outputs['ApiId']}/{STAGE_NAME}"
        self.queue_url = outputs.get("QueueUrl", "")
        self.alert_topic = outputs.get("AlertTopicArn", "")

    def _parameters(self, template: dict[str, Any]) -> dict[str, str]:
        given = {**self.parameters, **self._kept()}
        return {name: value for name, value in given.items() if name in template["Parameters"]}

    def _kept(self) -> dict[str, str]:
        """Where each secret is, after laying it where a function reads it on AWS."""
        return {name: keep(self.emulator_url, name, value) for name, value in self.secrets.items()}

    def _settled(self) -> dict[str, str]:
        cloudformation = self._client("cloudformation")
        deadline = time.monotonic() + _DEPLOY_SECONDS
        while time.monotonic() < deadline:
            stack = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
            if stack["StackStatus"] == "CREATE_COMPLETE":
                return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                raise DeployFailed(f"{stack['StackStatus']}: {stack.get('StackStatusReason', 'no reason given')}")
            time.sleep(_POLL_SECONDS)
        raise DeployFailed(f"the template was not deployed within {_DEPLOY_SECONDS:g} s")

    def update(self, stage: str) -> None:
        """Exchange a function's code for what is in its built folder now."""
        try:
            self._update(stage)
        except client_errors() as error:
            raise DeployFailed(f"the emulator did not take {stage}: {error}") from None

    def _update(self, stage: str) -> None:
        name = logical_name(stage)
        self._client("s3").put_object(Bucket=_BUCKET, Key=name, Body=self._package(name))
        self._client("lambda").update_function_code(FunctionName=f"{STACK_NAME}-{stage}", S3Bucket=_BUCKET, S3Key=name)
        self._client("s3").delete_object(Bucket=_BUCKET, Key=name)

    def environment(self, stage: str) -> dict[str, str]:
        """The variables that a function is given."""
        try:
            found = self._client("lambda").get_function_configuration(FunctionName=f"{STACK_NAME}-{stage}")
        except client_errors() as error:
            raise DeployFailed(f"the emulator does not know {stage}: {error}") from None
        return dict(found.get("Environment", {}).get("Variables", {}))

    def warm(self, stage: str) -> None:
        """Start a worker, so that the first client does not wait for it. Raises DeployFailed when it does not start."""
        routes = [(method, path) for method, path, function in self.routes() if function == stage]
        plain = sorted(route for route in routes if "{" not in route[1])
        problem = self._request(*plain[0]) if plain else self._invoke(stage)
        if problem:
            raise DeployFailed(f"{stage} does not start: {problem}")
        for _ in range(_WORKERS.get(stage, 0)):
            # At once, since a worker that is free again would be asked twice; and beside, since nobody waits for it.
            threading.Thread(target=self._request, args=plain[0], name=f"warm-{stage}", daemon=True).start()

    def _request(self, method: str, path: str) -> str:
        """What went wrong but for what the function itself says."""
        connection = http.client.HTTPConnection(self.emulator_url.removeprefix("http://"), timeout=_DEPLOY_SECONDS)
        try:
            key = {"Authorization": f"Bearer {dev_keys.READ}"}
            connection.request(method, self.api_url.removeprefix(self.emulator_url) + path, headers=key)
            response = connection.getresponse()
            answer = response.read().decode(errors="replace")
        except OSError as error:
            return f"the emulator does not answer: {error}"
        finally:
            connection.close()
        own = response.status < http.client.INTERNAL_SERVER_ERROR or "problem+json" in response.headers["Content-Type"]
        return "" if own else _reason(answer)

    def _invoke(self, stage: str) -> str:
        answer = self._client("lambda").invoke(
            FunctionName=f"{STACK_NAME}-{stage}", Payload=json.dumps({"Records": []}).encode()
        )
        return _reason(answer["Payload"].read().decode(errors="replace")) if answer.get("FunctionError") else ""

    def drain(self, seconds: float) -> int:
        """Wait for the queue to empty, for at most so long. Returns how many messages are left."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self._client("sqs").get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
            except client_errors():
                return 0
            left = sum(int(answer["Attributes"][name]) for name in names)
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(_POLL_SECONDS)

    def _package(self, name: str) -> bytes:
        """The built folder as a zip, stored as it is: it goes no further than this machine."""
        folder = self.built / name
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(folder))
        return buffer.getvalue()

    def _client(self, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = client(name, self.emulator_url)
        return self._clients[name]


def client(name: str, endpoint: str) -> Any:
    """A client of the emulator, whatever this machine knows of a real account."""
    # Half a second to import, which not every command needs.
    import boto3
    from botocore.config import Config

    session = boto3.session.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
        region_name=surroundings.REGION,
    )
    config = Config(retries={"total_max_attempts": 3}, read_timeout=_DEPLOY_SECONDS, connect_timeout=2)
    return session.client(name, endpoint_url=endpoint, config=config)


def keep(endpoint: str, name: str, value: str) -> str:
    """Lay a secret into the emulator, and say what it is referred to by."""
    ssm = client("ssm", endpoint)
    ssm.put_parameter(Name=f"/weir/{name}", Value=value, Type="SecureString", Overwrite=True)
    return str(ssm.get_parameter(Name=f"/weir/{name}")["Parameter"]["ARN"])


def _reason(answer: str) -> str:
    """The message in the emulator's error, which may hold the function's error as text."""
    with contextlib.suppress(ValueError, AttributeError):
        content = json.loads(answer)
        return _reason(content.get("errorMessage") or content.get("message") or "") or answer
    return answer.removeprefix("Worker init failed: ")


def client_errors() -> tuple[type[Exception], ...]:
    """What such a client raises."""
    from botocore.exceptions import BotoCoreError, ClientError

    return (BotoCoreError, ClientError)


def logical_name(stage: str) -> str:
    return f"{stage.capitalize()}Function"


def _functions(template: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in template["Resources"].items() if value["Type"] == _FUNCTION}


def _leave_out_optional(template: dict[str, Any]) -> None:
    """The functions that only some parameters bring are none of the laptop's: what they do is a process here."""
    for name in [name for name, resource in _functions(template).items() if "Condition" in resource]:
        del template["Resources"][name]


def _stage(resource: dict[str, Any]) -> str:
    """functions.collect.app.app is collect's."""
    return str(resource["Properties"]["Handler"]).split(".")[1]
