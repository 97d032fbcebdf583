import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from time import sleep

import pytest
import redis
from pydantic import SecretStr

from payments.access_token import AccessToken, AccessTokens
from payments.credentials import Credentials
from router.errors import Unavailable
from router.wakeups import connect

HOST = "sandbox"


def credentials(key: str = "key") -> Credentials:
    return Credentials(consumer_key=SecretStr(key), consumer_secret=SecretStr("secret"), passkey=SecretStr("passkey"))


class Issuer:
    """Issues token-1, token-2, … and counts."""

    def __init__(self, *, seconds: int = 3599, slow: float = 0.0) -> None:
        self.numbers, self.issued, self.seconds, self.slow = count(1), 0, seconds, slow

    def __call__(self) -> AccessToken:
        sleep(self.slow)
        self.issued += 1
        return AccessToken(value=SecretStr(f"token-{next(self.numbers)}"), expires_in_seconds=self.seconds)


@pytest.fixture(params=["redis", "alone", "redis is away"])
def make(request: pytest.FixtureRequest, redis_url: str) -> Callable[[], AccessTokens]:
    urls = {"redis": redis_url, "redis is away": "redis://127.0.0.1:9/0"}
    url = urls.get(request.param)
    return lambda: AccessTokens(connect(url, timeout_seconds=0.2) if url else None)


def test_a_token_is_fetched_once_and_kept(make: Callable[[], AccessTokens]) -> None:
    tokens, issuer = make(), Issuer()
    assert [tokens.get(HOST, credentials(), issuer).get_secret_value() for _ in range(3)] == ["token-1"] * 3
    assert issuer.issued == 1


def test_threads_that_ask_at_once_fetch_once(make: Callable[[], AccessTokens]) -> None:
    tokens, issuer = make(), Issuer(slow=0.05)
    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(lambda _: tokens.get(HOST, credentials(), issuer).get_secret_value(), range(8)))
    assert (got, issuer.issued) == ({"token-1"}, 1)


@pytest.mark.case(23)
def test_two_processes_share_one_token_through_redis(redis_url: str) -> None:
    issuer, together = Issuer(slow=0.1), threading.Barrier(4)

    def process(_: int) -> str:
        tokens = AccessTokens(connect(redis_url))
        together.wait(timeout=5)
        return tokens.get(HOST, credentials(), issuer).get_secret_value()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(process, range(4))) == {"token-1"}
    assert issuer.issued == 1


def test_each_consumer_key_and_each_host_has_its_own(make: Callable[[], AccessTokens]) -> None:
    tokens, issuer = make(), Issuer()
    got = [
        tokens.get(host, credentials(key), issuer).get_secret_value()
        for host, key in (("a", "one"), ("a", "two"), ("b", "one"), ("a", "one"))
    ]
    assert got == ["token-1", "token-2", "token-3", "token-1"]


def test_a_purged_token_is_fetched_anew_and_a_newer_one_stays(make: Callable[[], AccessTokens]) -> None:
    tokens, issuer = make(), Issuer()
    first = tokens.get(HOST, credentials(), issuer)
    tokens.purge(HOST, credentials(), first)
    second = tokens.get(HOST, credentials(), issuer)
    tokens.purge(HOST, credentials(), first)
    assert tokens.get(HOST, credentials(), issuer) == second
    assert issuer.issued == 2


def test_a_token_another_process_purged_is_not_used_from_our_own_memory(redis_url: str) -> None:
    ours, theirs, issuer = AccessTokens(connect(redis_url)), AccessTokens(connect(redis_url)), Issuer()
    first = ours.get(HOST, credentials(), issuer)
    theirs.purge(HOST, credentials(), first)
    assert ours.get(HOST, credentials(), issuer).get_secret_value() == "token-2"


def test_a_token_is_renewed_five_minutes_before_it_ends() -> None:
    seconds = [0.0]
    tokens, issuer = AccessTokens(None, monotonic=lambda: seconds[0]), Issuer(seconds=3600)
    for at, expected in ((0.0, "token-1"), (3299.0, "token-1"), (3300.0, "token-2")):
        seconds[0] = at
        assert tokens.get(HOST, credentials(), issuer).get_secret_value() == expected


def test_redis_keeps_it_as_long_and_under_no_readable_key(redis_url: str) -> None:
    AccessTokens(connect(redis_url)).get(HOST, credentials("canary-key"), Issuer(seconds=3600))
    with redis.Redis.from_url(redis_url) as client:
        (name,) = client.keys()
        assert b"canary" not in name
        assert 3290 < int(client.ttl(name)) <= 3300


def test_what_the_fetch_raises_passes_and_leaves_no_lock(make: Callable[[], AccessTokens]) -> None:
    def fail() -> AccessToken:
        raise Unavailable("no token")

    tokens = make()
    with pytest.raises(Unavailable):
        tokens.get(HOST, credentials(), fail)
    assert tokens.get(HOST, credentials(), Issuer()).get_secret_value() == "token-1"
    assert make().get(HOST, credentials("other"), Issuer()).get_secret_value() == "token-1"
