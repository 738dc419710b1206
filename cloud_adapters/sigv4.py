"""AWS Signature Version 4: headers that prove who sends a request. A pure function; the time is given."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from hybridrt.sealed import Sealed
from hybridrt.wire import HttpRequest

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True, repr=False)
class AwsKey(Sealed):
    """An access key; a temporary one has a session token."""

    id: str
    secret: str
    session_token: str = ""

    @classmethod
    def read(cls, key: str) -> AwsKey | None:
        """Take `ID:SECRET` or `ID:SECRET:SESSION_TOKEN` apart; none when it is something else."""
        id_, _, rest = key.partition(":")
        secret, _, token = rest.partition(":")
        return cls(id_, secret, token) if id_ and secret else None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a signature holds: the service, in its region."""

    region: str
    service: str


def signature_headers(request: HttpRequest, *, authority: str, now: datetime, key: AwsKey, scope: Scope) -> tuple[tuple[str, str], ...]:
    """The headers to add to a request, whose path is the whole path on the host `authority`.

    Every header of the request is signed.
    """
    at = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added = [("x-amz-date", at)]
    if key.session_token:
        added.append(("x-amz-security-token", key.session_token))
    names, canonical = _canonical(request, (("host", authority), *request.headers, *added))
    within = f"{at[:8]}/{scope.region}/{scope.service}/aws4_request"
    said = "\n".join((_ALGORITHM, at, within, hashlib.sha256(canonical).hexdigest()))
    signature = hmac.new(_signing_key(key.secret, at[:8], scope), said.encode(), hashlib.sha256).hexdigest()
    proof = f"{_ALGORITHM} Credential={key.id}/{within}, SignedHeaders={names}, Signature={signature}"
    return (*added, ("authorization", proof))


def _canonical(request: HttpRequest, headers: tuple[tuple[str, str], ...]) -> tuple[str, bytes]:
    path, _, query = request.path.partition("?")
    by_name: dict[str, list[str]] = {}
    for name, value in headers:
        by_name.setdefault(name.lower(), []).append(" ".join(value.split()))
    lines = "".join(f"{name}:{','.join(by_name[name])}\n" for name in sorted(by_name))
    names = ";".join(sorted(by_name))
    # The path goes out encoded once and is signed encoded once more; only S3 does otherwise.
    parts = (request.method, quote(path or "/", safe="/-_.~"), _query(query), lines, names, hashlib.sha256(request.body).hexdigest())
    return names, "\n".join(parts).encode()


def _query(query: str) -> str:
    pairs = sorted((name, value) for name, _, value in (each.partition("=") for each in query.split("&") if each))
    return "&".join(f"{name}={value}" for name, value in pairs)


def _signing_key(secret: str, date: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
