"""Scope and key of a request are the same in every release of one `KEY_VERSION`: files of entries rely on it."""

from __future__ import annotations

from llmcache_plugins.keys.fingerprint import KEY_VERSION, identify, normalised_key_of
from llmcache_plugins.types import Identity, Request

FULL = Request(
    "What is BGP?",
    provider="anthropic",
    model="claude-haiku-4-5",
    params={"temperature": 0.2, "max_tokens": 300},
    context=[{"role": "system", "content": "Answer briefly."}],
    namespace=("acme",),
    label="v1:device:status:rtr-001:a3f2:none",
)


def test_whoever_changes_the_digests_raises_the_version() -> None:
    """When this fails, equal requests get other digests than before: raise `KEY_VERSION`, and write them here."""
    assert KEY_VERSION == 1
    full = Identity("0608ff302feb64350977afa7afcf6a4e27279cd1", "882e57f0b6f3f5dbb3c922718f3f1db657188e82")
    assert identify(FULL, ("app",)) == full
    assert normalised_key_of(full.scope, FULL.text) == "bc10218ca458cc6c22a4c28c5efeba6b34e2bb2e"
    plain = Identity("16efefdc3326331e91ae2025a5662ed95e922c3e", "65e47f116d8592041d9ce3f812985f62a9835d00")
    assert identify(Request("What is BGP?")) == plain
    assert normalised_key_of(plain.scope, "What is BGP?") == "365917d83b9fea42b08d6e43ed6e227d8c7a7aeb"
