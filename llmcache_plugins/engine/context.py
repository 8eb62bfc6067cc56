"""The verbs about what surrounds a call, and structured questions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from llmcache_plugins.config import DEFAULT, Default
from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.surroundings import about as about_request
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.label import QueryContext
from llmcache_plugins.types import Namespace, Request

__all__ = ["Contexts"]


class Contexts(Core):
    """What callers know of their questions, told without passing it through a framework."""

    def context(
        self,
        *,
        tags: str | Sequence[str] = (),
        volatility: str | None = None,
        query_type: str | None = None,
        tenant: str | Namespace = (),
        ttl: float | Default | None = DEFAULT,
        about: QueryContext | None = None,
        bypass: bool = False,
        refresh: bool = False,
    ) -> AbstractContextManager[None]:
        """For everything inside of the `with` block, in this cache: also in tasks, and in threads that were started
        with a copied context (as `asyncio.to_thread` and LangChain do). What a request says itself counts before it.
        Of nested blocks the tags add up, and the inner one decides all else; bypassed is bypassed, and so is refreshed.

        Args:
            tags: what the answers depend on, for invalidation.
            volatility: how soon they are no longer true: `"static"`, `"stable"`, `"dynamic"`, `"volatile"`, or a class
                of `ttl_by_volatility`.
            query_type: the type of the questions.
            tenant: whose questions these are: the last part of the namespace, so that tenants share no answers.
            ttl: as in `update`, which counts before it.
            about: what the questions are about: the same words about something else are another question.
            bypass: neither ask the cache nor store anything.
            refresh: serve nothing that is stored, but store what the model answers now: "regenerate".

        Raises:
            ConfigError: one of these is not what it should be.
        """
        self.config.expiry(0.0, ttl)
        around = self._surroundings.around(
            tags=tags,
            volatility=volatility,
            query_type=query_type,
            tenant=tenant,
            ttl=ttl,
            about=about,
            bypass=bypass,
            refresh=refresh,
        )
        return self._surroundings.entered(around)

    def bypass(self) -> AbstractContextManager[None]:
        """`context(bypass=True)`: inside of the block neither ask the cache nor store anything."""
        return self.context(bypass=True)

    def request(self, text: str, *, about: QueryContext | None = None, **fields: Any) -> Request:
        """A request, about a structured context. Make it when you ask: its time bucket is that of this moment.

        Args:
            text: the question.
            about: what it is about; names, tags and partitions its answer.
            fields: the other fields of `Request` by name.

        Raises:
            ConfigError: an unknown field, or `about` is no `QueryContext`.
        """
        try:
            request = Request(text, **fields)
        except TypeError as error:
            raise ConfigError(f"a Request has no such field: {', '.join(sorted(fields))}") from error
        if about is None:
            return request
        if not isinstance(about, QueryContext):
            raise ConfigError(f"about must be a QueryContext, not {type(about).__name__}")
        return about_request(request, about, self._clock.now())
