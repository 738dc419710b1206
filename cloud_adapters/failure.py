"""What a reply that is no answer means, as a typed error. Not one word of the reply goes into its text.

By status first; a code in the body refines it where it changes what to do next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from cloud_adapters.shape import count_of, wrong
from hybridrt.errors import (
    ContextOverflowError,
    CredentialsError,
    RateLimitedError,
    RedirectError,
    RefusedError,
    RejectedError,
    TargetError,
    UnavailableError,
)
from hybridrt.wire import ReplyHead

# For a request in somebody's hands, waiting a day and waiting for ever are the same.
MAX_RETRY_AFTER_S = 86_400.0

_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
_REFUSED = frozenset({"content_filter", "content_policy_violation", "invalid_prompt", "ResponsibleAIPolicyViolation"})
_RATE = frozenset({"rate_limit_exceeded", "rate_limit_error", "insufficient_quota", "tokens_exceeded", "requests"})
_KEY = frozenset({"invalid_api_key", "authentication_error", "permission_error", "invalid_authentication"})
_REJECTED = frozenset({"invalid_request_error", "model_not_found", "not_found_error", "request_too_large", "BadRequestError"})
# Services that have no code for "too long" say it in a phrase of their own, some of them with both numbers.
_TOO_LONG_PHRASES = (
    re.compile(r"maximum context length"),  # vLLM, and gateways before older models
    re.compile(r"maximum prompt length is (?P<window>\d{1,15}) but the request contains (?P<needed>\d{1,15})", re.ASCII),  # xAI
    re.compile(r"prompt is too long(?:: (?P<needed>\d{1,15}) tokens > (?P<window>\d{1,15}) maximum)?", re.ASCII),  # Anthropic
    re.compile(r"exceed context limit: (?P<prompt>\d{1,15}) \+ (?P<answer>\d{1,15}) > (?P<window>\d{1,15})", re.ASCII),  # Anthropic
)
_WRONG_KEY = re.compile(r"Incorrect(?: |%20)API(?: |%20)key")
_SECONDS = re.compile(r"-?\d{1,400}(\.\d{1,400})?", re.ASCII)


def failure(head: ReplyHead, error: Mapping[str, Any] | None = None, *, target: str) -> TargetError:
    """Say what a reply with this status, and this error object where there is one, means."""
    status = head.status
    if 300 <= status < 400:
        return RedirectError(f"`{target}` answered {status}, a redirect, which is never followed", status=status, target=target)
    if status in (401, 403):
        return CredentialsError(f"`{target}` refused the key ({status})", target=target, sent=True, hint=_KEY_HINT)
    if 400 <= status < 500 and error:
        if known := _from_body(error, target):
            return known
        if _refuses_key(error):
            return CredentialsError(f"`{target}` refused the key ({status})", target=target, sent=True, hint=_KEY_HINT)
    if status == 429:
        return _rate_limited(error, retry_after_s(head), target)
    if status >= 500 or status in (408, 409, 425):
        return UnavailableError(f"`{target}` answered {status}", status=status, retry_after_s=retry_after_s(head), target=target, sent=True)
    if 400 <= status < 500:
        return RejectedError(
            f"`{target}` calls the request wrong ({status})", status=status, target=target, hint=_REJECTED_HINTS.get(status, "")
        )
    return wrong(target, f"answered {status}, which this wire does not know")


def failure_in_answer(error: object, head: ReplyHead, *, target: str) -> TargetError:
    """Say what an error object inside a reply of status 200 means."""
    if not isinstance(error, Mapping):
        return UnavailableError(f"`{target}` reported an error instead of an answer", target=target, sent=True)
    if known := _from_body(error, target):
        return known
    codes = _codes(error)
    numbers = [value for value in (error.get("code"), error.get("status")) if isinstance(value, int) and 400 <= value < 600]
    if numbers:
        return failure(ReplyHead(numbers[0], head.headers), error, target=target)
    if codes & _RATE:
        return _rate_limited(error, retry_after_s(head), target)
    if codes & _KEY:
        return CredentialsError(f"`{target}` refused the key", target=target, sent=True, hint=_KEY_HINT)
    if codes & _REJECTED:
        return RejectedError(f"`{target}` calls the request wrong", status=400, target=target)
    return UnavailableError(f"`{target}` reported an error instead of an answer", target=target, sent=True)


def refused(target: str) -> RefusedError:
    """The error for a refusal, by the model or by the service around it; the words of the refusal stay where they are."""
    return RefusedError(f"`{target}` declined to answer", target=target, sent=True)


def retry_after_s(head: ReplyHead) -> float | None:
    """Seconds to wait, in every form services say it: `retry-after-ms`, seconds, or a date.

    A date is counted from the reply's own `date`, so that a wrong clock here or there does not matter. Below zero is
    zero; more than a day is a day; what is no time at all is none.
    """
    said = head.headers.get("retry-after-ms", "").strip()
    if _SECONDS.fullmatch(said):
        return _clamped(float(said) / 1000)
    said = head.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(said):
        return _clamped(float(said))
    at, now = _moment(said), _moment(head.headers.get("date", ""))
    return None if at is None or now is None else _clamped(at - now)


def _clamped(seconds: float) -> float:
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S)


def _moment(text: str) -> float | None:
    if not 6 <= len(text) <= 64:
        return None
    from email.utils import parsedate_to_datetime  # seldom needed, and it brings `socket` along

    try:
        at = parsedate_to_datetime(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


_KEY_HINT = "check the key of this recipient, where the application file says it comes from"
_REJECTED_HINTS = {
    400: "check what the model supports: tools, pictures, temperature, output form",
    402: "the account behind the key has to be paid",
    404: "check the name of the model and the endpoint",
    413: "the request has too many bytes for this service",
    422: "check what the model supports: tools, pictures, temperature, output form",
}


def _rate_limited(error: Mapping[str, Any] | None, retry_s: float | None, target: str) -> RateLimitedError:
    spent = bool(error) and "insufficient_quota" in _codes(error or {})
    hint = "the quota of this key is used up; waiting does not help" if spent else ""
    return RateLimitedError(f"`{target}` asks for fewer requests", retry_after_s=retry_s, target=target, hint=hint)


def _codes(error: Mapping[str, Any]) -> frozenset[str]:
    inner = error.get("innererror")
    said = [error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, Mapping) else None]
    return frozenset(code for code in said if isinstance(code, str))


def _from_body(error: Mapping[str, Any], target: str) -> TargetError | None:
    """Two things change what to do next whatever the status says: too long, and refused."""
    codes = _codes(error)
    phrase = _too_long_phrase(error.get("message")) or _too_long_phrase(error.get("error"))  # xAI's error is the text itself
    if codes & _TOO_LONG or phrase:
        said = {name: int(number) for name, number in (phrase.groupdict() if phrase else {}).items() if number}
        needed = said.get("needed") or sum(said.get(part, 0) for part in ("prompt", "answer")) or count_of(error.get("n_prompt_tokens"))
        return ContextOverflowError(
            f"the request does not fit the window of `{target}`",
            needed=needed,
            window=said.get("window") or count_of(error.get("n_ctx")),
            target=target,
        )
    if codes & _REFUSED:
        return refused(target)
    return None


def _refuses_key(error: Mapping[str, Any]) -> bool:
    """Not every service says 401: xAI calls a wrong key a wrong request, and says what it is in words alone."""
    said = [text for text in (error.get("message"), error.get("error")) if isinstance(text, str)]
    return bool(_codes(error) & _KEY) or any(_WRONG_KEY.match(text) for text in said)


def _too_long_phrase(message: object) -> re.Match[str] | None:
    if not isinstance(message, str):
        return None
    return next((found for phrase in _TOO_LONG_PHRASES if (found := phrase.search(message))), None)
