"""Who may see the page and press its buttons. Pure: texts of a request in, yes or no out.

Without a token only this machine reaches the page, and by its own name: a web page whose name was bound to the loopback
address (DNS rebinding) speaks to it under that name. With a token that is not needed: the token comes from the user,
and the cookie that stands for it is sent to the name alone that it was set under.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from llmcache_plugins.errors import ConfigError

__all__ = ["HEADER", "Access", "is_loopback"]

HEADER = "X-LLMCache-Dashboard"
"""What every request has to have that changes something: no form and no other page can set it."""
_LEAST = 16
_TOKEN_HEADER = "X-LLMCache-Token"


class Access:
    """The rules of one page.

    Args:
        host: where it listens.
        token: what lets somebody in; None for this machine alone.

    Raises:
        ConfigError: a token is needed and there is none, or it is too easy to guess.
    """

    def __init__(self, host: str, token: str | None) -> None:
        if token is not None and not (
            isinstance(token, str) and len(token) >= _LEAST and token.isascii() and token.isprintable()
        ):
            raise ConfigError(f"token must be at least {_LEAST} printable ASCII characters")
        if token is None and not is_loopback(host):
            raise ConfigError(
                f"to listen on {host!r} a token is needed, for what is stored can be read there; 127.0.0.1 needs none"
            )
        self._is_local = is_loopback(host)
        self._token = None if token is None else token.encode("ascii")
        self._session = secrets.token_urlsafe(32)  # not the token: cookies go to other ports of the same name, too

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    def knows_host(self, host: str) -> bool:
        """Is the page asked for by a name of its own? With a token by any: behind a proxy it has that one's."""
        if not self._is_local or self.needs_token:
            return True
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        return is_loopback(name.strip("[]"))

    def is_token(self, given: str) -> bool:
        """Compared in constant time."""
        return self._token is not None and hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def lets_in(self, headers: Mapping[str, str], cookie_name: str) -> bool:
        """Does the request show the token, or the cookie that stands for it?"""
        if self._token is None:
            return True
        bearer = headers.get("Authorization", "")
        shown = headers.get(_TOKEN_HEADER) or (bearer[7:] if bearer[:7].lower() == "bearer " else "")
        if shown and self.is_token(shown):
            return True
        try:
            cookie = SimpleCookie(headers.get("Cookie", "")).get(cookie_name)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(
            cookie.value.encode("utf-8", "replace"), self._session.encode("ascii")
        )

    def cookie(self, name: str) -> str:
        """The header that lets this browser in until it is closed. No script reads it, and no other page sends it."""
        return f"{name}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    def is_own_page(self, headers: Mapping[str, str]) -> bool:
        """May this request change something, as far as it says where it comes from?

        A page of somebody else's can send forms and plain text here, but neither JSON nor this header. A proxy may put
        another host than the page's into the request; then the cookie, which no other site's page sends, has to do.
        """
        if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("Origin")
        is_own = origin is None or origin.partition("://")[2].lower() == headers.get("Host", "").lower()
        if not is_own and not self.needs_token:
            return False
        return headers.get(HEADER) == "1"


def is_loopback(host: str) -> bool:
    """Is this a name of the own machine that nobody else can reach it by?"""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
