"""How a transfer goes about it, in one checked value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from llmcache_plugins.config import as_namespace
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.transfer.report import TransferProgress
from llmcache_plugins.types import Namespace

__all__ = ["Existing", "Progress", "TransferSettings"]

Existing: TypeAlias = Literal["newer", "replace", "keep"]
Progress: TypeAlias = bool | Callable[[TransferProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSettings:
    """The arguments of `cache.export_to`, `import_from` and `copy_to`, which explain them.

    Raises:
        ConfigError: one is not what it has to be.
    """

    namespace: str | Namespace = ()
    vectors: bool = True
    existing: Existing = "newer"
    bring_back: bool = False
    strict: bool = False
    dry_run: bool = False
    progress: Progress = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "namespace", as_namespace(self.namespace))
        for name in ("vectors", "bring_back", "strict", "dry_run"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.existing not in get_args(Existing):
            raise ConfigError(f"existing must be one of {', '.join(get_args(Existing))}, not {self.existing!r}")
        if not isinstance(self.progress, bool) and not callable(self.progress):
            raise ConfigError(f"progress must be True, False or callable, not {self.progress!r}")

    def below(self, namespace: Namespace) -> Namespace:
        """The chosen namespace below a cache's own."""
        return (*namespace, *self.namespace)
