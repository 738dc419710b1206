"""What the status of a reply means when the adapter had nothing better to say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from hybridrt.errors import CredentialsError, RateLimitedError, RejectedError, TargetError, UnavailableError
from hybridrt.wire import ReplyHead

# `x-ratelimit-reset`, `x-ratelimit-reset-tokens`, `NAME-ratelimit-tokens-reset`.
_RESET = re.compile(r"(?:[a-z]{1,20}-)?ratelimit(?:-[a-z]{1,20}){0,2}-reset(?:-[a-z]{1,20}){0,2}")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_SPAN = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h|d)){1,5}", re.ASCII)
# Above this a number is no wait but a moment since 1970 (it was 2001), and above a thousand times that one in milliseconds.
_A_MOMENT, _MILLISECONDS = 1e9, 1e12


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
    """Read when to come back: `retry-after-ms`, `retry-after` as seconds or a date, or when a limit that is used up is reset.

    None when absent or nonsense, never below zero. `now` is the wall clock; where the reply is dated, its own date counts, so that
    a wrong clock here or there does not matter.
    """
    if (wait_ms := _number(headers.get("retry-after-ms"))) is not None:
        return wait_ms / 1000
    text = headers.get("retry-after")
    if text is None:
        return _reset_s(headers, now)
    if (wait_s := _number(text)) is not None:
        return wait_s
    at = _moment(text)
    return None if at is None else max(0.0, at - (_moment(headers.get("date", "")) or now))


def _reset_s(headers: Mapping[str, str], now: float) -> float | None:
    """The longest wait among the limits that say of themselves that nothing remains, or that do not say what remains."""
    waits = []
    for name, value in headers.items():
        found = _RESET.fullmatch(name)
        if found is None:
            continue
        remaining = _number(headers.get(name.replace("reset", "remaining")))
        wait_s = _until_reset_s(value, now)
        if wait_s is not None and not remaining:
            waits.append(wait_s)
    return max(waits, default=None)


def _until_reset_s(text: str, now: float) -> float | None:
    """Seconds (`7`), a moment since 1970 in seconds or milliseconds, a time with units (`6m0s`, `120ms`), or a date (RFC 3339)."""
    number = _number(text)
    if number is not None:
        moment = number / 1000 if number >= _MILLISECONDS else number
        return number if number < _A_MOMENT else max(0.0, moment - now)
    if text and _SPAN.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)


def _moment(text: str) -> float | None:
    if not text:
        return None
    from email.utils import parsedate_to_datetime  # most replies need no date, and `email` is half of this import

    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
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
