"""Everything that can go wrong, in one tree.

    HybridrtError
      + InvalidRequestError        the request itself is wrong: .field
      + FileError                  a file you wrote is wrong: .file, .line, .column
        + PolicyError              ... the policy
        + ApplicationFileError     ... hybridrt.yaml
        + ManifestError            ... the manifest of a net
      + MissingError               something that was named is not here
        + MissingExtraError        an optional dependency: .extra (also an ImportError)
        + MissingModelError        a local model: .model
        + MissingKeyError          a key: .recipient, .source
      + NoAnswerError              no target of the plan answered: .decision, .attempts
        + RefusedByPolicy          the policy left no target that could have been tried
      + DeadlineError              the time of the request is spent: .budget_s, .spent_s, .target
      + TargetError                one attempt on one target failed: .target, .sent
        + UnavailableError         not reachable, or 5xx: .status
          + ProxyError             the proxy of the application file did not lead there: .status
          + OpenBreakerError       failed too often lately and is left alone: .retry_after_s, .failures
          + RetryBudgetError       too much is being tried again: .requests, .further
          + QuarantineError        served from elsewhere than is declared: .declared, .found
          + CrashError             the process of a local model ended: .signal, .exit_code
        + LateError                this target took longer than it was given: .budget_s
        + Busy                     try later: .retry_after_s
          + OverLimitError         more than the application file allows: .limit, .unit
          + NoRoomError            no memory for one more local model: .needed_bytes, .free_bytes, .budget_bytes
          + RateLimitedError       the provider said 429
        + CredentialsError         missing or refused key (401, 403); never tried elsewhere
        + UnsupportedError         this target cannot do what the request asks: .feature
          + PictureError           a picture that cannot be decoded here: .pixels, .most_pixels
        + RejectedError            the provider calls the request wrong (400, 404, 413, 422): .status
        + ContextOverflowError     too long: .needed, .window
        + RefusedError             the model or the service declined to answer
        + DeclinedError            the person was asked and said no
        + BudgetError              it could cost more than is left: .limit_usd, .committed_usd, .needed_usd
        + ProtocolError            the reply is not what this wire speaks
          + RedirectError          a redirect, which is never followed: .status
        + BrokenStream             cut before its end: .delivered characters
        + ModelFileError           a local model file cannot be used
      + EgressError                the gate stopped a send; nothing left the device
        + PermitError              no permit, spent, expired, or for other bytes: .reason
        + LedgerError              the record could not be written
        + MaskError                what was to be masked could not be: .labels
        + LeakStopped              a value that was to be masked stood in the outgoing bytes: .labels
        + DownloadRefused          no model may be fetched from there: .host
      + StoreError                 the store of models cannot do what was asked: .model
        + DigestError              a file is not the one that was asked for: .expected, .found
        + SpaceError               too little room on the disk: .needed_bytes, .free_bytes
        + InUseError               a process uses the model: .pids
        + FactoryModelError        a model that ships is never removed
        + StoreBusyError           another process changes the store: .waited_s
        + TrialError               a model failed its trial and was not activated: .check, .limit, .measured
      + ClosedError                the router is closed
      + BugError                   something raised what it must not, here or in a plug-in: .kind, .where

Messages follow one form: lower case, no full stop, names in backticks, causes joined with colons, never a word of the
request. Numbers are attributes. `code` is stable and meant for programs; `hint` says what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from hybridrt.answer import Attempt
    from hybridrt.decision import Decision


class HybridrtError(Exception):
    """The root: `code` for programs, `hint` for people, `decision` where one had been made."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "", decision: Decision | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.decision = decision
        if hint:
            self.add_note(hint)

    def __reduce__(self) -> tuple[object, ...]:
        # Between processes an error keeps its words and numbers; the decision it belongs to stays where it was made.
        state = {name: value for name, value in self.__dict__.items() if name != "decision"}
        return _restored, (type(self), self.args, {**state, "decision": None})


