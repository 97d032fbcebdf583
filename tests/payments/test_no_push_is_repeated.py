"""No way leads back to the POST of a push. `./run check` looks at the files near it; here stands what it would find."""

import pytest

from bench.guards.repeats import find_repeats, repeats


def test_nothing_near_a_push_repeats_it() -> None:
    assert list(repeats()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import tenacity",
        "from backoff import on_exception",
        "from rq import Queue, Retry",
        "queue.enqueue(run, retry=Retry(max=3))",
        "transport = HTTPTransport(retries=1)",
        "while True:\n    daraja.push(request, credentials, token)",
        "for _ in range(2):\n    self._post(path, body, token)",
        "@retry_on(OSError)\ndef push() -> None: ...",
    ],
)
def test_a_helper_that_repeats_is_found(source: str) -> None:
    assert list(find_repeats(source))
