"""What the status of a reply means when the adapter had nothing better to say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC

from hybridrt.errors import CredentialsError, RateLimitedError, RejectedError, TargetError, UnavailableError
from hybridrt.wire import ReplyHead


def status_fault(head: ReplyHead, recipient: str, now: float) -> TargetError | None:
    """Return the error a status stands for; none for a 2xx. `now` is the wall clock, for dates."""
    status = head.status
    if 200 <= status < 300:
        return None
    wait_s = retry_after_s(head.headers, now)
    if status in (401, 403):
        return CredentialsError(
            f"`{recipient}` refused the key ({status})", target=recipient, sent=True, hint="check the key of this recipient"
        )
    if status == 429:
        return RateLimitedError(f"`{recipient}` asked for fewer requests", retry_after_s=wait_s, target=recipient)
    if status >= 500 or status < 200 or status == 408:
        # With a time to come back, a 503 says that the request was turned away; every other 5xx may come from the middle of the work.
        is_turned_away = status == 503 and wait_s is not None
        return UnavailableError(
            f"`{recipient}` answered {status}", status=status, retry_after_s=wait_s, target=recipient, sent=not is_turned_away
        )
    return RejectedError(f"`{recipient}` calls the request wrong ({status})", status=status, target=recipient)


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Read `retry-after-ms` or `retry-after`, as seconds or as a date; none when absent or nonsense, never below zero."""
    if (wait_ms := _number(headers.get("retry-after-ms"))) is not None:
        return wait_ms / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    if (wait_s := _number(text)) is not None:
        return wait_s
    from email.utils import parsedate_to_datetime  # most replies need no date, and `email` is half of this import

    try:
        when = parsedate_to_datetime(text)
        return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    if value is None or not value < float("inf"):
        return None
    return max(0.0, value)
