"""The keys of an encrypted store: read, checked, and what is derived from them. Nothing here prints one."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import TypeAlias

from llmcache_plugins.errors import ConfigError

__all__ = ["GivenKey", "GivenKeys", "Keys"]

GivenKey: TypeAlias = bytes | str
GivenKeys: TypeAlias = GivenKey | Sequence[GivenKey]

KEY_BYTES = 32
ID_BYTES = 8
_HOW = "a key is 32 random bytes, or these in Base64 (openssl rand -base64 32)"


class Keys:
    """Subkeys for one purpose each, so that no use of one tells anything of another.

    Args:
        keys: one key or several; the first seals, all open.
        address_key: what addresses and vectors are made unrecognisable with; None for the last of `keys`.

    Raises:
        ConfigError: a key is not 32 bytes, or is given twice. Says which, never what.
    """

    def __init__(self, keys: GivenKeys, address_key: GivenKey | None = None) -> None:
        given = [keys] if isinstance(keys, bytes | str) else keys
        if not isinstance(given, list | tuple) or not given:
            raise ConfigError(f"an encrypted store needs a key or a list of them, not {type(keys).__name__}; {_HOW}")
        read = [_bytes_of(key, "" if len(given) == 1 else f" {place}") for place, key in enumerate(given, start=1)]
        if len(set(read)) < len(read):
            raise ConfigError("the same encryption key is given twice")
        root = read[-1] if address_key is None else _bytes_of(address_key, " of addresses")
        self.sealing = {_derived(key, b"id", ID_BYTES): _derived(key, b"seal", 32) for key in read}
        self.addresses = _derived(root, b"addresses", 64)
        self.vectors = _derived(root, b"vectors", 32)
        self.mark = _derived(root, b"mark", ID_BYTES).hex()

    def __repr__(self) -> str:
        return f"Keys({len(self.sealing)})"


def _bytes_of(key: object, which: str) -> bytes:
    if isinstance(key, str):
        try:
            text = key.strip().replace("-", "+").replace("_", "/")
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (ValueError, binascii.Error):
            raise ConfigError(f"encryption key{which} is not Base64; {_HOW}") from None
    if not isinstance(key, bytes):
        raise ConfigError(f"encryption key{which} must be bytes or a str, not {type(key).__name__}; {_HOW}")
    if len(key) != KEY_BYTES:
        raise ConfigError(f"encryption key{which} has {len(key)} bytes; {_HOW}")
    return key


def _derived(key: bytes, purpose: bytes, size: int) -> bytes:
    """HKDF-Expand (RFC 5869) of one block: the keys are random, so that nothing has to be extracted first."""
    return hmac.digest(key, b"llmcache-plugins " + purpose + b"\x01", "sha512")[:size]
