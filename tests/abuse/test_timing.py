"""What an answer's speed tells, and to whom: hits exist inside a tenant only, so that is who can tell."""

from __future__ import annotations

from llmcache_plugins import Hit, Miss, open_cache


def test_who_asks_in_another_tenant_gets_the_same_miss_for_what_is_stored_and_what_is_not() -> None:
    with open_cache("memory://", embedder=None) as cache:
        with cache.context(tenant="a"):
            cache.update("Is Ada going to be dismissed?", "yes")
            assert isinstance(cache.lookup("Is Ada going to be dismissed?"), Hit)
        with cache.context(tenant="b"):
            stored, unknown = cache.lookup("Is Ada going to be dismissed?"), cache.lookup("Is Bob?")
        assert isinstance(stored, Miss)
        assert isinstance(unknown, Miss)
        assert (stored.reason, stored.near_misses, stored.detail) == (unknown.reason, (), unknown.detail)


def test_a_user_as_part_of_the_tenant_shares_nothing() -> None:
    with open_cache("memory://", embedder=None) as cache:
        with cache.context(tenant=("acme", "ada")):
            cache.update("q", "a")
        with cache.context(tenant=("acme", "bob")):
            assert not cache.lookup("q")
