"""The verbs that bring entries from one cache to another: into a file, out of a file, or straight."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from llmcache_plugins.engine.carrying import End, acarry, carry
from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.incoming import Incoming
from llmcache_plugins.engine.outgoing import Outgoing
from llmcache_plugins.engine.workers import in_worker
from llmcache_plugins.errors import ConfigError, StoreError
from llmcache_plugins.transfer.bar import progress_bar
from llmcache_plugins.transfer.files import AnyFile, FileSink, FileSource
from llmcache_plugins.transfer.report import Tally, TransferReport
from llmcache_plugins.transfer.settings import Existing, Progress, TransferSettings
from llmcache_plugins.types import Namespace

__all__ = ["Transferring"]

T = TypeVar("T")


class Transferring(Core):
    """Entries out of a cache, and into it."""

    def export_to(
        self, file: AnyFile, *, namespace: str | Namespace = (), vectors: bool = True, progress: Progress = False
    ) -> TransferReport:
        """Write what is stored to a file that any cache can import, whatever its store. The cache may be in use.

        The file holds questions and answers as they are, also those of a store that encrypts them.

        Args:
            file: a path, compressed where it ends in `.gz`, and only written when the export is whole; or a binary
                file, which is not closed.
            namespace: what is stored below it, below the cache's own; all of that by default.
            vectors: with the vectors of the questions. Without them the file is a fraction as large, and who imports
                it embeds each question when it first has to.
            progress: called with a `TransferProgress` after each page; True shows a bar on stderr.

        Raises:
            ConfigError: an argument is wrong, or the file cannot be opened.
            OSError: the file cannot be written any more; there is none then.
            StoreError: the store is broken, unless `fail_open`: then the report says `stopped`, and there is no file.
        """
        transfer = self._export(file, TransferSettings(namespace=namespace, vectors=vectors, progress=progress))
        return self._carried(transfer)

    async def aexport_to(
        self, file: AnyFile, *, namespace: str | Namespace = (), vectors: bool = True, progress: Progress = False
    ) -> TransferReport:
        """`export_to` for event loops."""
        transfer = self._export(file, TransferSettings(namespace=namespace, vectors=vectors, progress=progress))
        return await self._acarried(transfer)

    def import_from(
        self,
        file: AnyFile,
        *,
        namespace: str | Namespace = (),
        vectors: bool = True,
        existing: Existing = "newer",
        bring_back: bool = False,
        strict: bool = False,
        dry_run: bool = False,
        progress: Progress = False,
    ) -> TransferReport:
        """Store what an export wrote. The cache may be in use; an import that was interrupted is simply run again.

        Import only what you trust: whoever wrote the file says what your users are answered.

        Args:
            file: a path, or a binary file, which is not closed.
            namespace: only what is below it, below the cache's own. Entries keep the namespace they have: it is part of
                the digest that they are found by.
            vectors: with their vectors, where the file has them.
            existing: `"newer"` replaces an entry that is there by a newer one alone, `"replace"` always, `"keep"`
                never. An expired one is always replaced.
            bring_back: also what an invalidation here selects that came after the file was written: a backup is
                restored. By default it stays away, as far back as the log of invalidations goes (a day).
            strict: stop at the first damaged line. By default it is counted, told in the report, and passed over.
            dry_run: store nothing; the report says what would be.
            progress: called with a `TransferProgress` after each page; True shows a bar on stderr.

        Raises:
            ConfigError: an argument is wrong, or the file cannot be read, is no export, or is of a later version.
            OSError: the file cannot be read any more.
            StoreError: the store is broken, unless `fail_open`: then the report says `stopped`.
        """
        settings = TransferSettings(
            namespace=namespace,
            vectors=vectors,
            existing=existing,
            bring_back=bring_back,
            strict=strict,
            dry_run=dry_run,
            progress=progress,
        )
        return self._carried(self._import(file, settings))

    async def aimport_from(
        self,
        file: AnyFile,
        *,
        namespace: str | Namespace = (),
        vectors: bool = True,
        existing: Existing = "newer",
        bring_back: bool = False,
        strict: bool = False,
        dry_run: bool = False,
        progress: Progress = False,
    ) -> TransferReport:
        """`import_from` for event loops."""
        settings = TransferSettings(
            namespace=namespace,
            vectors=vectors,
            existing=existing,
            bring_back=bring_back,
            strict=strict,
            dry_run=dry_run,
            progress=progress,
        )
        return await self._acarried(self._import(file, settings))

    def copy_to(
        self,
        other: Transferring,
        *,
        namespace: str | Namespace = (),
        vectors: bool = True,
        existing: Existing = "newer",
        dry_run: bool = False,
        progress: Progress = False,
    ) -> TransferReport:
        """Store what is stored here in another cache, without a file between them. Both may be in use.

        Args:
            other: an open cache. What is not below its own namespace is left out.
            namespace: as in `export_to`.
            vectors: as in `export_to`.
            existing: as in `import_from`, and so are the rest.

        Raises:
            ConfigError: an argument is wrong, or both caches have the same store.
            StoreError: a store is broken, unless `fail_open`: then the report says `stopped`.
        """
        settings = TransferSettings(
            namespace=namespace, vectors=vectors, existing=existing, dry_run=dry_run, progress=progress
        )
        return self._carried(self._copy(other, settings))

    async def acopy_to(
        self,
        other: Transferring,
        *,
        namespace: str | Namespace = (),
        vectors: bool = True,
        existing: Existing = "newer",
        dry_run: bool = False,
        progress: Progress = False,
    ) -> TransferReport:
        """`copy_to` for event loops."""
        settings = TransferSettings(
            namespace=namespace, vectors=vectors, existing=existing, dry_run=dry_run, progress=progress
        )
        return await self._acarried(self._copy(other, settings))

    # ---------------------------------------------------------------- inside
    def _export(self, file: AnyFile, settings: TransferSettings) -> Transfer:
        tally = Tally()
        return Transfer(
            "exporting", self._outgoing(settings, tally), self._file(FileSink(file, tally)), settings, tally
        )

    def _import(self, file: AnyFile, settings: TransferSettings) -> Transfer:
        tally = Tally()
        source = FileSource(file, tally, is_strict=settings.strict)
        return Transfer("importing", self._file(source), self._incoming(self, settings, tally), settings, tally)

    def _copy(self, other: Transferring, settings: TransferSettings) -> Transfer:
        if not isinstance(other, Transferring):
            raise ConfigError(f"entries are copied to a cache, not to {type(other).__name__}")
        tally, mark = Tally(), f"transfer:{secrets.token_hex(8)}"
        source, sink = self._outgoing(settings, tally, mark), other._incoming(self, settings, tally, mark)
        return Transfer("copying", source, sink, settings, tally)

    def _outgoing(self, settings: TransferSettings, tally: Tally, mark: str = "") -> End:
        below = settings.below(self.config.namespace)
        now = self._clock.now()
        return self._end(Outgoing(self._rules, below, now, tally, has_vectors=settings.vectors, mark=mark))

    def _incoming(self, origin: Transferring, settings: TransferSettings, tally: Tally, mark: str = "") -> End:
        """
        Args:
            origin: whose own namespace that of the settings is below.
        """
        below = settings.below(origin.config.namespace)
        own = self.config.namespace
        now = self._clock.now()
        steps = Incoming(
            self._rules, self._epochs, (own, below), settings, now, tally, keeps_all=self._keeps_all, mark=mark
        )
        return self._end(steps)

    def _end(self, steps: Outgoing | Incoming) -> End:
        return End(steps, self._drive, self._adrive)

    def _drive(self, step: Callable[..., Generator[Any, Any, T]], *args: Any) -> T:
        return run(step(*args), self._perform)

    async def _adrive(self, step: Callable[..., Generator[Any, Any, T]], *args: Any) -> T:
        return await arun(step(*args), self._aperform)

    def _file(self, file: FileSink | FileSource) -> End:
        return End(file, _call, self._acall, file.close)

    async def _acall(self, step: Callable[..., T], *args: Any) -> T:
        return await in_worker(self._workers(), partial(step, *args))

    def _carried(self, transfer: Transfer) -> TransferReport:
        started = self._clock.monotonic()
        with _shown(transfer) as told:
            try:
                carry(transfer.source, transfer.sink, told)
            except StoreError as error:
                self._cut_off(transfer, error)
        return transfer.report(self._clock.monotonic() - started)

    async def _acarried(self, transfer: Transfer) -> TransferReport:
        started = self._clock.monotonic()
        with _shown(transfer) as told:
            try:
                await acarry(transfer.source, transfer.sink, told)
            except StoreError as error:
                self._cut_off(transfer, error)
        return transfer.report(self._clock.monotonic() - started)

    def _cut_off(self, transfer: Transfer, error: StoreError) -> None:
        transfer.tally.stopped = type(error).__name__  # its text may quote a URL
        transfer.tally.is_complete = False
        self._spared(error)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One run, ready to go."""

    what: str
    source: End
    sink: End
    settings: TransferSettings
    tally: Tally

    def report(self, seconds: float) -> TransferReport:
        return self.tally.report(seconds=seconds, is_dry_run=self.settings.dry_run)


@contextmanager
def _shown(transfer: Transfer) -> Iterator[Callable[[], None]]:
    """What is called after each page."""
    progress, tally = transfer.settings.progress, transfer.tally
    if progress is True:
        with progress_bar(transfer.what) as show:
            yield lambda: show(tally.progress)
    elif progress is False:
        yield lambda: None
    else:
        yield lambda: progress(tally.progress)


def _call(step: Callable[..., T], *args: Any) -> T:
    return step(*args)
