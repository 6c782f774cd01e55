"""Resources that this process has opened: clients, connections, caches. Each is made on first use, once.

A module decorates the function that makes its client or cache; callers call that function for what it made. So
nothing is opened by an import, and one object knows all that is open.
"""

import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import wraps
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Process:
    """Resources of one process, by the functions that made them and their arguments."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, Any], Any] = {}
        self._closing: dict[Any, Callable[[Any], object]] = {}
        self._disconnecting: dict[Any, Callable[[Any], Awaitable[object]]] = {}
        self._making = threading.RLock()

    def keeps(self, make: Callable[[*Ts], T]) -> Callable[[*Ts], T]:
        """Decorate a function to be called once for the same arguments; its result needs no closing."""

        @wraps(make, updated=())  # A class has attributes that its instances need alone.
        def kept(*arguments: *Ts) -> T:
            key = make, arguments
            try:
                found: T = self._kept[key]
            except KeyError:
                with self._making:
                    if key not in self._kept:
                        self._kept[key] = make(*arguments)
                    found = self._kept[key]
            return found

        return kept

    def closes(self, close: Callable[[T], object]) -> Callable[[Callable[[*Ts], T]], Callable[[*Ts], T]]:
        """Decorate like `keeps`; `close` releases the result at the end of the process's work."""

        def decorated(make: Callable[[*Ts], T]) -> Callable[[*Ts], T]:
            self._closing[make] = close
            return self.keeps(make)

        return decorated

    def connects(
        self, disconnect: Callable[[T], Awaitable[object]]
    ) -> Callable[[Callable[[*Ts], T]], Callable[[*Ts], T]]:
        """Decorate like `keeps` where the result has connections, which belong to the running event loop."""

        def decorated(make: Callable[[*Ts], T]) -> Callable[[*Ts], T]:
            self._disconnecting[make] = disconnect
            return self.keeps(make)

        return decorated

    def connected(self) -> list[str]:
        """Return the names of the functions whose results have connections, of those that were called."""
        return [make.__qualname__ for make, _ in self._kept if make in self._disconnecting]

    async def disconnect(self) -> None:
        """Close connections before their event loop ends, the latest first; the next use makes new ones."""
        async with AsyncExitStack() as stack:
            for key in [key for key in self._kept if key[0] in self._disconnecting]:
                stack.push_async_callback(self._disconnecting[key[0]], self._kept.pop(key))

    async def close(self) -> None:
        """Close and forget everything, so that the next use makes it with the settings of that time."""
        await self.disconnect()
        for (make, _), kept in self._kept.items():
            if make in self._closing:
                self._closing[make](kept)
        self._kept.clear()


process: Final = Process()
"""This process."""
