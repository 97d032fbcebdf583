"""The secret in an address that M-Pesa calls."""

import secrets
from base64 import b32encode

from payments.callback_urls import has_banned_word


def draw_token() -> str:
    """Draw 32 characters a-z2-7, 160 bits: whoever knows it is M-Pesa. Safaricom's banned words are drawn again."""
    while True:
        token = b32encode(secrets.token_bytes(20)).decode().lower()
        if not has_banned_word(token):
            return token
