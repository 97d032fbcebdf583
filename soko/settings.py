"""What can be set, from the environment or `.env`: development works with nothing set, production refuses to guess."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from payments.callback_urls import BANNED_WORDS
from payments.peers import SAFARICOM, Lock, Peers, parse_networks
from router.errors import Refused, Unavailable
from router.secret_refs import open_secret
from soko.errors import NotReady

PREFIX: Final = "SOKO_"
SECRET_KINDS: Final = ("plain:", "env:", "file:", "vault:")
SECRETS: Final = ("whatsapp_app_secret", "whatsapp_verify_token", "phone_key", "webhook_key")
REAL_GRAPH_URL: Final = "https://graph.facebook.com"
REAL_DARAJA_URL: Final = "https://api.safaricom.co.ke"
CALLS_A_MINUTE: Final = {"api.safaricom.co.ke": 20, "sandbox.safaricom.co.ke": 4}  # below what Safaricom was seen to allow


def to_reference(secret: str) -> str:
    """Take a bare value as a `plain:` reference, which production refuses."""
    return secret if not secret or secret.startswith(SECRET_KINDS) else f"plain:{secret}"


def check_networks(text: str) -> str:
    """Pass a list of addresses and networks. ValueError names the one that is neither."""
    parse_networks(text)
    return text


Networks = Annotated[str, AfterValidator(check_networks)]
SecretReference = Annotated[str, AfterValidator(to_reference)]


def by_mode(*, development: str | int, production: str = "") -> Callable[[dict[str, Any]], str]:
    """Make a default that depends on the mode; an int is that many ports above ours, on this machine."""

    def choose(data: dict[str, Any]) -> str:
        if data.get("env") == "production":
            return production
        return development if isinstance(development, str) else f"http://127.0.0.1:{data.get('port', 0) + development}"

    return choose


def choose_calls(data: dict[str, Any]) -> int:
    """Choose the rate of calls by who answers them; a simulator takes what it gets."""
    return CALLS_A_MINUTE.get(urlsplit(data.get("daraja_url", "")).hostname or "", 600)


class Settings(BaseSettings):
    """The settings of one installation. Read them with load_settings(), which also says what is wrong with them.

    Shape:  every name is an environment variable with SOKO_ before it: home -> SOKO_HOME
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    env: Literal["development", "production"] = Field("development", description="development, or production: nothing is guessed")
    home: Path = Field(Path(".soko"), description="where the embedded databases live")
    port: int = Field(3030, ge=1, le=65533, description="the web port; development's simulators take the next two")
    platform_url: str | None = Field(None, description="PostgreSQL of the control plane; embedded when not set")
    ops_url: str | None = Field(None, description="PostgreSQL of shared operations; embedded when not set")
    redis_url: str | None = Field(None, description="Redis or Valkey; embedded when not set")
    graph_url: str = Field(
        default_factory=by_mode(development=1, production=REAL_GRAPH_URL),
        description="WhatsApp Cloud API; the simulator in development",
    )
    daraja_url: str = Field(
        default_factory=by_mode(development=2, production=REAL_DARAJA_URL),
        description="M-Pesa's Daraja; the simulator in development",
    )
    daraja_calls_a_minute: int = Field(
        default_factory=choose_calls,
        ge=2,
        description="the most pushes and queries a minute for one consumer key; Safaricom answers more with a spike arrest",
    )
    daraja_pull_method: Literal["GET", "POST"] = Field(
        "POST", description="how Pull Transactions is asked: Safaricom's page says GET, and shows a body"
    )
    callback_ips: Networks = Field(
        ",".join(SAFARICOM), description="who may call back about payments: addresses and networks with commas between them"
    )
    callback_ip_lock: Lock = Field(
        Lock.LOG, description="a callback from elsewhere: off takes it, log tells of it, enforce refuses it"
    )
    trusted_proxies: Networks = Field("", description="our own proxies: X-Forwarded-For is believed from these alone")
    public_url: str = Field(default_factory=by_mode(development=0), description="where WhatsApp and M-Pesa reach us")
    whatsapp_app_secret: SecretReference = Field(
        default_factory=by_mode(development="plain:dev-app-secret"),
        description="signs WhatsApp's webhooks: env:NAME, file:/path or vault:mount/path#field",
    )
    whatsapp_verify_token: SecretReference = Field(
        default_factory=by_mode(development="plain:dev-verify-token"),
        description="answers WhatsApp's challenge: env:NAME, file:/path or vault:mount/path#field",
    )
    phone_key: SecretReference = Field(
        default_factory=by_mode(development="plain:dev-phone-key-of-32-characters-or-more"),
        description="seals phone numbers in the databases: env:NAME, file:/path or vault:mount/path#field; keep it for ever",
    )
    phone_key_before: SecretReference = Field("", description="the phone key before this one, until `soko customer seal` is done")
    webhook_key: SecretReference = Field(
        default_factory=by_mode(development="plain:dev-webhook-key-of-32-characters-or-more"),
        description="makes the secrets of vendors' webhooks: env:NAME, file:/path or vault:mount/path#field",
    )
    webhook_key_before: SecretReference = Field(
        "", description="the webhook key before this one: it signs too, until every vendor has rotated"
    )
    trace_days: int = Field(14, ge=1, le=365, description="for how many days each turn is kept as it went")

    @property
    def is_development(self) -> bool:
        """Tell whether plain secrets, simulators and embedded databases are fine."""
        return self.env == "development"

    @property
    def callback_peers(self) -> Peers:
        """Who may call back about payments. The simulator in development calls from this machine."""
        simulated = self.is_development and _is_loopback(urlsplit(self.daraja_url).hostname or "")
        lock = Lock.OFF if simulated else self.callback_ip_lock
        return Peers(lock=lock, listed=parse_networks(self.callback_ips), proxies=parse_networks(self.trusted_proxies))

    def open_phone_keys(self) -> list[str]:
        """Open the keys that seal phone numbers, the one in use first. Errors: Refused, Unavailable."""
        return [self.open_secret(reference) for reference in (self.phone_key, self.phone_key_before) if reference]

    def open_webhook_keys(self) -> list[str]:
        """Open the keys that webhooks' secrets are made from, the one in use first. Errors: Refused, Unavailable."""
        return [self.open_secret(reference) for reference in (self.webhook_key, self.webhook_key_before) if reference]

    def open_secret(self, reference: str) -> str:
        """Open a secret at its use: what Databases takes as resolve_secret. Errors: Refused."""
        return open_secret(reference, allow_plain=self.is_development)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One setting as an operator may see it."""

    name: str
    value: str
    source: Literal["environment", ".env", "default"]
    about: str


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings. Errors: NotReady with every problem, each with its setting's name and the fix."""
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as error:
        problems = [
            f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}"
            for item in error.errors()
            if item["type"] != "default_factory_not_called"  # follows from the others
        ]
    else:
        problems = list(find_problems(settings))
        if not problems:
            return settings
    lines = "\n".join(f"  {problem}" for problem in problems)
    raise NotReady(f"The settings are not complete. Set these in the environment or in .env:\n{lines}")


