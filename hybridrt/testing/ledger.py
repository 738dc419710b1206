"""A ledger in memory, for tests that ask what was recorded and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hybridrt.errors import LedgerError


class MemoryLedger:
    """Keeps each record in `records` and whether it was to be durable in `durable`; `fail_next` makes it unwritable."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.durable: list[bool] = []
        self.is_closed = False
        self._failures = 0

    def append(self, record: Mapping[str, Any], *, durable: bool = False) -> None:
        """Keep a copy of the record.

        Raises:
            LedgerError: it was told to.
        """
        if self._failures:
            self._failures -= 1
            raise LedgerError("the record could not be written: the test ledger was told to fail")
        self.records.append(dict(record))
        self.durable.append(durable)

    def latest(self) -> datetime | None:
        """Hold nothing from before."""
        return None

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True

    def fail_next(self, times: int = 1) -> None:
        """Refuse the next records."""
        self._failures = times
