"""A reference is read the same way by botocore and by a function that cannot wait for it, wherever AWS is played."""

import json
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from functions.shared.adapters import aws_signed, secret_references
from functions.shared.errors import Misconfigured
from tests.support.emulator import emulator
from tests.support.localstack import localstack

REGION = "eu-west-1"
TEXT = 'p;ä "ss"\n\u2603'
SECRET = f"arn:aws:secretsmanager:{REGION}:000000000000:secret:none-AbCdEf"
PARAMETER = f"arn:aws:ssm:{REGION}:000000000000:parameter/none"


@contextmanager
def on_localstack(_: Path) -> Iterator[str]:
    yield localstack()


@pytest.fixture(scope="module", params=[emulator, on_localstack], ids=["emulator", "localstack"])
def aws(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with request.param(tmp_path_factory.mktemp("aws")) as url:
        yield url


@pytest.fixture(params=["botocore", "a function"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    own = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
    if request.param == "a function":
        own |= {"AWS_LAMBDA_FUNCTION_NAME": "weir-collect", "AWS_REGION": REGION}
    else:
        monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    for name in aws_signed.ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    forget()
    yield request.param
    assert secret_references._client.cache_info().misses == (0 if request.param == "a function" else 1)
    forget()


def forget() -> None:
    secret_references.read.cache_clear()
    secret_references._client.cache_clear()


@pytest.fixture
def told(aws: str, by: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    return by


def kept_as_secret(url: str, name: str, text: str) -> str:
    client = boto3.client("secretsmanager", endpoint_url=url)
    return str(client.create_secret(Name=name, SecretString=text)["ARN"])


def kept_as_parameter(url: str, name: str, text: str) -> str:
    client = boto3.client("ssm", endpoint_url=url)
    client.put_parameter(Name=f"/{name}", Value=text, Type="SecureString")
    return str(client.get_parameter(Name=f"/{name}")["Parameter"]["ARN"])


@pytest.mark.parametrize("keep", [kept_as_secret, kept_as_parameter], ids=["secret", "parameter"])
def test_a_reference_stands_for_what_is_kept_there(told: str, aws: str, keep: Any, request: Any) -> None:
    name = f"weir/{abs(hash(request.node.name))}"
    reference = keep(aws, name, TEXT)
    found = secret_references.fetch(reference)
    assert found.text == TEXT
    assert found.version
    if keep is kept_as_parameter:
        assert secret_references.fetch(f"/{name}") == found


@pytest.mark.parametrize(
    ("reference", "code"), [(SECRET, "ResourceNotFoundException"), (PARAMETER, "ParameterNotFound")]
)
def test_what_is_not_there_is_named_with_the_code(told: str, reference: str, code: str) -> None:
    with pytest.raises(Misconfigured, match=code) as caught:
        secret_references.fetch(reference)
    assert type(caught.value) is Misconfigured
    assert reference in str(caught.value)


class Played:
    """A service that answers as it is told, one answer after the other."""

    def __init__(self, *answers: tuple[int, bytes], over: tuple[Path, Path] | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        answering = iter(answers)
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked.append({"headers": dict(self.headers), "body": json.loads(body)})
                status, text = next(answering)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http{'s' if over else ''}://127.0.0.1:{self._server.server_port}"
        if over:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*over)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Played":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


GOOD = (200, json.dumps({"Parameter": {"Value": "word", "Version": 3}}).encode())
THROTTLED = (400, b'{"__type":"ThrottlingException"}')
DENIED = (400, b'{"__type":"com.amazonaws.ssm#AccessDeniedException","Message":"not you"}')
BROKEN = (500, b'{"__type":"InternalServerError"}')


@pytest.mark.parametrize("first", [THROTTLED, BROKEN], ids=["throttled", "broken"])
def test_what_passes_is_tried_twice(by: str, monkeypatch: pytest.MonkeyPatch, first: tuple[int, bytes]) -> None:
    with Played(first, GOOD) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        assert secret_references.fetch("/weir/one") == ("word", "3")
        assert [one["body"] for one in service.asked] == [{"Name": "/weir/one", "WithDecryption": True}] * 2


@pytest.mark.parametrize(
    ("answers", "reason", "tries"),
    [([DENIED], "AccessDeniedException", 1), ([THROTTLED] * 2, "ThrottlingException", 2)],
    ids=["denied", "throttled"],
)
def test_what_may_pass_later_is_told_apart_and_nothing_of_the_message_is_shown(
    by: str, monkeypatch: pytest.MonkeyPatch, answers: list[tuple[int, bytes]], reason: str, tries: int
) -> None:
    with Played(*answers) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        with pytest.raises(secret_references.NotReached, match=f"/weir/one cannot be read: {reason}$"):
            secret_references.fetch("/weir/one")
        assert len(service.asked) == tries


@pytest.mark.parametrize("answer", [(502, b"<html>"), (200, b"[]"), (400, b"{}")], ids=["html", "list", "no code"])
def test_what_no_service_says_is_no_answer(monkeypatch: pytest.MonkeyPatch, answer: tuple[int, bytes]) -> None:
    with Played(answer, answer) as service, pytest.raises(aws_signed.NotAnswered, match=f"status {answer[0]}"):
        aws_signed.call("ssm", "GetParameter", {}, {**FUNCTION, "AWS_ENDPOINT_URL_SSM": service.url})


def test_nobody_there_and_a_service_that_hangs_are_no_answer(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        with pytest.raises(secret_references.NotReached, match=r"[Tt]imeout"):
            secret_references.fetch("/weir/one")
    with pytest.raises(secret_references.NotReached, match="Connection"):
        secret_references.fetch("/weir/one")


FUNCTION = {
    "AWS_LAMBDA_FUNCTION_NAME": "weir-collect",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_SESSION_TOKEN": "session",
    "AWS_REGION": REGION,
}


def test_a_function_says_whose_session_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with Played(GOOD) as service:
        aws_signed.call("ssm", "GetParameter", {"Name": "/a"}, {**FUNCTION, "AWS_ENDPOINT_URL": service.url})
        headers = {name.lower(): value for name, value in service.asked[0]["headers"].items()}
    assert headers["x-amz-security-token"] == "session"
    assert headers["x-amz-target"] == "AmazonSSM.GetParameter"
    assert "x-amz-security-token" in headers["authorization"]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_function_asks_over_tls_whom_the_machine_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    certificate, key = own_certificate(tmp_path)
    aws_signed._trusted.cache_clear()
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Played(GOOD, over=(certificate, key)) as service:
        environ = {**FUNCTION, "AWS_ENDPOINT_URL": service.url}
        if trusted:
            assert aws_signed.call("ssm", "GetParameter", {}, environ)["Parameter"]["Value"] == "word"
        else:
            with pytest.raises(aws_signed.NotAnswered, match="SSLCertVerificationError"):
                aws_signed.call("ssm", "GetParameter", {}, environ)
    aws_signed._trusted.cache_clear()


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody but itself has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weir")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


@pytest.mark.parametrize("place", ["http://127.0.0.1:abc", "http://[::1", "nowhere"])
def test_an_address_that_is_none_is_no_answer(place: str) -> None:
    with pytest.raises(aws_signed.NotAnswered):
        aws_signed.call("ssm", "GetParameter", {}, {**FUNCTION, "AWS_ENDPOINT_URL": place})


def test_credentials_that_cannot_be_sent_are_not_shown() -> None:
    environ = {**FUNCTION, "AWS_SESSION_TOKEN": "hunter2\nX", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    with pytest.raises(aws_signed.NotAnswered) as caught:
        aws_signed.call("ssm", "GetParameter", {}, environ)
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown


@pytest.mark.parametrize("told", [{}, {"Parameter": None}, {"Parameter": {"Value": None}}])
def test_an_answer_without_a_text_holds_no_text(monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]) -> None:
    for name in aws_signed.ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    with Played((200, json.dumps(told).encode())) as service:
        for name, value in {**FUNCTION, "AWS_ENDPOINT_URL": service.url}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Misconfigured, match="holds no text"):
            secret_references.fetch("/weir/one")
