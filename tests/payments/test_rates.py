from collections.abc import Callable

import pytest
import redis

from payments.access_token import AccessTokens
from payments.daraja import DarajaClient
from payments.rates import Rates
from router.wakeups import connect
from tests.payments.conftest import Mpesa
from tests.payments.shop import Shop
from tests.payments.test_access_token import HOST, credentials

Make = Callable[[int], Rates]


@pytest.fixture(params=["redis", "alone"])
def make(request: pytest.FixtureRequest, redis_url: str) -> Make:
    return lambda per_minute: Rates(connect(redis_url) if request.param == "redis" else None, per_minute=per_minute)


def away() -> redis.Redis:
    return connect("redis://127.0.0.1:9/0", timeout_seconds=0.2)


def test_a_minute_has_so_many_pushes_and_no_more(make: Make) -> None:
    rates = make(3)
    assert [rates.take_push(HOST, credentials()) for _ in range(5)] == [True, True, True, False, False]
    assert rates.take_push(HOST, credentials("other"))
    assert rates.take_push("production", credentials())


def test_queries_leave_room_for_pushes(make: Make) -> None:
    rates = make(4)
    assert [rates.take_query(HOST, credentials()) for _ in range(4)] == [True, True, True, False]
    assert rates.take_push(HOST, credentials())
    assert not rates.take_push(HOST, credentials())


def test_after_a_spike_arrest_nobody_calls_for_a_minute(make: Make) -> None:
    rates = make(4)
    rates.rest(HOST, credentials())
    assert not rates.take_push(HOST, credentials())
    assert not rates.take_query(HOST, credentials())
    assert rates.take_push(HOST, credentials("other"))


def test_two_processes_count_together(redis_url: str) -> None:
    one, two = (Rates(connect(redis_url), per_minute=2) for _ in range(2))
    assert [one.take_push(HOST, credentials()), two.take_push(HOST, credentials())] == [True, True]
    assert [one.take_push(HOST, credentials()), two.take_push(HOST, credentials())] == [False, False]


@pytest.mark.case(46)
def test_case_46_while_redis_is_away_no_prompt_is_sent_and_the_customer_is_told_to_wait(
    open_shop: Shop, mpesa: Mpesa, redis_url: str
) -> None:
    def client(to: redis.Redis) -> DarajaClient:
        return DarajaClient(base_url=mpesa.url, tokens=AccessTokens(to), rates=Rates(to, per_minute=60))

    intent = open_shop.consented()
    while_away, back = client(away()), client(connect(redis_url))
    while open_shop.push(while_away):
        pass
    assert open_shop.states(intent.id) == ("consented", "prepared", "CONFIRMED")
    assert open_shop.progress() == ["mpesa_busy"]
    open_shop.clock.advance(seconds=11)
    assert open_shop.push(back)
    assert open_shop.states(intent.id)[1] == "accepted"
    assert len(mpesa.posts()) == 1
    for each in (while_away, back):
        each.close()


def test_while_redis_is_away_a_process_counts_its_own_queries_and_rests_by_itself() -> None:
    rates = Rates(away(), per_minute=4)
    assert [rates.take_query(HOST, credentials()) for _ in range(4)] == [True, True, True, False]
    other = Rates(away(), per_minute=4)
    other.rest(HOST, credentials())
    assert not other.take_query(HOST, credentials())


def limited(mpesa: Mpesa, per_minute: int) -> DarajaClient:
    return DarajaClient(base_url=mpesa.url, tokens=AccessTokens(None), rates=Rates(None, per_minute=per_minute))


def test_a_push_over_the_rate_waits_unsent_and_expires_with_its_pay(open_shop: Shop, mpesa: Mpesa) -> None:
    mpesa.script(callback="never")
    client = limited(mpesa, 2)
    intents = [open_shop.consented(phone=f"25471200000{number}") for number in range(3)]
    while open_shop.push(client):
        pass
    assert sorted(open_shop.states(each.id)[1] for each in intents) == ["accepted", "accepted", "prepared"]
    assert len(mpesa.posts()) == 2
    open_shop.clock.advance(minutes=5, seconds=1)
    while open_shop.push(client):
        pass
    client.close()
    assert len(mpesa.posts()) == 2
    assert [news for news in open_shop.news() if news[0] == "failed"] == [("failed", None)]


def test_case_21_a_spike_arrest_rejects_the_push_and_the_next_one_waits_a_minute(
    open_shop: Shop, mpesa: Mpesa, redis_url: str
) -> None:
    shared = connect(redis_url)
    client = DarajaClient(base_url=mpesa.url, tokens=AccessTokens(None), rates=Rates(shared, per_minute=60))
    mpesa.script("254712000001", answer="spike_arrest")
    first = open_shop.consented(phone="254712000001")
    assert open_shop.push(client)
    second = open_shop.consented(phone="254712000002")
    while open_shop.push(client):
        pass
    assert [open_shop.states(each.id)[:2] for each in (first, second)] == [("failed", "rejected"), ("consented", "prepared")]
    assert (open_shop.news(), open_shop.progress()) == ([("failed", None)], ["mpesa_busy"])
    assert len(mpesa.posts()) == 1
    (rest,) = shared.keys("*daraja-rest*")
    assert 50 < shared.ttl(rest) <= 60
    shared.delete(rest)  # a minute later
    open_shop.clock.advance(seconds=60)
    assert open_shop.push(client)
    client.close()
    assert open_shop.states(second.id)[:2] == ("processing", "accepted")
    assert len(mpesa.posts()) == 2
