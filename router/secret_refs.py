"""References to secrets, opened at the moment of use. What is stored and passed around is the reference.

Kinds: `plain:VALUE` (development only), `env:NAME`, `file:/absolute/path`, `vault:mount/path#field`.
"""

import os
import re
from pathlib import Path
from typing import Final

from router.errors import Refused

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MOST_BYTES: Final = 65_536
REFERENCE: Final = re.compile(r"plain:.+|env:[A-Za-z_][A-Za-z0-9_]*|file:/.+|vault:[^#]+#.+")
UNSUPPORTED: Final = "this is not a secret reference: use env:NAME, file:/path or vault:mount/path#field"


def require_reference(reference: str) -> None:
    """Pass what reads as a reference; nothing is opened. Raises Refused("secret_kind_unsupported")."""
    if not REFERENCE.fullmatch(reference):
        raise Refused("secret_kind_unsupported", UNSUPPORTED)


def open_secret(reference: str, *, allow_plain: bool) -> str:
    """Return the secret behind a reference.

    Refused: secret_plain_refused, secret_missing, secret_kind_unsupported. Unavailable: the vault is away. Messages name the
    kind and, but for plain, the place to look at; never a value.
    """
    kind, _, locator = reference.partition(":")
    if kind == "plain":
        if not allow_plain:
            raise Refused("secret_plain_refused", "a plain: secret reference is for development: use env:, file: or vault:")
        return _not_empty(locator, "a plain: secret reference holds nothing after the colon")
    if kind == "env":
        return _from_environment(locator)
    if kind == "file":
        return _from_file(locator)
    if kind == "vault":
        from router.vault import open_in_vault  # noqa: PLC0415 - a tenth of a second of every start, for who keeps secrets there

        return open_in_vault(locator)
    # An unknown prefix may be the secret itself, pasted where a reference belongs, so it is not repeated.
    raise Refused("secret_kind_unsupported", UNSUPPORTED)


def _from_environment(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise Refused("secret_missing", "an env: secret reference does not hold a variable's name")
    return _not_empty(os.environ.get(name, ""), f"the environment variable {name} of an env: secret reference is not set")


def _from_file(path: str) -> str:
    if not path.startswith("/"):
        raise Refused("secret_missing", "a file: secret reference does not hold an absolute path")
    try:
        with Path(path).open("rb") as file:
            value = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Refused("secret_missing", f"the file {path} of a file: secret reference cannot be read: {error.strerror}") from None
    if len(value) > MOST_BYTES:
        raise Refused("secret_missing", f"the file {path} of a file: secret reference is larger than {MOST_BYTES} bytes")
    try:
        text = value.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Refused("secret_missing", f"the file {path} of a file: secret reference is not UTF-8 text") from None
    return _not_empty(text, f"the file {path} of a file: secret reference is empty")


def _not_empty(value: str, message: str) -> str:
    if not value:
        raise Refused("secret_missing", message)
    return value
