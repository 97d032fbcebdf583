"""The vendor's own Daraja credentials: opened where they are used, at the moment of use, kept nowhere."""

from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from router.errors import Refused

Secret = Annotated[SecretStr, Field(min_length=1)]


class Credentials(BaseModel):
    """Shape: {"consumer_key": "…", "consumer_secret": "…", "passkey": "…"}. A repr shows stars."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    consumer_key: Secret
    consumer_secret: Secret
    passkey: Secret


def open_credentials(reference: str, open_secret: Callable[[str], str]) -> Credentials:
    """Open the bundle a reference names.

    Refused: the secret is missing, or is not the JSON object above. The message names the fields, never a value.
    """
    opened = open_secret(reference)
    try:
        return Credentials.model_validate_json(opened)
    except ValidationError as error:
        wrong = ", ".join(".".join(str(part) for part in fault["loc"]) or "the whole text" for fault in error.errors())
    kind = reference.partition(":")[0]
    raise Refused(
        "secret_malformed",
        f"the M-Pesa secret behind the {kind}: reference must be a JSON object with consumer_key, consumer_secret and passkey"
        f" (wrong: {wrong})",
    )
