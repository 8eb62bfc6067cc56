"""`llmcache export` and `llmcache import`: entries from one cache to another, by a file or a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from llmcache_plugins.cli.lasting import check_lasting
from llmcache_plugins.cli.sealed import check_key
from llmcache_plugins.engine import SemanticCache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import open_cache, parse_url
from llmcache_plugins.keys.fingerprint import KEY_VERSION
from llmcache_plugins.paths import as_path
from llmcache_plugins.transfer import TransferReport
from llmcache_plugins.transfer.files import AnyFile, look_at_header
from llmcache_plugins.types import Namespace

__all__ = ["ExportOptions", "ImportOptions", "run_export", "run_import"]

_NO_LIMIT = 2**50  # entries or bytes: more than any store holds
_LASTING = "only a cache in a file or on a server can be reached from outside: a cache in memory has cache.export_to"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What was asked for on the command line; `file` is `-` for the standard output."""

    url: str = field(repr=False)  # it may hold a password
    file: str
    namespace: Namespace = ()
    no_vectors: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What was asked for on the command line; `file` is `-` for the standard input, no limit is None.

    Raises:
        ConfigError: both `replace` and `keep`.
    """

    url: str = field(repr=False)  # it may hold a password
    file: str
    namespace: Namespace = ()
    no_vectors: bool = False
    replace: bool = False
    keep: bool = False
    bring_back: bool = False
    strict: bool = False
    max_entries: int | None = None
    max_bytes: int | None = None
    dry_run: bool = False
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.replace and self.keep:
            raise ConfigError("give --replace or --keep, not both")


def run_export(options: ExportOptions, say: Callable[[str], None] = print) -> int:
    """Run it; 1 when something was damaged or left out for no good reason.

    Raises:
        ConfigError: the URL is no cache in a file that is there, the file cannot be written, or what is stored is
            sealed, and the key is not here.
        StoreError: the cache cannot be read.
        OSError: the file cannot be written any more.
    """
    check_lasting(options.url, _LASTING)
    is_stream = options.file == "-"
    with _opened(options.url) as cache:
        check_key(cache)
        report = cache.export_to(
            _stream(sys.stdout) if is_stream else options.file,
            namespace=options.namespace,
            vectors=not options.no_vectors,
            progress=_has_bar(options),
        )
    return _told(report, options.as_json, _say_beside if is_stream else say)


def run_import(options: ImportOptions, say: Callable[[str], None] = print) -> int:
    """Run it; 1 when the file was damaged or cut off, or entries were refused or stored in vain.

    Raises:
        ConfigError: the URL is no cache in a file or on a server, or the file is no export that can be read.
        StoreError: the cache cannot be read or written.
        OSError: the file cannot be read any more.
    """
    check_lasting(options.url, _LASTING, must_exist=False)
    kind, path = parse_url(options.url)
    source: AnyFile = _stream(sys.stdin) if options.file == "-" else options.file
    url = options.url
    if kind == "disk" and not path.is_file():
        # What would be stored in a file that is not there yet: all of it. A trial leaves none behind, and neither does
        # what is refused.
        is_importable, source = _looked_at(source)
        url = url if is_importable and not options.dry_run else "memory://"
    limits = {"max_entries": options.max_entries or _NO_LIMIT, "max_bytes": options.max_bytes or _NO_LIMIT}
    with _opened(url, **limits) as cache:
        report = cache.import_from(
            source,
            namespace=options.namespace,
            vectors=not options.no_vectors,
            existing="replace" if options.replace else "keep" if options.keep else "newer",
            bring_back=options.bring_back,
            strict=options.strict,
            dry_run=options.dry_run,
            progress=_has_bar(options),
        )
    return _told(report, options.as_json, say)


def _looked_at(source: AnyFile) -> tuple[bool, AnyFile]:
    """Whether any cache would take the entries, and what to import from then.

    Raises:
        ConfigError: it is no export that can be read.
    """
    place = as_path(source) if isinstance(source, str) else None
    if place is not None and place.exists() and not (place.is_file() or place.is_dir()):
        return True, source  # what a named pipe holds can be read once
    header, source = look_at_header(source)
    return header.key_version == KEY_VERSION, source


def _opened(url: str, **limits: Any) -> SemanticCache:
    """The cache without an embedder: vectors go as they are, and no model is loaded."""
    return open_cache(url, embedder=None, verifier=None, fail_open=False, maintenance="manual", **limits)


def _stream(stream: Any) -> BinaryIO:
    binary: BinaryIO | None = getattr(stream, "buffer", None)
    if binary is None:
        raise ConfigError("there is no binary standard stream here: give the name of a file")
    return binary


def _has_bar(options: ExportOptions | ImportOptions) -> bool:
    return not options.as_json and sys.stderr.isatty()


def _say_beside(text: str) -> None:
    """The standard output is the export itself."""
    print(text, file=sys.stderr)


def _told(report: TransferReport, as_json: bool, say: Callable[[str], None]) -> int:
    say(json.dumps(report.as_json()) if as_json else str(report))
    return 0 if report.is_whole else 1
