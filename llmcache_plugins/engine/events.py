"""The verbs about events: what an event makes wrong is invalidated, also round a change that the caller makes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

from llmcache_plugins.config import as_namespace
from llmcache_plugins.engine.gradual import Pace
from llmcache_plugins.engine.invalidating import Invalidating
from llmcache_plugins.engine.invalidation import Plan, checked_mode
from llmcache_plugins.engine.invalidation_report import InvalidationReport
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.policies.event_rules import Attributes
from llmcache_plugins.selection import Selector
from llmcache_plugins.types import Namespace

__all__ = ["Change", "Events"]

P = ParamSpec("P")
R = TypeVar("R")
What: TypeAlias = str | Selector
Paced: TypeAlias = tuple[Plan, Pace]
_CONFIG_CHANGE = "config_change"


class Change:
    """Something is being changed: at the end what it makes wrong is invalidated, and an answer that was asked for
    before the end is not stored. `report` says what that was; None before the end, and when nothing was done."""

    def __init__(self, cache: Events, plans: list[Paced], *, also_on_error: bool) -> None:
        self._cache = cache
        self._plans = plans
        self._also_on_error = also_on_error
        self.report: InvalidationReport | None = None

    def __enter__(self) -> Change:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or self._also_on_error:
            self.report = self._cache._invalidate_all(self._plans)

    async def __aenter__(self) -> Change:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or self._also_on_error:
            self.report = await self._cache._ainvalidate_all(self._plans)


class Events(Invalidating):
    """Events and changes that make answers of a cache wrong."""

    def handle_event(
        self,
        event: str,
        attributes: Attributes | None = None,
        /,
        *,
        namespace: str | Namespace = (),
        mode: str | None = None,
        reason: str = "",
        dry_run: bool = False,
        **more: Any,
    ) -> InvalidationReport:
        """Something has happened: invalidate what the rules of the event say.

        Args:
            event: `"config_change"`, `"device_reboot"`, `"interface_state"`, `"topology_change"` or one of your own
                (`open_cache(event_rules=...)`).
            attributes: of the event, as a mapping; or each by name (`device="rtr-001"`). One may have several values.
            namespace: below the cache's own.
            mode: in place of what the rules say.
            reason: for the log; the event's name by default.
            dry_run: count and list, touch nothing.

        Raises:
            ConfigError: no rule knows the event, or it lacks an attribute that all of its rules need.
            StoreError: the store is broken, unless `fail_open`: then the report says `has_failed`.
        """
        return self._invalidate_all(self._plans_of(event, attributes, more, namespace, mode, reason, dry_run))

    async def ahandle_event(
        self,
        event: str,
        attributes: Attributes | None = None,
        /,
        *,
        namespace: str | Namespace = (),
        mode: str | None = None,
        reason: str = "",
        dry_run: bool = False,
        **more: Any,
    ) -> InvalidationReport:
        """`handle_event` for event loops."""
        return await self._ainvalidate_all(self._plans_of(event, attributes, more, namespace, mode, reason, dry_run))

    def changing(
        self,
        what: What = _CONFIG_CHANGE,
        /,
        *,
        namespace: str | Namespace = (),
        mode: str | None = None,
        reason: str = "",
        on_error: str = "invalidate",
        **attributes: Any,
    ) -> Change:
        """Change something in a `with` (or `async with`) block, and invalidate what is wrong then:
        `with cache.changing("config_change", device="rtr-001"): ...`. What is wrong is worked out before the block is
        entered, so that a mistake in the arguments is found before anything is changed.

        Args:
            what: an event, or a `Selector`.
            mode: in place of what the rules say; for a selector `"now"`.
            on_error: a block that raises has perhaps changed something: `"invalidate"`; or `"keep"`.
            attributes: of the event.

        Raises:
            ConfigError: as `handle_event` and `invalidate`.
        """
        if on_error not in ("invalidate", "keep"):
            raise ConfigError(f"on_error must be invalidate or keep, not {on_error!r}")
        if isinstance(what, Selector):
            if attributes:
                raise ConfigError(f"a selector takes no attributes: {', '.join(attributes)}")
            plans = [self._planned(what, {"namespace": namespace, "mode": mode or "now", "reason": reason})]
        else:
            plans = self._plans_of(what, None, attributes, namespace, mode, reason, dry_run=False)
        return Change(self, plans, also_on_error=on_error == "invalidate")

    def invalidates(
        self,
        what: What = _CONFIG_CHANGE,
        /,
        *,
        namespace: str | Namespace = (),
        mode: str | None = None,
        reason: str = "",
        on_error: str = "invalidate",
        **attributes: Any,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator of a function (or coroutine function) that changes something: each call is a `changing` block.

        Args:
            what: an event, or a `Selector`.
            attributes: of the event: a value, or a function of the call's arguments that gives it,
                `device=lambda device, commands: device["host"]`. An attribute that is not named here is taken from the
                parameter of the same name, where the decorated function has one.

        Raises:
            ConfigError: nobody knows the event, or the function is a generator: calling it changes nothing yet. Use
                `changing` inside of it.
        """
        if not isinstance(what, Selector):
            self._event_rules.needs(what)  # an event that nobody knows is found here, not at the first call

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise ConfigError(f"{function.__qualname__} is a generator; use cache.changing(...) inside of it")
            signature = inspect.signature(function)

            def change(*args: Any, **kwargs: Any) -> Change:
                told = {} if isinstance(what, Selector) else self._told_by(what, signature, attributes, args, kwargs)
                return self.changing(what, namespace=namespace, mode=mode, reason=reason, on_error=on_error, **told)

            if inspect.iscoroutinefunction(function):

                @functools.wraps(function)
                async def changes_later(*args: P.args, **kwargs: P.kwargs) -> Any:
                    async with change(*args, **kwargs):
                        return await function(*args, **kwargs)

                return cast("Callable[P, R]", changes_later)

            @functools.wraps(function)
            def changes(*args: P.args, **kwargs: P.kwargs) -> R:
                with change(*args, **kwargs):
                    return function(*args, **kwargs)

            return changes

        return decorate

    # ---------------------------------------------------------------- inside
    def _told_by(
        self,
        event: str,
        signature: inspect.Signature,
        attributes: Mapping[str, Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The attributes that one call of a decorated function tells."""
        told = {name: value(*args, **kwargs) if callable(value) else value for name, value in attributes.items()}
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        lacking = self._event_rules.needs(event) - told.keys()
        return {**{name: bound.arguments[name] for name in lacking & bound.arguments.keys()}, **told}

    def _plans_of(
        self,
        event: str,
        attributes: Attributes | None,
        more: Mapping[str, Any],
        namespace: str | Namespace,
        mode: str | None,
        reason: str,
        dry_run: bool,
    ) -> list[Paced]:
        if attributes is not None and not isinstance(attributes, Mapping):
            raise ConfigError(f"the attributes of an event are a mapping, not {type(attributes).__name__}")
        below = (*self.config.namespace, *as_namespace(namespace))
        wanted = None if mode is None else checked_mode(mode)
        plans: dict[tuple[str, float], list[Selector]] = {}
        for rule_mode, rate, selectors in self._event_rules.plan(event, {**(attributes or {}), **more}):
            planned = plans.setdefault((wanted or rule_mode, rate), [])
            planned.extend(replace(one, namespace=below) for one in selectors)
        limit = self._rules.staleness.lazy_stale_limit
        return [
            (Plan(tuple(selectors), mode, reason or event, is_dry_run=dry_run), Pace(rate=rate, stale_limit=limit))
            for (mode, rate), selectors in plans.items()
        ]

    def _invalidate_all(self, plans: list[Paced]) -> InvalidationReport:
        return _one_of([self._invalidate(plan, pace) for plan, pace in plans])

    async def _ainvalidate_all(self, plans: list[Paced]) -> InvalidationReport:
        return _one_of([await self._ainvalidate(plan, pace) for plan, pace in plans])


def _one_of(reports: list[InvalidationReport]) -> InvalidationReport:
    """One report of all; its mode is that of the first, its progress that of the gradual one among them."""
    first, *others = reports
    for other in others:
        types = dict(first.by_query_type)
        for name, count in other.by_query_type.items():
            types[name] = types.get(name, 0) + count
        first = replace(
            first,
            count=first.count + other.count,
            number=max(first.number, other.number),
            has_failed=first.has_failed or other.has_failed,
            by_query_type=types,
            sample=(*first.sample, *other.sample),
            underway=first.underway or other.underway,
        )
    return first
