"""What a callback's address may say. Source: Daraja 3.0 portal, M-Pesa Express, read 2025-12-28."""

from typing import Final

# Safaricom refuses callback URLs with these words, in any case.
BANNED_WORDS: Final = ("m-pesa", "mpesa", "safaricom", "exec", "exe", "cmd", "sql", "query")


def has_banned_word(text: str) -> bool:
    """Tell whether Safaricom would refuse a callback URL with this text in it."""
    return any(word in text.lower() for word in BANNED_WORDS)
