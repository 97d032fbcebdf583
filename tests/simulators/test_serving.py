import os
import signal
import subprocess
import sys
from datetime import timedelta

import httpx
import pytest

from soko.simulators import daraja, whatsapp
from soko.simulators.serving import StartRefusedError, running, serve


def test_no_simulator_is_built_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKO_ENV", "production")
    with pytest.raises(StartRefusedError, match="WhatsApp simulator does not start with SOKO_ENV=production"):
        whatsapp.build_app(app_url="http://127.0.0.1:1")
    with pytest.raises(StartRefusedError, match="Daraja simulator does not start with SOKO_ENV=production"):
        daraja.build_app()


def test_a_simulator_built_before_is_not_served_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    app = daraja.build_app()
    monkeypatch.setenv("SOKO_ENV", "production")
    with pytest.raises(StartRefusedError, match="SOKO_ENV=production"), running(app):
        pass


def test_the_command_refuses_production_with_a_sentence() -> None:
    command = [sys.executable, "-m", "soko.simulators", "whatsapp", "--port", "0"]
    done = subprocess.run(
        command, env={**os.environ, "SOKO_ENV": "production"}, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert "does not start with SOKO_ENV=production" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "shop.example"])
def test_only_loopback_is_bound(host: str) -> None:
    with pytest.raises(StartRefusedError, match="listens on loopback only"):
        serve(daraja.build_app(), 0, host)
    with pytest.raises(StartRefusedError, match="listens on loopback only"), running(daraja.build_app(), host=host):
        pass


def test_answers_leave_at_once(http: httpx.Client) -> None:
    with running(daraja.build_app()) as url:
        fastest = min(http.get(f"{url}/sim/health").elapsed for _ in range(10))
    assert fastest < timedelta(milliseconds=30)  # 40 ms is what a socket that waits for more takes


def test_a_port_that_is_taken_is_named() -> None:
    with running(daraja.build_app()) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(StartRefusedError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            serve(whatsapp.build_app(app_url=url), port)


def test_a_process_answers_and_ends_on_sigterm() -> None:
    command = [sys.executable, "-m", "soko.simulators", "daraja", "--port", "0"]
    with subprocess.Popen(command, env={**os.environ, "SOKO_ENV": "development"}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name, url = process.stdout.readline().split(" simulator on ")
        assert (name, httpx.get(f"{url.strip()}/sim/health", trust_env=False).json()["simulator"]) == ("Daraja", "daraja")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) in (0, -signal.SIGTERM)
