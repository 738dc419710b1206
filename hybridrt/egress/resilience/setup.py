"""What one router's traffic is held to, out of the application file and the ledger."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from hybridrt.allowance import Rates
from hybridrt.egress.resilience.purse import Purse
from hybridrt.egress.resilience.traffic import Traffic

if TYPE_CHECKING:
    from hybridrt.application import Application
    from hybridrt.ledger import LedgerPort

_NO_RATES = Rates()


def make_traffic(application: Application, ledger: LedgerPort) -> Traffic:
    """Make the traffic of one router."""
    rates = {binding.recipient: binding.rates for binding in application.bindings if binding.rates != _NO_RATES}
    # The model that makes vectors has limits of its own at every service, of the same size.
    vectors = {f"{name}/embed": limits for name, limits in rates.items()}
    return Traffic(rates=rates | vectors, purse=_purse(application, ledger))


def _purse(application: Application, ledger: LedgerPort) -> Purse | None:
    """What of the day is spent, where the application limits it. A ledger that can look back says what it cost before."""
    budget = application.budget
    if budget.usd_per_day is None and budget.usd_per_tenant_day is None:
        return None
    look_back = getattr(ledger, "spent_usd", None)
    return Purse(budget, _today, 0.0 if look_back is None else look_back(_today()))


def _today() -> date:
    return datetime.now(UTC).date()
