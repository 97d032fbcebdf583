"""Secrets kept in HashiCorp Vault or OpenBao, version 2 of their key-value store.

Where the server is and who we are is told by its own variables: VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT.
"""

import os
import re
from typing import Final

import hvac
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, Unauthorized, VaultError
from requests.exceptions import RequestException

from router.errors import Refused, Unavailable

TIMEOUT_SECONDS: Final = 5
_LOCATOR: Final = re.compile(r"(?P<mount>[^/#]+)/(?P<path>[^#]+)#(?P<field>[^#]+)")


def open_in_vault(locator: str) -> str:
    """Return the text at `mount/path#field`.

    Refused: secret_missing, the server holds no such text, or does not let us read it. Unavailable: the server is away or sealed.
    Messages name the place; never a value, never our token.
    """
    place = _LOCATOR.fullmatch(locator)
    if place is None:
        raise Refused("secret_missing", "a vault: secret reference is written vault:mount/path#field")
    address = os.environ.get("VAULT_ADDR")
    if not address:
        raise Refused("secret_missing", "a vault: secret reference needs VAULT_ADDR, the address of the server, and VAULT_TOKEN")
    where = f"vault:{place['mount']}/{place['path']}"
    try:
        client = hvac.Client(
            url=address,
            token=os.environ.get("VAULT_TOKEN"),
            namespace=os.environ.get("VAULT_NAMESPACE"),
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        answer = client.secrets.kv.v2.read_secret_version(
            path=place["path"], mount_point=place["mount"], raise_on_deleted_version=True
        )
    except InvalidPath:
        raise Refused("secret_missing", f"the vault holds nothing at {where}") from None
    except (Forbidden, Unauthorized, InvalidRequest):
        raise Refused("secret_missing", f"the vault does not let us read {where}: look at VAULT_TOKEN and its policy") from None
    except (VaultError, RequestException, ValueError) as error:
        raise Unavailable(
            f"the vault does not answer ({type(error).__name__}): look at VAULT_ADDR, and whether it is sealed"
        ) from None
    value = answer["data"]["data"].get(place["field"]) if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value:
        raise Refused("secret_missing", f"{where} has no text in its field {place['field']}")
    return value
