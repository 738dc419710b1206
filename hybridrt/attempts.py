"""The attempts of one decision on record: one sequence of numbers, on the device and off it, each with a begin and an end."""

from __future__ import annotations

import logging
import os

from hybridrt.answer import Attempt
from hybridrt.errors import LedgerError
from hybridrt.ledger import LedgerPort
from hybridrt.target import Target

log = logging.getLogger("hybridrt")


class Attempts:
    """What is written down of the attempts of one decision."""

    __slots__ = ("_decision_id", "_ledger", "_number", "_pid")

    def __init__(self, ledger: LedgerPort, decision_id: str) -> None:
        self._ledger = ledger
        self._decision_id = decision_id
        self._number = 0
        self._pid = os.getpid()

    def begin(self, target: Target, *, durable: bool, usd: float | None = None) -> int:
        """Write down that an attempt begins, and return its number.

        Raises:
            LedgerError: it could not be recorded; the number is not used up.
        """
        number = self._number + 1
        record = {"kind": "attempt", "decision": self._decision_id, "attempt": number, "recipient": target.id, "place": str(target.place)}
        if usd is not None:
            record["usd"] = round(usd, 8)
        self._ledger.append(record, durable=durable)
        self._number = number
        return number

    def begin_unsent(self, target: Target) -> int | None:
        """Begin one of which nothing leaves: a ledger that fails never stops the device. None where it is not on record."""
        try:
            return self.begin(target, durable=False)
        except LedgerError:
            log.warning("an attempt on %s could not be recorded", target.id)
            return None

    def end(self, number: int, attempt: Attempt, usd: float | None = None) -> None:
        """Write down how an attempt ended. Never raises: the answer is the caller's, and the next begin meets the same ledger.

        A begin without an end reads as `unknown`.
        """
        if self._pid != os.getpid():
            return  # a copy in a forked process; the attempt goes on in the parent, which will say how it ended
        record = {
            "kind": "attempt_ended",
            "decision": self._decision_id,
            "attempt": number,
            "recipient": attempt.target,
            "place": str(attempt.place),
            "outcome": attempt.outcome,
            "bytes_out": attempt.bytes_out,
            "ms": round(attempt.ms, 3),
        }
        if usd is not None:
            record["usd"] = round(usd, 8)
        try:
            self._ledger.append(record, durable=False)
        except LedgerError:
            log.warning("the end of attempt %d of decision %s could not be recorded", number, self._decision_id)