def find_problems(settings: Settings) -> Iterator[str]:
    """Say what is missing or wrong. Development lacks nothing; an address that M-Pesa never calls helps nobody."""
    banned = [word for word in BANNED_WORDS if word in settings.public_url.lower()]
    if banned:
        yield (
            f"{to_variable('public_url')} is {settings.public_url}, and M-Pesa calls no address with “{banned[0]}” in it."
            f" Use another host name; banned are {', '.join(BANNED_WORDS)}."
        )
    if settings.is_development:
        return
    for name in SECRETS:
        yield from _secret_problems(name, getattr(settings, name))
    for name in ("graph_url", "daraja_url", "public_url"):
        yield from _address_problems(name, getattr(settings, name))
    for name in ("platform_url", "ops_url", "redis_url"):
        if not getattr(settings, name):
            kind = "redis:// or rediss://" if name == "redis_url" else "postgresql://"
            yield f"{to_variable(name)} is missing: embedded servers are for development. Set it to a {kind} URL."


def show_settings(settings: Settings, env_file: Path = Path(".env")) -> list[Shown]:
    """List every setting with its effective value and where it comes from; secrets are masked."""
    in_environment = EnvSettingsSource(Settings)()
    in_file = DotEnvSettingsSource(Settings, env_file=env_file)()
    return [
        Shown(
            name=to_variable(name),
            value=_masked(name, getattr(settings, name)),
            source="environment" if name in in_environment else ".env" if name in in_file else "default",
            about=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def to_variable(name: str) -> str:
    """Name the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def _secret_problems(name: str, reference: str) -> Iterator[str]:
    fix = f"Set it to env:NAME, file:/path or vault:mount/path#field, for example {to_variable(name)}=file:/run/secrets/{name}."
    if not reference or reference == "plain:":
        yield f"{to_variable(name)} is missing. {fix}"
    elif reference.startswith("plain:"):
        yield f"{to_variable(name)} is a plain secret, which production refuses. {fix}"
    else:
        try:
            open_secret(reference, allow_plain=False)
        except (Refused, Unavailable) as error:
            yield f"{to_variable(name)}: {error}"


def _address_problems(name: str, url: str) -> Iterator[str]:
    variable = to_variable(name)
    if not url:
        yield f"{variable} is missing: WhatsApp and M-Pesa call back to it. Set it to the https:// address of this server."
    elif _is_loopback(urlsplit(url).hostname or ""):
        yield f"{variable} is {url}, an address of this machine, where simulators live. Set it to the real https:// address."
    elif not url.startswith("https://"):
        yield f"{variable} is {url}, which is not https://. Secrets and money travel there: use https://."


def _is_loopback(host: str) -> bool:
    if host in ("", "localhost") or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _masked(name: str, value: object) -> str:
    """Hide plain secrets and the passwords inside URLs; references such as env:NAME tell nothing and stay."""
    text = "" if value is None else str(value)
    if name in SECRETS or name in ("phone_key_before", "webhook_key_before"):
        return "plain:****" if text.startswith("plain:") else text
    text = re.sub(r"(://[^/@\s]*:)[^@\s]*(@)", r"\1****\2", text)
    return re.sub(r"(password=)[^&\s]+", r"\1****", text, flags=re.IGNORECASE)
