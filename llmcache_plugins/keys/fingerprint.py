"""Digests of requests: scope, key and normalised key. Pure, and one fixed encoder, so that every process agrees."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping

from llmcache_plugins.types import Identity, JsonValue, Namespace, Request

__all__ = [
    "KEY_VERSION",
    "canonical_json",
    "fingerprint",
    "identify",
    "identity_since",
    "key_of",
    "normalise_text",
    "normalised_key_of",
    "scope_of",
]

KEY_VERSION = 1
"""Of scopes and keys: a larger one whenever an equal request gets other digests than before, for entries that come from
elsewhere would then never be found."""

_DIGEST_BYTES = 20  # 160 bits: no collision to be found by anybody who wants one (blake2b, RFC 7693)
_CLOSING = ".?\u2026\u3002\uff0e\uff1f\u061f"  # full stop, question mark; also Chinese, Japanese and Arabic
# One encoder made once: json.dumps with options builds a new one on every call.
_encode: Callable[[JsonValue], str] = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=True
).encode


def fingerprint(*parts: bytes) -> str:
    """40 hexadecimal digits over length-prefixed parts: ("ab", "c") and ("a", "bc") differ.

    >>> fingerprint(b"ab", b"c") == fingerprint(b"a", b"bc")
    False
    """
    framed = b""
    for part in parts:
        framed += len(part).to_bytes(8, "big") + part
    return hashlib.blake2b(framed, digest_size=_DIGEST_BYTES).hexdigest()


def canonical_json(value: JsonValue) -> bytes:
    """`value` as JSON that depends on nothing but the value: sorted keys, no spaces, ASCII.

    As in all JSON, keys become strings: {1: 0} and {"1": 0} are the same.

    Raises:
        TypeError: `value` is not made of what JSON knows, or its keys cannot be sorted.
        ValueError: it holds itself, or an integer that is too long for Python to write.
    """
    try:
        return _encode(value).encode("ascii")
    except RecursionError:  # how deep Python goes depends on who calls; a digest must not
        return "".join(_nested(value)).encode("ascii")


def _nested(value: JsonValue) -> Iterator[str]:
    """The pieces of the same JSON, without recursion: what users send may be nested deeper than Python calls."""
    open_ids: set[int] = set()
    todo: list[tuple[int, Iterator[str | tuple[JsonValue]]]] = [(0, iter([(value,)]))]  # texts, and values in a tuple
    while todo:
        name, pieces = todo[-1]
        piece = next(pieces, None)
        if piece is None:
            todo.pop()
            open_ids.discard(name)
        elif isinstance(piece, str):
            yield piece
        elif isinstance(piece[0], dict | list | tuple) and piece[0]:
            if id(piece[0]) in open_ids:
                raise ValueError("the value holds itself")
            open_ids.add(id(piece[0]))
            todo.append((id(piece[0]), _items(piece[0])))
        else:
            yield _encode(piece[0])


def _items(value: JsonValue) -> Iterator[str | tuple[JsonValue]]:
    is_object = isinstance(value, dict)
    yield "{" if is_object else "["
    for place, item in enumerate(sorted(value.items()) if is_object else value):
        if place:
            yield ","
        if is_object:
            yield _encode({item[0]: 0})[1:-2]  # the name as JSON writes it, with its colon
        yield (item[1] if is_object else item,)
    yield "}" if is_object else "]"


def scope_of(request: Request, namespace: Namespace = (), params: Mapping[str, JsonValue] | None = None) -> str:
    """Digest of all that has to be equal: namespace (the cache's own, then the request's), provider, model, parameters,
    context, label.

    Args:
        params: the parameters that have to be equal, where some of the request's need not.
    """
    parts = [
        canonical_json([*namespace, *request.namespace]),
        _encodable(request.provider),
        _encodable(request.model),
        canonical_json(dict(request.params if params is None else params)),
        canonical_json(request.context),
    ]
    if request.label:  # apart, so that the scopes of requests without one are what they always were
        parts += [b"label", _encodable(request.label)]
    return fingerprint(*parts)


def key_of(scope: str, text: str, tolerant: Mapping[str, JsonValue] | None = None) -> str:
    """Digest of the whole request: the text in NFC, without outer white space, inside its scope, and the parameters
    that are no part of that."""
    parts = [b"exact", scope.encode("ascii"), _encodable(unicodedata.normalize("NFC", text).strip())]
    return fingerprint(*parts, canonical_json(dict(tolerant))) if tolerant else fingerprint(*parts)


def normalise_text(text: str) -> str:
    """Case folded, inner white space single, the full stop or question mark at the end gone.

    Nothing else goes: 5! is a factorial, `git checkout .` is not `git checkout`, and a mark behind a space, another
    sign or a single letter is what the text is about. The form is NFC and not NFKC, which would make 10\u2076 (ten to
    the sixth) and 106 one number.

    >>> normalise_text("  What is   BGP??")
    'what is bgp'
    """
    folded = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    bare = folded.rstrip(_CLOSING)
    return bare if len(bare) > 1 and bare[-2:].isalnum() else folded


def normalised_key_of(scope: str, text: str) -> str:
    """Digest of the normalised text inside its scope; equal for texts that differ in case, spaces and closing
    punctuation only."""
    return fingerprint(b"normalised", scope.encode("ascii"), _encodable(normalise_text(text)))


def identify(request: Request, namespace: Namespace = ()) -> Identity:
    """Scope and key of a request under the cache's namespace, where all parameters have to be equal."""
    scope = scope_of(request, namespace)
    return Identity(scope, key_of(scope, request.text))


def identity_since(identity: Identity, epoch: str) -> Identity:
    """The identity in another epoch: nothing stored under one is found under the other. Not computed from the request:
    hashing a long history again would cost more than the look-up."""
    era = epoch.encode("utf-8")
    return Identity(
        fingerprint(b"epoch", era, identity.scope.encode("ascii")),
        fingerprint(b"epoch", era, identity.key.encode("ascii")),
    )


def _encodable(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # lone surrogates come with broken clients; they must not raise
