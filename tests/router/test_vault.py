"""Secrets in a vault: what our side does with each answer; and, where a server is installed, the real one."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic, sleep

import hvac
import pytest
import requests

from router.errors import Refused, Unavailable
from router.secret_refs import open_secret

TOKEN = "vault-token-canary"
VALUE = "s3cr3t-canary"
REFERENCE = "vault:kv/soko/shop#mpesa"
SERVER = shutil.which("bao") or shutil.which("vault")


class KeyValue(BaseHTTPRequestHandler):
    """Answers as a key-value store of version 2 does."""

    def do_GET(self) -> None:
        match (self.headers["X-Vault-Token"], self.path):
            case (token, _) if token != TOKEN:
                self.answer(403, {"errors": ["permission denied"]})
            case (_, "/v1/kv/data/soko/shop"):
                self.answer(200, {"data": {"data": {"mpesa": VALUE, "number": 7}, "metadata": {"version": 1}}})
            case (_, "/v1/kv/data/sealed"):
                self.answer(503, {"errors": ["Vault is sealed"]})
            case (_, "/v1/kv/data/html"):
                self.answer(200, "<html>")
            case _:
                self.answer(404, {"errors": []})

    def answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode() if isinstance(body, str) else json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), KeyValue)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def vault(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", address)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)


def test_a_field_is_read_from_the_vault() -> None:
    assert open_secret(REFERENCE, allow_plain=False) == VALUE


@pytest.mark.parametrize("reference", ["vault:", "vault:kv", "vault:kv/soko", "vault:kv#x", "vault:kv/soko#", "vault:#x"])
def test_a_reference_without_its_parts_is_refused_and_nobody_is_asked(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    with pytest.raises(Refused, match="mount/path#field"):
        open_secret(reference, allow_plain=False)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("vault:kv/nothing#mpesa", "holds nothing at vault:kv/nothing"),
        ("vault:kv/soko/shop#other", "no text in its field other"),
        ("vault:kv/soko/shop#number", "no text in its field number"),
    ],
)
def test_what_the_vault_does_not_hold_is_named(reference: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        open_secret(reference, allow_plain=False)
    assert VALUE not in str(refused.value)


def test_a_token_that_may_not_read_is_told_without_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "another-canary")
    with pytest.raises(Refused, match="VAULT_TOKEN and its policy") as refused:
        open_secret(REFERENCE, allow_plain=False)
    assert "another-canary" not in str(refused.value)


@pytest.mark.parametrize("path", ["sealed", "html"])
def test_a_vault_that_cannot_answer_is_waited_for(path: str) -> None:
    with pytest.raises((Unavailable, Refused)) as caught:
        open_secret(f"vault:kv/{path}#mpesa", allow_plain=False)
    assert isinstance(caught.value, Unavailable) == (path == "sealed")


def test_a_vault_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="VAULT_ADDR") as caught:
        open_secret(REFERENCE, allow_plain=False)
    assert TOKEN not in str(caught.value)


def test_without_an_address_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_ADDR")
    with pytest.raises(Refused, match="VAULT_ADDR"):
        open_secret(REFERENCE, allow_plain=False)


@pytest.mark.skipif(SERVER is None, reason="no OpenBao or Vault server (bao, vault) is installed here")
def test_a_real_server_gives_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SERVER
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [SERVER, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={TOKEN}", f"-dev-listen-address={listen}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        client = hvac.Client(url=f"http://{listen}", token=TOKEN)
        until = monotonic() + 10
        while monotonic() < until:
            try:
                client.secrets.kv.v2.create_or_update_secret(path="soko/shop", secret={"mpesa": VALUE}, mount_point="secret")
                break
            except (requests.RequestException, hvac.exceptions.VaultError):
                sleep(0.1)
        monkeypatch.setenv("VAULT_ADDR", f"http://{listen}")
        assert open_secret("vault:secret/soko/shop#mpesa", allow_plain=False) == VALUE
    finally:
        server.terminate()
        server.wait(10)
