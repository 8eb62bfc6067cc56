"""Names under which things are stored: equal for equal names, meaningless without the key.

AES-SIV (RFC 5297) is encryption that is the same each time, and a keyed digest in one: nobody without the key can test
whether a question that he guesses is stored, and who has it gets the name back, which a one-way digest would not give
where a store says what it has removed.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.stores.sealed.keys import Keys

__all__ = ["Addresses"]

_REMEMBERED = 4096
_DIGEST = re.compile(r"(?:[0-9a-f]{2})+")  # most names are digests: half as long as bytes
_PLAIN, _PACKED = b"\x00", b"\x01"


class Addresses:
    """Sealed names of one kind each: a tag and a model of the same name have nothing in common.

    Raises:
        MissingExtraError: the package `cryptography` is absent, or was built without AES-SIV.
    """

    def __init__(self, keys: Keys) -> None:
        try:
            from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
            from cryptography.hazmat.primitives.ciphers.aead import AESSIV

            self._cipher = AESSIV(keys.addresses)
        except (ImportError, UnsupportedAlgorithm) as error:
            raise MissingExtraError("encryption", "encryption") from error
        self._invalid = InvalidTag
        self.of = lru_cache(_REMEMBERED)(self._of)
        self.named = lru_cache(_REMEMBERED)(self._named)
        self.of_text, self.text_of = self._of, self._named  # what is long, and other each time, is not remembered

    def _of(self, kind: str, name: str, within: str = "") -> str:
        """The stored name: letters, digits, `-` and `_`."""
        packed = _PACKED + bytes.fromhex(name) if _DIGEST.fullmatch(name) else _PLAIN + _encoded(name)
        sealed = self._cipher.encrypt(packed, [_encoded(kind), _encoded(within)])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def _named(self, kind: str, stored: str, within: str = "") -> str | None:
        """The name that is stored as this; None when it is nobody's with this key."""
        try:
            sealed = base64.b64decode(_encoded(stored + "=" * (-len(stored) % 4)), altchars=b"-_", validate=True)
            packed = self._cipher.decrypt(sealed, [_encoded(kind), _encoded(within)])
        except (self._invalid, ValueError, binascii.Error):
            return None
        name = packed[1:]
        return name.hex() if packed[:1] == _PACKED else name.decode("utf-8", "surrogatepass")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
