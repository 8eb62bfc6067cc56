"""Texts sealed for one place: AES-256-GCM, a fresh nonce each, the place as associated data.

A sealed text is Base64 of one byte of format, the id of the key, the nonce, and what AES-GCM makes of the text.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import TYPE_CHECKING

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.stores.sealed.keys import ID_BYTES, Keys
from llmcache_plugins.types import Damaged

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Sealer", "associated"]

_FORMAT = b"\x01"
_NONCE_BYTES = 12  # random: NIST SP 800-38D allows 2^32 of them for one key
_HEAD = len(_FORMAT) + ID_BYTES
_TAG_BYTES = 16

_BAD_BYTES = Damaged("bad_bytes")
_UNKNOWN_VERSION = Damaged("unknown_version")
_UNKNOWN_KEY = Damaged("unknown_key")


class Sealer:
    """Seals with the first key, opens with any.

    Raises:
        MissingExtraError: the package `cryptography` is absent.
    """

    def __init__(self, keys: Keys) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise MissingExtraError("encryption", "encryption") from error
        self._invalid = InvalidTag
        self._ciphers: dict[bytes, AESGCM] = {key_id: AESGCM(key) for key_id, key in keys.sealing.items()}
        self._first = next(iter(self._ciphers))

    def seal(self, content: bytes, *place: str) -> str:
        """
        Args:
            place: what it is and where it belongs; it opens there alone.
        """
        head, nonce = _FORMAT + self._first, os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, content, head + associated(*place))
        return base64.b64encode(head + nonce + sealed).decode("ascii")

    def open(self, sealed: str, *place: str) -> bytes | Damaged:
        """What was sealed for this place. Never raises."""
        try:
            raw = base64.b64decode(sealed.encode("ascii"), validate=True)
        except (ValueError, binascii.Error):  # no ASCII is a ValueError too
            return _BAD_BYTES
        if len(raw) < _HEAD + _NONCE_BYTES + _TAG_BYTES:
            return _BAD_BYTES
        head, nonce = raw[:_HEAD], raw[_HEAD : _HEAD + _NONCE_BYTES]
        if head[:1] != _FORMAT:
            return _UNKNOWN_VERSION
        cipher = self._ciphers.get(head[1:])
        if cipher is None:
            return _UNKNOWN_KEY
        try:
            return cipher.decrypt(nonce, raw[_HEAD + _NONCE_BYTES :], head + associated(*place))
        except self._invalid:
            return _BAD_BYTES


def associated(*place: str) -> bytes:
    """One text for all of them, of which no others have the same.

    >>> associated("ab", "c") == associated("a", "bc")
    False
    """
    parts = [part.encode("utf-8", "surrogatepass") for part in place]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