def _restored(kind: type[HybridrtError], args: tuple[object, ...], state: dict[str, object]) -> HybridrtError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidRequestError(HybridrtError):
    """The request cannot be served by anyone as it stands."""

    code = "invalid_request"

    def __init__(self, message: str, *, field: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class FileError(HybridrtError):
    """A file written by hand is wrong at a place that can be pointed to."""

    code = "file"

    def __init__(self, message: str, *, file: str, line: int = 1, column: int = 1, hint: str = "", code: str = "") -> None:
        super().__init__(f"{file}:{line}:{column}: {message}", hint=hint)
        self.what = message
        self.file = file
        self.line = line
        self.column = column
        self.detail = code or self.code


class PolicyError(FileError):
    """The policy file is wrong; until it is mended nothing leaves the device."""

    code = "policy"


class ApplicationFileError(FileError):
    """`hybridrt.yaml` is wrong; until it is mended nothing leaves the device."""

    code = "application_file"


class ManifestError(FileError):
    """The manifest of a net is wrong; the net is not used, because its answers would mean something else."""

    code = "manifest"


class MissingError(HybridrtError):
    """Something that was named is not here."""

    code = "missing"


class MissingExtraError(MissingError, ImportError):
    """An optional dependency is not installed."""

    code = "missing_extra"

    def __init__(self, needed: str, *, extra: str) -> None:
        super().__init__(f"{needed} needs the extra `{extra}`", hint=f'pip install "hybridrt[{extra}]"')
        self.extra = extra


class MissingModelError(MissingError):
    """A local model that was named is not here."""

    code = "missing_model"

    def __init__(self, message: str, *, model: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.model = model


class MissingKeyError(MissingError):
    """The key of a recipient is not where the application file says."""

    code = "missing_key"

    def __init__(self, message: str, *, recipient: str, source: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.recipient = recipient
        self.source = source


class NoAnswerError(HybridrtError):
    """No target of the plan answered."""

    code = "no_answer"

    def __init__(self, message: str, *, decision: Decision, attempts: tuple[Attempt, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint, decision=decision)
        self.attempts = attempts


class RefusedByPolicy(NoAnswerError):
    """The policy left no target that could have been tried."""

    code = "refused_by_policy"


class DeadlineError(HybridrtError):
    """The time of the request is spent."""

    code = "deadline"

    def __init__(self, message: str, *, budget_s: float, spent_s: float, target: str = "", decision: Decision | None = None) -> None:
        super().__init__(message, hint="allow more time with `deadline_s`", decision=decision)
        self.target = target
        self.budget_s = budget_s
        self.spent_s = spent_s


class TargetError(HybridrtError):
    """One attempt on one target failed. `sent` says whether the provider may have begun to work on it.

    `request_id` is the service's own id of the request, where it gave one: what its support asks for.
    """

    code = "failed"
    request_id: str = ""

    def __init__(self, message: str, *, target: str = "", sent: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.target = target
        self.sent = sent


class UnavailableError(TargetError):
    """Not reachable, or broken on the other side."""

    code = "unavailable"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        target: str = "",
        sent: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, target=target, sent=sent, hint=hint)
        self.status = status
        self.retry_after_s = retry_after_s


class ProxyError(UnavailableError):
    """The proxy cannot be reached, or did not open the way; `status` is what it said. Nothing of a request was sent."""

    code = "proxy"


class OpenBreakerError(UnavailableError):
    """This recipient failed too often lately and is left alone for `retry_after_s`; nothing was sent."""

    code = "breaker_open"

    def __init__(self, *, target: str, retry_after_s: float, failures: int, last: str) -> None:
        super().__init__(
            f"`{target}` is left alone for {retry_after_s:.3g} s after {failures} failures, the last `{last or 'unavailable'}`",
            retry_after_s=retry_after_s,
            target=target,
            hint="it is asked for a sign of life after that; `router.status()` shows the breaker",
        )
        self.failures = failures


class RetryBudgetError(UnavailableError):
    """Too much is being tried again: repeating every failure keeps a service down. Nothing was sent.

    `further` attempts beyond the first were made for the `requests` of the last `window_s`.
    """

    code = "retry_budget"

    def __init__(self, *, target: str, requests: int, further: int, window_s: float) -> None:
        super().__init__(
            f"`{target}` is not tried as well: {further} further attempts were made for the {requests} requests of the last {window_s:g} s",
            target=target,
            hint="the first failure is in `attempts`; try again in a moment",
        )
        self.requests = requests
        self.further = further
        self.window_s = window_s


class QuarantineError(UnavailableError):
    """A reply said that it came from elsewhere than is declared; nothing more is sent there until the router is opened again."""

    code = "quarantined"

    def __init__(self, *, target: str, fact: str, declared: str, found: str, sent: bool = False) -> None:
        super().__init__(
            f"`{target}` is declared with the {fact} `{declared}` and answered from `{found}`",
            target=target,
            sent=sent,
            hint=f"ask the provider, then correct the endpoint or the {fact} in the policy and open the router again",
        )
        self.fact = fact
        self.declared = declared
        self.found = found


class CrashError(UnavailableError):
    """The process of a local model ended while it answered: by `signal`, or with `exit_code`, or by us because it misbehaved."""

    code = "crashed"

    def __init__(self, message: str, *, signal: int | None = None, exit_code: int | None = None, target: str = "", hint: str = "") -> None:
        super().__init__(message, target=target, hint=hint)
        self.signal = signal
        self.exit_code = exit_code


class LateError(TargetError):
    """This target took longer than it was given."""

    code = "late"

    def __init__(self, message: str, *, budget_s: float, target: str = "", sent: bool = False) -> None:
        super().__init__(message, target=target, sent=sent)
        self.budget_s = budget_s


class Busy(TargetError):
    """Full at the moment; nothing was lost and nothing was begun."""

    code = "busy"

    def __init__(self, message: str, *, retry_after_s: float | None = None, target: str = "", hint: str = "") -> None:
        super().__init__(message, target=target, hint=hint)
        self.retry_after_s = retry_after_s


class OverLimitError(Busy):
    """More than the application file lets go to this recipient: `limit` of `unit`. Nothing was sent."""

    code = "over_limit"

    def __init__(self, *, target: str, limit: float, unit: str, retry_after_s: float | None) -> None:
        super().__init__(
            f"`{target}` has its {limit:g} {unit}",
            retry_after_s=retry_after_s,
            target=target,
            hint=f"raise the limit of `{target}` in the application file, or ask later",
        )
        self.limit = limit
        self.unit = unit


class NoRoomError(Busy):
    """There is no memory for one more local model while the others are in use."""

    code = "no_room"

    def __init__(self, message: str, *, needed_bytes: int, free_bytes: int, budget_bytes: int, target: str = "", hint: str = "") -> None:
        super().__init__(message, target=target, hint=hint)
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes
        self.budget_bytes = budget_bytes


class RateLimitedError(Busy):
    """The provider asked for fewer requests (429)."""

    code = "rate_limited"


class CredentialsError(TargetError):
    """The key was refused (401, 403). The request is not tried elsewhere: a wrong key is not a reason to send data on."""

    code = "credentials"


class RejectedError(TargetError):
    """The provider calls the request wrong; sending it again would not help."""

    code = "rejected"

    def __init__(self, message: str, *, status: int, target: str = "", hint: str = "") -> None:
        super().__init__(message, target=target, sent=True, hint=hint)
        self.status = status


class UnsupportedError(TargetError):
    """This target cannot do what the request asks; another one may."""

    code = "unsupported"

    def __init__(self, message: str, *, feature: str, target: str = "", hint: str = "") -> None:
        super().__init__(message, target=target, hint=hint)
        self.feature = feature


class PictureError(UnsupportedError):
    """A picture that cannot be decoded on this device: cut, damaged, or with more pixels than are decoded."""

    code = "picture"

    def __init__(
        self, message: str, *, pixels: int | None = None, most_pixels: int | None = None, target: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, feature="picture", target=target, hint=hint)
        self.pixels = pixels
        self.most_pixels = most_pixels


class ContextOverflowError(TargetError):
    """The request and its answer do not fit the window of the model."""

    code = "too_long"

    def __init__(self, message: str, *, needed: int | None, window: int | None, target: str = "", hint: str = "") -> None:
        super().__init__(message, target=target, hint=hint or "shorten the request, or allow a target with a larger window")
        self.needed = needed
        self.window = window


class RefusedError(TargetError):
    """The model or the service declined to answer."""

    code = "refused"


class DeclinedError(TargetError):
    """The person was asked whether this may leave the device, and said no."""

    code = "declined"


class BudgetError(TargetError):
    """What this attempt could cost, with what is spent or committed already, is over a limit: of the request, a day or a tenant."""

    code = "over_budget"

    def __init__(self, message: str, *, limit_usd: float, committed_usd: float, needed_usd: float, target: str = "") -> None:
        super().__init__(message, target=target)
        self.limit_usd = limit_usd
        self.committed_usd = committed_usd
        self.needed_usd = needed_usd


class ProtocolError(TargetError):
    """The reply is not what this wire speaks."""

    code = "protocol"


class RedirectError(ProtocolError):
    """A redirect; following it would send the request to a recipient nobody permitted."""

    code = "redirect"

    def __init__(self, message: str, *, status: int, target: str = "") -> None:
        super().__init__(message, target=target, sent=True, hint="name the final endpoint in the policy")
        self.status = status


class BrokenStream(TargetError):
    """The stream ended before its end; `delivered` characters had been handed on."""

    code = "broken_stream"

    def __init__(self, message: str, *, delivered: int, target: str = "") -> None:
        super().__init__(message, target=target, sent=True)
        self.delivered = delivered


class ModelFileError(TargetError):
    """A local model file cannot be used."""

    code = "model_file"


class EgressError(HybridrtError):
    """The gate stopped a send; nothing left the device."""

    code = "egress"


class PermitError(EgressError):
    """No permit, a spent one, an expired one, or one for other bytes."""

    code = "permit"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the send was stopped at the gate: {reason}")
        self.reason = reason


class LedgerError(EgressError):
    """The record could not be written, so nothing may be sent."""

    code = "ledger"


class MaskError(EgressError):
    """What was to be masked before a send could not be, so nothing may be sent."""

    code = "mask"

    def __init__(self, message: str, *, labels: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.labels = labels


class LeakStopped(EgressError):
    """A value that was to be masked stood in the outgoing bytes; they were not sent."""

    code = "leak_stopped"

    def __init__(self, message: str, *, labels: tuple[str, ...]) -> None:
        super().__init__(message)
        self.labels = labels


class DownloadRefused(EgressError):
    """No model may be fetched from this host: the policy keeps everything here, or the host is on no list of a source."""

    code = "download_refused"

    def __init__(self, message: str, *, host: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host


class StoreError(HybridrtError):
    """The store of models cannot do what was asked; what it held before it still holds."""

    code = "store"

    def __init__(self, message: str, *, model: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.model = model


class DigestError(StoreError):
    """A file is not the one that was asked for; both are SHA-256."""

    code = "digest"

    def __init__(self, message: str, *, expected: str, found: str, model: str = "", hint: str = "") -> None:
        super().__init__(message, model=model, hint=hint)
        self.expected = expected
        self.found = found


class SpaceError(StoreError):
    """There is too little room on the disk of the store."""

    code = "space"

    def __init__(self, message: str, *, needed_bytes: int, free_bytes: int, model: str = "", hint: str = "") -> None:
        super().__init__(message, model=model, hint=hint)
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class InUseError(StoreError):
    """Processes that run use the model."""

    code = "in_use"

    def __init__(self, message: str, *, pids: tuple[int, ...], model: str = "", hint: str = "") -> None:
        super().__init__(message, model=model, hint=hint)
        self.pids = pids


class FactoryModelError(StoreError):
    """A model that ships with the package is what remains when all else fails; it is never removed or replaced."""

    code = "factory_model"


class StoreBusyError(StoreError):
    """Another process changes the store, or fetches the same file, and did not finish in time."""

    code = "store_busy"

    def __init__(self, message: str, *, waited_s: float, model: str = "", hint: str = "") -> None:
        super().__init__(message, model=model, hint=hint)
        self.waited_s = waited_s


class TrialError(StoreError):
    """A model failed its trial and was not activated. `check` is `load`, `golden`, `p95_s`, `load_s` or `rss_bytes`."""

    code = "trial"

    def __init__(
        self,
        message: str,
        *,
        check: str,
        limit: float | None = None,
        measured: float | None = None,
        model: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, model=model, hint=hint)
        self.check = check
        self.limit = limit
        self.measured = measured


class ClosedError(HybridrtError):
    """The router is closed, or was never opened."""

    code = "closed"


class BugError(HybridrtError):
    """Something raised what it must not, here or in a plug-in. Its own words stay behind: they may quote a request."""

    code = "bug"

    def __init__(self, kind: str, *, where: tuple[str, ...]) -> None:
        place = f" at {where[-1]}" if where else ""
        super().__init__(f"a bug: {kind}{place}", hint="please report it with `error.where`, which holds no content")
        self.kind = kind
        self.where = where
