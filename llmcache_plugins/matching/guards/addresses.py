"""IP addresses and prefixes (v4 and v6, masks) and MAC addresses, in every notation."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, kinds_of, leftovers, silent

__all__ = ["addresses", "addresses_in", "is_address"]


_KINDS = frozenset({"mac", "prefix", "ip"})


def addresses_in(features: Features) -> tuple[str, ...]:
    """Addresses in one notation: "10.1.1.0/24" (from a mask too), "2001:db8::1", "mac aabbccddeeff", "port 80"."""
    if _KINDS.isdisjoint(features.get(kinds_of)):
        return ()
    found: list[str] = []
    tokens = features.tokens
    is_behind_address = -2
    for position, token in enumerate(tokens):
        if token.kind == "mac":
            found.append("mac " + token.lower.replace(":", "").replace("-", "").replace(".", ""))
        elif token.kind == "prefix":
            is_beside = is_behind_address == position - 1 and "/" not in found[-1]  # "10.0.0.0 /8"
            joined = _canonical(found[-1] + token.lower) if is_beside else None
            if joined:
                found[-1] = joined
            else:
                found.append(token.lower)
        elif token.kind == "ip" and (address := _canonical(token.lower)):
            mask = _mask_length(address)
            if mask is not None and _is_after_address(features, position, is_behind_address):
                found[-1] = found[-1] if "/" in found[-1] else f"{found[-1]}/{mask}"
            else:
                found.append(f"/{mask}" if mask is not None else address)
                is_behind_address = position
    return tuple(found)


def _is_after_address(features: Features, position: int, address_position: int) -> bool:
    between = features.tokens[address_position + 1 : position] if address_position >= 0 else ()
    return address_position >= 0 and position - address_position <= 4 and all(
        token.lower in ("mask", "netmask", "subnet", "with", "and", "a") for token in between
    )  # fmt: skip


def is_address(text: str) -> bool:
    return _canonical(text) is not None


@lru_cache(maxsize=1024)
def _canonical(text: str) -> str | None:
    """One notation for an address; None when it only looks like one ("1.2.3.400" is a version)."""
    host, slash, length = text.partition("/")
    port = ""
    if host.count(":") == 1:
        host, _, port = host.partition(":")
    try:
        if ":" not in host:
            host = ".".join(str(int(part)) for part in host.split("."))  # leading zeros are decimal to most readers
        address = ipaddress.ip_address(host)
        if slash and int(length) > address.max_prefixlen:
            return None
    except ValueError:
        return None
    full = str(address.max_prefixlen)
    suffix = f"/{int(length)}" if slash and length != full else ""
    return f"{address}{suffix}{':' if port else ''}{port}"


@lru_cache(maxsize=256)
def _mask_length(text: str) -> int | None:
    """24 for "255.255.255.0"; None when the bits are not those of a mask."""
    if not text.startswith("255.") or "/" in text or ":" in text:
        return None
    bits = int(ipaddress.IPv4Address(text))
    ones = bits.bit_count()
    return ones if bits == (0xFFFFFFFF << (32 - ones)) & 0xFFFFFFFF else None


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(addresses_in), stored.get(addresses_in)
    if not left and not right:
        return silent
    if left == right:
        return agree
    mine, theirs = leftovers(left, right)
    return conflict(mine, theirs) if mine or theirs else agree


addresses = Rule("ip_addresses", _compare)
