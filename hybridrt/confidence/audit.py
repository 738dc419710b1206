"""Have a stronger model answer what the device just answered, as the policy allows, and count whether the two agree."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from hybridrt.answer import Answer
from hybridrt.confidence.compare import agreement
from hybridrt.deadline import Deadline
from hybridrt.errors import HybridrtError
from hybridrt.lifetime import Lifetime
from hybridrt.request import Request

log = logging.getLogger("hybridrt")

# Nobody waits for it; one that takes longer than this stands for a service that is ill.
_BUDGET_S = 60.0

Ask = Callable[[Request, Deadline], Awaitable[Answer]]


class Audits:
    """The audits of one router that are under way; closing it ends them."""

    def __init__(self, ask: Ask, lifetime: Lifetime) -> None:
        self._ask, self._lifetime = ask, lifetime
        # A task that nobody holds may be collected while it waits.
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, request: Request, answer: Answer) -> None:
        """Audit an answer that was drawn for it, beside whatever else goes on.

        Not one whose caller keeps the request here, and not where the person would be asked to agree to what nobody waits for.
        """
        if answer.ballot is None or not answer.ballot.asks_cloud:
            return
        if request.only == "device" or answer.decision.obligations.get("confirm"):
            return
        task = asyncio.get_running_loop().create_task(self._audit(request, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _audit(self, request: Request, answer: Answer) -> None:
        assert answer.ballot is not None  # noqa: S101 - `begin` has looked
        try:
            with self._lifetime.step():
                # A decision of its own, a permit of its own, on record like any other: the policy may say no.
                elsewhere = replace(request, only="off_device", prefer=None, deadline_s=_BUDGET_S)
                other = await self._ask(elsewhere, Deadline.start(_BUDGET_S))
                if other.finish != "unknown":  # else it may be half an answer, and to differ from that says nothing
                    await answer.ballot.cast(agreement(answer, other), "cloud")
        except HybridrtError as error:
            log.debug("an answer drawn for an audit was not audited: %s", error.code)
        except Exception as error:  # noqa: BLE001 - nobody waits for this task who could hear of it
            log.warning("an audit failed: %s", type(error).__name__)
