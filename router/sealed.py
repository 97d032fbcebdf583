"""No phone number crosses into PostgreSQL: each is replaced by its sealed form on the way in, and comes back on the way out.

That happens in psycopg's adapters, so that no statement knows of it: whatever text or JSON is a parameter is looked through,
whatever text or JSON is read is opened. The same number has the same sealed form (AES-SIV: its first bytes are a keyed hash of
the number), so that keys, uniqueness and `=` work as before, and nobody without the key can tell which number it is.

Shape:  "sealed.5f2c91aa.n<base64url>." where a number stood, also inside a longer text: the key's id, what it is
        (n a Kenyan mobile as we keep it, d other digits, t text; the databases' checks read that), the number
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import Connection
from psycopg.adapt import Dumper, Loader
from psycopg.types.json import Jsonb, JsonbDumper
from psycopg.types.string import StrDumperUnknown

from router.errors import Broken, Refused
from router.json_values import JsonText, Phone, Sealed
from router.phones import MOBILE

MARK: Final = "sealed."
_TOKEN: Final = r"sealed\.[0-9a-f]{8}\.[ndt][A-Za-z0-9_-]+\."  # noqa: S105 — a pattern
TOKENS: Final = re.compile(_TOKEN)
# Kenyan numbers as we keep and as people write them; ids of WhatsApp and M-Pesa, which hold a number; and what only looks
# sealed: somebody who saw a sealed form in a dump must not have it opened by writing it to us. Each begins with letters that
# the machine looks for: looking behind comes after that, in Python, for it would make the search ten times as slow.
_REST: Final = r"[ -]?[17][0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{3}(?!\w)"
_NAMING: Final = rf"254{_REST}|0{_REST}|\+254{_REST}|wamid\.[A-Za-z0-9+/=_-]{{16,}}|ws_CO_[0-9A-Za-z]{{16,}}|{_TOKEN}"
NAMING: Final = re.compile(_NAMING)
# In the text of JSON also a number of another country, where it is all that a string holds.
NAMING_IN_JSON: Final = re.compile(rf'{_NAMING}|"[0-9]{{11,13}}"')
GOES_ON: Final = re.compile(r"[\w.+]$|[0-9a-f]{4}-$")  # a longer number before it, or a uuid
ESCAPE: Final = re.compile(r"\\(?:[bfnrt]|u[0-9a-f]{4})$")
BARE: Final = re.compile(r"(?:^|[\[:,])\s*-?$")  # a JSON number, unless a string says just this
LITERAL: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
REMEMBERED: Final = 4096
SHORTEST: Final = 32


class _MaybeBare(Exception):
    """A number in JSON stands where it may be no string."""


class Sealer:
    """Seals with the first key, and opens with every one: the second is the one that the first took over from.

    `open_keys` gives the secrets, of 32 characters at least, when they are first needed.
    """

    def __init__(self, open_keys: Callable[[], Sequence[str]]) -> None:
        self._open_keys = open_keys
        self._ciphers: dict[str, AESSIV] = {}
        self._first = ""
        self._seal = lru_cache(REMEMBERED)(self._seal_anew)
        self._open = lru_cache(REMEMBERED)(self._open_anew)

    def seal(self, text: str) -> Sealed:
        """Seal all of a text."""
        return self._seal(self._key(), str(text))

    def hide(self, text: str) -> str:
        """Seal the numbers inside a text."""
        return NAMING.sub(self._hidden, text)

    def hide_in_json(self, text: str) -> str:
        """Seal the numbers inside the strings of a JSON text; a JSON number stays, or it would be JSON no more."""
        try:
            return NAMING_IN_JSON.sub(self._hidden_in_json, text)
        except _MaybeBare:
            return LITERAL.sub(lambda found: NAMING_IN_JSON.sub(self._hidden_in_literal, found[0]), text)

    def open(self, text: str) -> str:
        """Open what is sealed inside a text. Raises Broken when it was sealed with a key that we do not have."""
        return TOKENS.sub(self._opened, text) if MARK in text else text

    def forms(self, phone: str) -> list[Sealed]:
        """Give every form in which a whole number can stand in a row: by each key, and as it was before there was one."""
        self._key()
        return [*(self._seal(key, str(phone)) for key in self._ciphers), Sealed(phone)]

    def register(self, conn: Connection[Any], *, plain_text: bool) -> None:
        """Make what this connection writes and reads pass here; `plain_text`: but for what is written as text."""
        for kind, dumper in _dumpers(self):
            if kind is not str or not plain_text:
                conn.adapters.register_dumper(kind, dumper)
        for name, loader in _loaders(self):
            conn.adapters.register_loader(name, loader)

    def _key(self) -> str:
        """Derive the ciphers once; returns the id of the key that seals."""
        if not self._ciphers:
            self._ciphers = dict(_derive(secret) for secret in self._open_keys())
            self._first = next(iter(self._ciphers))
        return self._first

    def _seal_anew(self, key: str, text: str) -> Sealed:
        kind = "n" if MOBILE.fullmatch(text) else "d" if text.isdecimal() else "t"
        sealed = urlsafe_b64encode(self._ciphers[key].encrypt(text.encode(), [kind.encode()])).decode().rstrip("=")
        return Sealed(f"{MARK}{key}.{kind}{sealed}.")

    def _open_anew(self, token: str) -> str:
        self._key()
        _, key, sealed, _ = token.split(".")
        if key not in self._ciphers:
            raise Broken(f"a row is sealed with key {key}, which we do not have: name it by SOKO_PHONE_KEY_BEFORE")
        try:
            kind, data = sealed[:1].encode(), sealed[1:] + "=" * (-(len(sealed) - 1) % 4)
            return self._ciphers[key].decrypt(urlsafe_b64decode(data), [kind]).decode()
        except (InvalidTag, ValueError) as error:
            raise Broken(f"a sealed number was changed in the database, or key {key} is another one") from error

    def _hidden(self, found: re.Match[str]) -> str:
        text = found[0]
        if text[0] in "+02" and GOES_ON.search(found.string[max(0, found.start() - 5) : found.start()]):
            return text
        return self.seal(text)

    def _hidden_in_json(self, found: re.Match[str]) -> str:
        if found[0].isdecimal() and BARE.search(found.string[max(0, found.start() - 20) : found.start()]):
            raise _MaybeBare
        return self._hidden_in_literal(found)

    def _hidden_in_literal(self, found: re.Match[str]) -> str:
        text = found[0]
        if text[0] == '"':
            return f'"{self.seal(text[1:-1])}"'
        before = found.string[max(0, found.start() - 6) : found.start()]
        if text[0] in "+02" and GOES_ON.search(before) and not ESCAPE.search(before):
            return text
        return self.seal(text)

    def _opened(self, found: re.Match[str]) -> str:
        return self._open(found[0])


def _derive(secret: str) -> tuple[str, AESSIV]:
    if len(secret) < SHORTEST:
        raise Refused("phone_key_short", f"SOKO_PHONE_KEY has {len(secret)} characters: make one with `openssl rand -base64 48`")
    derived = HKDF(algorithm=SHA256(), length=68, salt=None, info=b"soko phones 1").derive(secret.encode())
    return derived[:4].hex(), AESSIV(derived[4:])


def _dumpers(sealer: Sealer) -> list[tuple[type, type[Dumper]]]:
    class Text(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(sealer.hide(obj))

    class WholePhone(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(sealer.seal(obj))

    class JsonAsText(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(sealer.hide_in_json(obj))

    class JsonValue(JsonbDumper):
        def dump(self, obj: Any) -> Any:
            return sealer.hide_in_json((obj.dumps or json.dumps)(obj.obj)).encode()

    return [(str, Text), (Sealed, StrDumperUnknown), (Phone, WholePhone), (JsonText, JsonAsText), (Jsonb, JsonValue)]


def _loaders(sealer: Sealer) -> list[tuple[str, type[Loader]]]:
    class Text(Loader):
        def load(self, data: Any) -> str:
            return sealer.open(bytes(data).decode())

    class Json(Loader):
        def load(self, data: Any) -> Any:
            return json.loads(sealer.open(bytes(data).decode()))

    return [("text", Text), ("json", Json), ("jsonb", Json)]
