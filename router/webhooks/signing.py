"""Secrets and signatures of Standard Webhooks. A secret is derived when it is needed, and stored nowhere."""

import hmac
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from router.errors import Broken, Refused

PREFIX: Final = "whsec_"
SHORTEST: Final = 32
BYTES: Final = 32


@dataclass(frozen=True, kw_only=True)
class Signing:
    """`open_keys` gives the platform's webhook key, and the one before it while both sign. `public_only` as in production."""

    open_keys: Callable[[], Sequence[str]] = tuple
    public_only: bool = True

    def secret(self, endpoint_id: UUID, version: int) -> str:
        """Give the secret that a vendor verifies with. Raises Refused, Broken."""
        return PREFIX + b64encode(_derive(self._keys()[0], endpoint_id, version)).decode()

    def sign(self, endpoint_id: UUID, versions: Sequence[int], *, message_id: str, timestamp: int, body: bytes) -> str:
        """Make the header webhook-signature: one signature for each secret that is good now.

        Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md
        """
        signed = f"{message_id}.{timestamp}.".encode() + body
        secrets = [_derive(key, endpoint_id, version) for key in self._keys() for version in versions]
        return " ".join("v1," + b64encode(hmac.digest(secret, signed, "sha256")).decode() for secret in secrets)

    def _keys(self) -> Sequence[str]:
        keys = self.open_keys()
        if not keys:
            raise Broken("there is no webhook key: set SOKO_WEBHOOK_KEY")
        if any(len(key) < SHORTEST for key in keys):
            raise Refused("secret_too_short", f"the webhook key has {SHORTEST} characters at least: set SOKO_WEBHOOK_KEY")
        return keys


def _derive(key: str, endpoint_id: UUID, version: int) -> bytes:
    info = f"soko webhook {endpoint_id} {version}".encode()
    return HKDF(algorithm=SHA256(), length=BYTES, salt=None, info=info).derive(key.encode())
