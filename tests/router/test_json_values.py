from collections.abc import Iterator

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.json_values import JSON, storable, to_jsonb
from router.short_cache import ShortCache
from soko.embedded import Urls

TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
VALUES: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(VALUES, max_size=4))
def test_postgres_stores_and_returns_every_value_we_call_storable(servers: Urls, values: list[JSON]) -> None:
    with psycopg.connect(servers.platform) as conn:
        for value in values:
            row = conn.execute("SELECT %s", (to_jsonb(value),)).fetchone()
            assert row == (storable(value),)


@given(text=st.text())
def test_text_that_can_be_stored_is_not_changed(text: str) -> None:
    if "\x00" not in text:
        assert storable(text) == text


def test_a_lone_surrogate_does_not_swallow_its_neighbour() -> None:
    assert storable("a\ud83dz\ude00b") == "a\ufffdz\ufffdb"


def test_the_cache_does_not_keep_an_error() -> None:
    cache = ShortCache()
    answers: Iterator[int | Exception] = iter([ZeroDivisionError(), 1, 2])

    def read() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    try:
        cache.get("k", read)
    except ZeroDivisionError:
        assert cache.get("k", read) == cache.get("k", read) == 1
    cache.forget()
    assert cache.get("k", read) == 2
