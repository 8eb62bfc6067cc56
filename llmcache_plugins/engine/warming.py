"""The verbs that answer questions before anybody asks them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from os import PathLike
from typing import Any

from llmcache_plugins.config import DEFAULT, Default
from llmcache_plugins.engine.calls import Calls
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.explaining import Peek
from llmcache_plugins.engine.flow import lookup_flow
from llmcache_plugins.engine.rules import Found, NotFound
from llmcache_plugins.engine.sequences import seen_now
from llmcache_plugins.engine.steps import ReadNotes, WriteNote
from llmcache_plugins.engine.warm_course import Course, Done, in_file
from llmcache_plugins.engine.warm_models import aask, ask, model_of
from llmcache_plugins.engine.workers import in_worker
from llmcache_plugins.errors import ConfigError, LLMCacheError
from llmcache_plugins.keys.fingerprint import normalised_key_of
from llmcache_plugins.paths import as_path
from llmcache_plugins.types import Identity, Request
from llmcache_plugins.warming.bar import progress_bar
from llmcache_plugins.warming.models import WarmModel
from llmcache_plugins.warming.plan import Budget, CostOf, Plan
from llmcache_plugins.warming.report import WarmProgress, WarmReport
from llmcache_plugins.warming.resume import digest_of
from llmcache_plugins.warming.settings import WarmSettings
from llmcache_plugins.warming.wanted import Wanted, as_wanted

__all__ = ["Warming"]

_LONGEST_SLEEP = 0.5  # seconds: who sleeps hears that the warming has stopped
_sleep = time.sleep
_asleep = asyncio.sleep


class Warming(Calls):
    """Answers before the questions."""

    def warm(
        self,
        questions: Iterable[Wanted | Request | str],
        generate: Any,
        *,
        concurrency: int = 4,
        rate: float | None = None,
        budget: Budget | int | None = None,
        cost_of: CostOf | None = None,
        skip_fresh: bool = True,
        fresh_for: float = 0.0,
        ttl: float | Default | None = DEFAULT,
        resume: str | PathLike[str] | None = None,
        progress: bool | Callable[[WarmProgress], None] = False,
        most_failures: int = 10,
        dry_run: bool = False,
    ) -> WarmReport:
        """Ask the model what users are going to ask, and store the answers. No look-up is counted.

        Questions of a high `priority` come first; those that differ in case, spaces and closing punctuation alone are
        one. An error of the model costs one question, not the warming.

        Args:
            questions: `llmcache_plugins.warming` makes them from a log, an inventory or an event.
            generate: as in `get_or_generate`; or a LangChain model, or a chain that ends in one (import
                `llmcache_plugins.langchain` first), whose answers are stored where LangChain's own look-ups find them;
                or a LlamaIndex LLM.
            concurrency: calls at a time, each in a thread.
            rate: calls begun in a second, at most.
            budget: a number of calls, or a `Budget` of calls, tokens or money.
            cost_of: what the `Usage` of one call costs.
            skip_fresh: leave out what a look-up would find, be it by meaning.
            fresh_for: what expires within so many seconds is not fresh; 0: what is not expired is.
            ttl: as in `update`.
            resume: a name (kept in the store) or a `Path`: a run that did not come to its end is gone on with.
            progress: called with a `WarmProgress` after each question; True shows a bar on stderr.
            most_failures: so many failures in a row end it.
            dry_run: ask nothing: what would be asked is what remains in the report.

        Raises:
            ConfigError: an argument is out of range, or `generate` is a coroutine function (use `awarm`).
        """
        settings = WarmSettings(
            concurrency=concurrency,
            rate=rate,
            budget=budget,
            cost_of=cost_of,
            skip_fresh=skip_fresh,
            fresh_for=fresh_for,
            ttl=ttl,
            resume=resume,
            progress=progress,
            most_failures=most_failures,
            dry_run=dry_run,
        )
        model = model_of(generate)
        with ExitStack() as shown:
            course = self._course(questions, model, settings, shown)
            try:
                self._warm_in_threads(course)
            except BaseException:
                course.plan.stop("interrupted")
                raise
            finally:
                report = course.end()
            return report

    async def awarm(
        self,
        questions: Iterable[Wanted | Request | str],
        generate: Any,
        *,
        concurrency: int = 4,
        rate: float | None = None,
        budget: Budget | int | None = None,
        cost_of: CostOf | None = None,
        skip_fresh: bool = True,
        fresh_for: float = 0.0,
        ttl: float | Default | None = DEFAULT,
        resume: str | PathLike[str] | None = None,
        progress: bool | Callable[[WarmProgress], None] = False,
        most_failures: int = 10,
        dry_run: bool = False,
    ) -> WarmReport:
        """`warm` for event loops: coroutine functions are awaited, other callables run in threads."""
        settings = WarmSettings(
            concurrency=concurrency,
            rate=rate,
            budget=budget,
            cost_of=cost_of,
            skip_fresh=skip_fresh,
            fresh_for=fresh_for,
            ttl=ttl,
            resume=resume,
            progress=progress,
            most_failures=most_failures,
            dry_run=dry_run,
        )
        pool = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="llmcache-warm")
        try:
            model = model_of(generate, pool)
            with ExitStack() as shown:
                course = await in_worker(pool, partial(self._course, questions, model, settings, shown))
                try:
                    await self._warm_in_tasks(course, pool)
                except BaseException:
                    course.plan.stop("interrupted")
                    raise
                finally:
                    report = await in_worker(pool, course.end)
                return report
        finally:
            pool.shutdown(wait=False)

    # ---------------------------------------------------------------- one warming
    def _course(
        self,
        questions: Iterable[Wanted | Request | str],
        model: WarmModel,
        settings: WarmSettings,
        shown: ExitStack,
    ) -> Course:
        self.config.expiry(0.0, settings.ttl)  # a wrong one is refused before a model call is paid for
        by_digest: dict[str, Request | str] = {}
        for one in as_wanted(questions):
            request, identity = self._resolve(one.request)
            by_digest.setdefault(digest_of(normalised_key_of(identity.scope, request.text)), one.request)
        done = self._done(settings.resume)
        plan = Plan(
            list(by_digest),
            monotonic=self._clock.monotonic,
            budget=Budget.of(settings.budget),
            rate=settings.rate,
            cost_of=settings.cost_of,
            most_failures=settings.most_failures,
            done=frozenset() if done is None else frozenset(done.digests),
        )
        progress = shown.enter_context(progress_bar()) if settings.progress is True else settings.progress or None
        return Course(by_digest, model, settings, plan, None if settings.dry_run else done, progress)

    def _done(self, resume: str | PathLike[str] | None) -> Done | None:
        if resume is None:
            return None
        if not isinstance(resume, str):
            return in_file(as_path(resume))
        name = ":".join(["warm", "/".join(self.config.namespace), resume])
        last = self._rules.bottom

        def load() -> str | None:
            try:
                notes: dict[str, str] = self._perform(ReadNotes(last, name))
                return notes.get(name)
            except LLMCacheError:  # told by now; all is asked again, and what is fresh is skipped
                return None

        def save(text: str | None) -> None:
            try:
                self._perform(WriteNote(last, name, text))
            except LLMCacheError:
                return

        return Done(load, save)

    def _warm_in_threads(self, course: Course) -> None:
        workers = course.settings.concurrency
        if workers == 1:
            self._warm_on(course)
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="llmcache-warm") as pool:
            calls = [pool.submit(copy_context().run, self._warm_on, course) for _ in range(workers)]
            try:
                wait(calls)
            except BaseException:
                course.plan.stop("interrupted")  # before the pool waits for its threads
                raise
        for call in calls:
            call.result()

    async def _warm_in_tasks(self, course: Course, pool: ThreadPoolExecutor) -> None:
        tasks = [asyncio.create_task(self._awarm_on(course, pool)) for _ in range(course.settings.concurrency)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _warm_on(self, course: Course) -> None:
        try:
            while (digest := course.plan.take()) is not None:
                if self._is_closed:
                    return course.plan.stop("closed")
                self._warm_one(course, digest)
        except BaseException:
            course.plan.stop("interrupted")
            raise

    async def _awarm_on(self, course: Course, pool: ThreadPoolExecutor) -> None:
        while (digest := course.plan.take()) is not None:
            if self._is_closed:
                return course.plan.stop("closed")
            await self._awarm_one(course, digest, pool)

    def _warm_one(self, course: Course, digest: str) -> None:
        plan, question = course.plan, course.questions[digest]
        seen = run(seen_now(self._rules.bottom, fail_open=self.config.fail_open), self._perform)
        looked_up = self._looked_up(course, question)
        if looked_up is None:
            return course.note(digest, is_done=False)
        given, request, identity = looked_up
        if course.settings.skip_fresh:
            found = run(lookup_flow(request, identity, self._rules, self._clock.now()), Peek().by(self._perform))
            if self._is_fresh(found, course.settings.fresh_for):
                plan.skip()
                return course.note(digest, is_done=True)
        if course.settings.dry_run:
            return None
        while pause := plan.begin():
            _sleep(min(pause, _LONGEST_SLEEP))
        if pause is None:
            return None
        self._note_seen(identity, seen)
        try:
            answer = ask(course.model, question)
        except ConfigError:
            raise
        except Exception as error:
            plan.fail(type(error).__name__)
            return course.note(digest, is_done=False)
        outcome = self._store(given, answer, course.settings.ttl, is_warming=True)
        plan.end(answer.usage, "" if outcome.stored else outcome.reason)
        return course.note(digest, is_done=outcome.stored)

    async def _awarm_one(self, course: Course, digest: str, pool: ThreadPoolExecutor) -> None:
        plan, question = course.plan, course.questions[digest]
        seen = await arun(seen_now(self._rules.bottom, fail_open=self.config.fail_open), self._aperform)
        # In a thread: a chain may read documents for its prompt.
        looked_up = await in_worker(pool, partial(copy_context().run, self._looked_up, course, question))
        if looked_up is None:
            return course.tell()
        given, request, identity = looked_up
        if course.settings.skip_fresh:
            flow = lookup_flow(request, identity, self._rules, self._clock.now())
            if self._is_fresh(await arun(flow, Peek().aby(self._aperform)), course.settings.fresh_for):
                plan.skip()
                return await self._anote(course, digest, pool)
        if course.settings.dry_run:
            return None
        while pause := plan.begin():
            await _asleep(min(pause, _LONGEST_SLEEP))
        if pause is None:
            return None
        self._note_seen(identity, seen)
        try:
            answer = await aask(course.model, question)
        except ConfigError:
            raise
        except Exception as error:
            plan.fail(type(error).__name__)
            return course.tell()
        outcome = await self._astore(given, answer, course.settings.ttl, is_warming=True)
        plan.end(answer.usage, "" if outcome.stored else outcome.reason)
        return await self._anote(course, digest, pool) if outcome.stored else course.tell()

    @staticmethod
    async def _anote(course: Course, digest: str, pool: ThreadPoolExecutor) -> None:
        """What is remembered is written now and then, and a loop must not wait for that."""
        if course.remembers:
            await in_worker(pool, partial(course.remember, digest))
        course.tell()

    def _looked_up(self, course: Course, question: Request | str) -> tuple[Request, Request, Identity] | None:
        """What the model makes of the question, and what of that is looked up; None when it makes nothing of it."""
        try:
            given = course.model.request_of(question)
        except ConfigError:
            raise
        except Exception as error:  # of a chain that makes a prompt
            course.plan.fail(type(error).__name__, has_begun=False)
            return None
        return (given, *self._resolve(given))

    def _note_seen(self, identity: Identity, seen: int | None) -> None:
        """What is invalidated from before the prompt was made until the answer is stored, wins."""
        if seen is not None:
            self._sequences.note(identity.key, seen)

    def _is_fresh(self, found: Found | NotFound, fresh_for: float) -> bool:
        if isinstance(found, NotFound) or found.stored.entry.stale_at is not None:
            return False
        expires_at = found.stored.entry.expires_at
        return expires_at is None or expires_at > self._clock.now() + fresh_for
