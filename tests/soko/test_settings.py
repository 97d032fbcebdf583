from pathlib import Path

import pytest

from soko.errors import NotReady
from soko.settings import Settings, find_problems, load_settings, show_settings

COMPLETE = {
    "SOKO_ENV": "production",
    "SOKO_PLATFORM_URL": "postgresql://soko:s3cret@db/platform",
    "SOKO_OPS_URL": "postgresql://soko:s3cret@db/ops",
    "SOKO_REDIS_URL": "redis://cache/0",
    "SOKO_PUBLIC_URL": "https://shop.example.co.ke",
    "SOKO_WHATSAPP_APP_SECRET": "env:THE_APP_SECRET",
    "SOKO_WHATSAPP_VERIFY_TOKEN": "env:THE_VERIFY_TOKEN",
    "SOKO_PHONE_KEY": "env:THE_PHONE_KEY",
    "SOKO_WEBHOOK_KEY": "env:THE_WEBHOOK_KEY",
    "THE_APP_SECRET": "a",
    "THE_VERIFY_TOKEN": "b",
    "THE_PHONE_KEY": "c" * 32,
    "THE_WEBHOOK_KEY": "d" * 32,
}


def set_all(monkeypatch: pytest.MonkeyPatch, *, but: dict[str, str] | None = None) -> None:
    for name, value in (COMPLETE | (but or {})).items():
        monkeypatch.setenv(name, value)


def problems(monkeypatch: pytest.MonkeyPatch, *, but: dict[str, str]) -> str:
    set_all(monkeypatch, but=but)
    with pytest.raises(NotReady) as refusal:
        load_settings(None)
    return str(refusal.value)


def test_development_needs_nothing() -> None:
    settings = load_settings(None)
    assert (settings.env, settings.port, settings.home) == ("development", 3030, Path(".soko"))
    assert (settings.graph_url, settings.daraja_url) == ("http://127.0.0.1:3031", "http://127.0.0.1:3032")
    assert settings.public_url == "http://127.0.0.1:3030"
    assert settings.open_secret(settings.whatsapp_verify_token) == "dev-verify-token"
    assert settings.open_secret(settings.whatsapp_app_secret) == "dev-app-secret"


def test_the_simulators_stand_above_the_port_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKO_PORT", "4000")
    settings = load_settings(None)
    assert (settings.graph_url, settings.daraja_url) == ("http://127.0.0.1:4001", "http://127.0.0.1:4002")


def test_a_bare_secret_is_itself_in_development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKO_WHATSAPP_VERIFY_TOKEN", "my:token")
    settings = load_settings(None)
    assert settings.open_secret(settings.whatsapp_verify_token) == "my:token"


def test_complete_production_starts_and_speaks_to_the_real_services(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch)
    settings = load_settings(None)
    assert settings.graph_url == "https://graph.facebook.com"
    assert settings.daraja_url == "https://api.safaricom.co.ke"
    assert settings.open_secret(settings.whatsapp_app_secret) == "a"


def test_production_lists_everything_that_is_missing_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKO_ENV", "production")
    with pytest.raises(NotReady) as refusal:
        load_settings(None)
    for name in set(COMPLETE) - {"SOKO_ENV", "THE_APP_SECRET", "THE_VERIFY_TOKEN", "THE_PHONE_KEY", "THE_WEBHOOK_KEY"}:
        assert f"{name} is missing" in str(refusal.value)


@pytest.mark.security(25)
@pytest.mark.parametrize("name", ["SOKO_WHATSAPP_APP_SECRET", "SOKO_WHATSAPP_VERIFY_TOKEN", "SOKO_PHONE_KEY", "SOKO_WEBHOOK_KEY"])
@pytest.mark.parametrize("secret", ["plain:hunter2", "hunter2"])
def test_production_refuses_a_plain_secret_without_repeating_it(monkeypatch: pytest.MonkeyPatch, name: str, secret: str) -> None:
    said = problems(monkeypatch, but={name: secret})
    assert f"{name} is a plain secret" in said
    assert "env:NAME, file:/path or vault:mount/path#field" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("reference", ["env:NOT_SET_ANYWHERE", "file:/not/there", "vault:kv/soko"])
def test_production_refuses_a_secret_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch, reference: str) -> None:
    assert "SOKO_WHATSAPP_APP_SECRET: " in problems(monkeypatch, but={"SOKO_WHATSAPP_APP_SECRET": reference})


@pytest.mark.parametrize("name", ["SOKO_GRAPH_URL", "SOKO_DARAJA_URL", "SOKO_PUBLIC_URL"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:3031", "an address of this machine"),
        ("https://localhost:3031", "an address of this machine"),
        ("https://[::1]/", "an address of this machine"),
        ("https://0.0.0.0/", "an address of this machine"),
        ("http://graph.example.com", "not https://"),
    ],
)
@pytest.mark.case(64)
def test_production_refuses_simulators_and_open_lines(monkeypatch: pytest.MonkeyPatch, name: str, url: str, reason: str) -> None:
    said = problems(monkeypatch, but={name: url})
    assert f"{name} is {url}" in said
    assert reason in said


@pytest.mark.parametrize("url", ["https://mpesa.example.com", "https://pay.example.com/Query", "http://127.0.0.1:1/sql"])
def test_case_63_an_address_that_m_pesa_never_calls_is_refused_in_every_mode(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SOKO_PUBLIC_URL", url)
    with pytest.raises(NotReady, match="M-Pesa calls no address with"):
        load_settings(env_file=None)


def test_a_value_of_the_wrong_kind_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKO_PORT", "many")
    monkeypatch.setenv("SOKO_ENV", "staging")
    with pytest.raises(NotReady, match=r"SOKO_ENV: .*'development' or 'production'(.|\n)*SOKO_PORT: .*integer"):
        load_settings(None)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKO_REDIS_URL", "")
    assert load_settings(None).redis_url is None


def test_shown_settings_tell_their_source_and_hide_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("SOKO_OPS_URL=postgresql://soko:s3cret@db/ops\nSOKO_PORT=4000\nOTHER=1\n")
    monkeypatch.setenv("SOKO_PORT", "5000")
    monkeypatch.setenv("SOKO_WHATSAPP_APP_SECRET", "hunter2")
    monkeypatch.setenv("SOKO_WHATSAPP_VERIFY_TOKEN", "env:THE_VERIFY_TOKEN")
    shown = {setting.name: setting for setting in show_settings(load_settings(env_file), env_file)}
    assert (shown["SOKO_PORT"].value, shown["SOKO_PORT"].source) == ("5000", "environment")
    assert (shown["SOKO_OPS_URL"].value, shown["SOKO_OPS_URL"].source) == ("postgresql://soko:****@db/ops", ".env")
    assert (shown["SOKO_HOME"].value, shown["SOKO_HOME"].source) == (".soko", "default")
    assert shown["SOKO_WHATSAPP_APP_SECRET"].value == "plain:****"
    assert shown["SOKO_WHATSAPP_VERIFY_TOKEN"].value == "env:THE_VERIFY_TOKEN"
    assert set(shown) == {f"SOKO_{name.upper()}" for name in Settings.model_fields}


def test_development_has_no_problems() -> None:
    assert list(find_problems(Settings(_env_file=None))) == []
