"""A model that serves without having been tried: its first load is counted before it begins and forgiven once it answered.

If native code ends the process in between, the count is what the next start finds, and the version before it serves again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from hybridrt.backend import Backend, Call
from hybridrt.errors import CrashError, ModelFileError
from hybridrt.event import Event
from hybridrt.store.loan import Loan
from hybridrt.store.store import Store

# What a backend does beside answering, for which it loads its model.
_LOADING = ("start", "count", "target_facts")


class ProvingBackend:
    """A backend whose model is on trial. Everything but the counting is the backend's own."""

    def __init__(self, backend: Backend, store: Store, loan: Loan) -> None:
        self._backend = backend
        self._store = store
        self._loan = loan
        self._counting = threading.Lock()
        self._is_begun = False
        self._is_proven = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        return partial(self._loaded, found) if name in _LOADING else found

    async def _loaded(self, work: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
        """Do what loads the model and asks it nothing: that proves nothing, and may crash all the same."""
        await self._begin()
        try:
            return await work(*arguments, **named)
        except (ModelFileError, CrashError):
            self._is_proven = True
            raise

    async def _begin(self) -> None:
        if not self._is_begun:
            await asyncio.to_thread(self._count)

    def _count(self) -> None:
        digest = self._loan.manifest.digest
        # Who comes second waits until the count is on the disk.
        with self._counting:
            if not self._is_begun:
                self._store.change(self._loan.manifest.name, lambda slots: slots.count(digest))
                self._is_begun = True

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        """Answer; see `hybridrt.backend.Backend`.

        Raises:
            TargetError: of the kind that fits.
        """
        name, digest = self._loan.manifest.name, self._loan.manifest.digest
        await self._begin()
        try:
            async with aclosing(self._backend.answer(call)) as events:
                async for event in events:
                    if not self._is_proven:
                        self._is_proven = True
                        await asyncio.to_thread(self._store.change, name, lambda slots: slots.prove(digest))
                    yield event
        except (ModelFileError, CrashError):
            # It will not load the next time either, or ended the process it was given: the count stays, and the next start
            # takes the version before it.
            self._is_proven = True
            raise

    async def close(self) -> None:
        """Close the backend. Whoever closes did not crash, so a load that was merely begun is forgotten."""
        await self._backend.close()
        if self._is_begun and not self._is_proven:
            digest = self._loan.manifest.digest
            await asyncio.to_thread(self._store.change, self._loan.manifest.name, lambda slots: slots.forget(digest))
