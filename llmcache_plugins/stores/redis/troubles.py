"""What an error of the client means: the server is away, refuses, or was asked for what it does not know. Pure.

No text of a server or client is passed on but what is known to be its own words: the rest may quote questions.
"""

from __future__ import annotations

import ssl
from typing import NamedTuple

from redis.exceptions import AskError, AuthenticationError, BusyLoadingError, ConnectionError, ResponseError

__all__ = ["SomebodyAsks", "Trouble", "reason_of", "trouble_of"]

_AWAY = ("LOADING", "CLUSTERDOWN", "MASTERDOWN")
_REFUSALS = (
    "OOM",
    "READONLY",
    "NOPERM",
    "NOAUTH",
    "WRONGPASS",
    "MISCONF",
    "TRYAGAIN",
    "NOREPLICAS",
    "MOVING",
)  # the last is ours: common.lua
_NOT_OURS = {  # ours: common.lua
    "LATER": "holds a cache of a later version of llmcache-plugins under this prefix, which is left alone: upgrade, or "
    "give another prefix",
    "FOREIGN": "holds keys of another program under this prefix, which are left alone: give another prefix",
}
_WHOEVER_ASKS = ("NOAUTH", "WRONGPASS", "AuthenticationError")  # is refused, whatever it is about
_CODES = {"OutOfMemoryError": "OOM", "ReadOnlyError": "READONLY", "NoPermissionError": "NOPERM"}
"""Of classes whose text the client has taken the code off."""
_OWN_WORDS = ("already exists", "no such index", "Unknown index name", "unknown command", "WRONGTYPE", "NOSCRIPT")


class SomebodyAsks(ConnectionError):
    """Another thread asks the nodes of a cluster who has what. Raised while an error of the client is handled, which is
    the one that counts; the client itself tries nothing again after one that is none of its own."""


class Trouble(NamedTuple):
    """
    Attributes:
        kind: of the trouble; empty when it is that of one command, and no state of the server.
        says: of what is said after the server's name.
        end: the same when it is over.
        is_away: the server does no work: it is asked again in a while.
        is_general: whatever is answered, the trouble is over; else it is when a work is done that was refused.
    """

    kind: str
    says: str
    end: str = ""
    is_away: bool = False
    is_general: bool = False


def trouble_of(error: Exception, *, where: str, is_cluster: bool) -> Trouble:
    """
    Args:
        where: the server is.
        is_cluster: it was given as one.
    """
    if isinstance(error, SomebodyAsks) and isinstance(error.__context__, Exception):
        error = error.__context__
    if "doesn't exist in Redis commands" in str(error):  # a cluster's client before 8.0 asks the server beforehand
        return Trouble("", "refuses a command: unknown command")
    if isinstance(error, AttributeError):  # asks what is no node for its connection
        return _away("a node that the client does not know")
    if not isinstance(error, ResponseError | AuthenticationError) or isinstance(error, BusyLoadingError):
        return _away(_tls_reason(error) or type(error).__name__)
    code = _code_of(error)
    # A `MovedError` is an `AskError` too. Before 5.1 the client for one server knows neither by its class.
    if (isinstance(error, AskError) or code in ("MOVED", "ASK")) and not is_cluster:
        return Trouble("cluster", f"is one of a cluster: give it as redis+cluster://{where}", "is none any more")
    if code in _AWAY:
        return _away(code)
    if code in _NOT_OURS:
        return Trouble(code, _NOT_OURS[code], "holds none under this prefix any more")
    if code in _REFUSALS or isinstance(error, AuthenticationError):
        name = code if code.isupper() else type(error).__name__
        is_general = name in _WHOEVER_ASKS
        kind = "who asks" if is_general else name
        return Trouble(kind, f"refuses: {name}", f"refuses no more: {name}", is_general=is_general)
    return Trouble("", f"refuses a command: {reason_of(error)}")


def reason_of(error: Exception) -> str:
    """The beginning of what the server says, as far as it is the server's own words."""
    text = str(error).split("\n", 1)[0]
    for known in _OWN_WORDS:
        if known.lower() in text.lower():
            return known
    code = text.split(" ", 1)[0]
    return code if code.isupper() and code.isalpha() else type(error).__name__


def _away(name: str) -> Trouble:
    return Trouble("away", f"does not answer ({name})", "answers again", is_away=True, is_general=True)


def _code_of(error: Exception) -> str:
    if "ACL failure" in str(error):  # a command inside a script
        return "NOPERM"
    code = str(getattr(error, "status_code", None) or str(error).split(" ", 1)[0])
    return code if code.isupper() else _CODES.get(type(error).__name__, code)


def _tls_reason(error: BaseException) -> str:
    """What is wrong with the certificates, in OpenSSL's words."""
    seen: BaseException | None = error
    for _ in range(5):
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {seen.verify_message}"
        if isinstance(seen, ssl.SSLError):
            return f"TLS: {seen.reason or type(seen).__name__}"
        seen = None if seen is None else seen.__cause__ or seen.__context__
    return ""
