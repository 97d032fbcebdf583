"""A write with an Idempotency-Key happens once: its answer is kept in its own transaction and given again to a repeat."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from pydantic import BaseModel

from router.errors import Refused
from router.json_values import JsonText
from router.work import Work

Answer = TypeVar("Answer", bound=BaseModel)

# A repeat that runs at the same moment waits here for the commit of the first.
RESERVE: Final = """
    INSERT INTO api_answers (vendor_id, key, request_sha256, at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
    """
FIND: Final = "SELECT request_sha256, answer FROM api_answers WHERE vendor_id = %s AND key = %s"
KEEP: Final = "UPDATE api_answers SET answer = %s::jsonb WHERE vendor_id = %s AND key = %s"


def once(
    work: Work, key: str | None, request: str, *, kind: type[Answer], do: Callable[[], Answer], now: datetime
) -> tuple[Answer, bool]:
    """Return the answer, and whether it was given before. `request` is all that the write was asked, as text.

    Without a key nothing is kept. Raises Refused("idempotency_key_reused") for another request under the same key.
    """
    if key is None:
        return do(), False
    digest = work.databases.digest(request)
    if work.conn.execute(RESERVE, (work.vendor_id, key, digest, now)).rowcount == 0:
        row = work.conn.execute(FIND, (work.vendor_id, key)).fetchone()
        if row is None or row["request_sha256"] != digest:
            raise Refused("idempotency_key_reused", "this Idempotency-Key was used for another request")
        return kind.model_validate(row["answer"]), True
    answer = do()
    work.conn.execute(KEEP, (JsonText(answer.model_dump_json()), work.vendor_id, key))
    return answer, False
