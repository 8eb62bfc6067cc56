"""What makes a cache a thing to open, share and close."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

__all__ = ["Shared"]


class Shared:
    """Closed at the end of a `with` block; a copy of it is itself."""

    def close(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # frameworks deep-copy their models, and a copied model shares its cache
