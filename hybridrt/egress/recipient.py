"""Where a recipient is: the host, port and TLS name of the policy, taken apart once and pinned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from hybridrt.errors import ProtocolError, UnavailableError
from hybridrt.target import Place, Target

# What may stand in the target of a request line: visible ASCII without the fragment sign.
_PATH = re.compile(r"/[!-\"$-~]*")
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One endpoint: nothing in an environment, an adapter or a reply can move it."""

    id: str
    endpoint: str
    place: Place
    host: str
    port: int
    base_path: str
    is_tls: bool

    @classmethod
    def of(cls, target: Target) -> Recipient:
        """Take a target's endpoint apart.

        Raises:
            UnavailableError: the endpoint is not one that can be pinned.
        """
        endpoint = target.endpoint or ""
        wrong = wrong_endpoint(endpoint, target.place)
        if wrong:
            raise UnavailableError(
                f"the endpoint of `{target.id}` {wrong}", target=target.id, hint="write `https://host/path` as its endpoint in the policy"
            )
        parts = urlsplit(endpoint)
        is_tls = parts.scheme == "https"
        host = (
            (parts.hostname or "").encode("idna").decode("ascii").rstrip(".") if ":" not in (parts.hostname or "") else parts.hostname or ""
        )
        return cls(target.id, endpoint, target.place, host, parts.port or (443 if is_tls else 80), parts.path.rstrip("/"), is_tls)

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    def path(self, below: str) -> str:
        """Join an adapter's path to the endpoint's.

        Raises:
            ProtocolError: the path would leave the endpoint or is no path.
        """
        if below and "://" not in below and not below.startswith("/"):
            below = f"/{below}"
        if not _stays_below(below):
            raise ProtocolError("the adapter made a path that does not stay below the endpoint", target=self.id)
        return self.base_path + below


def wrong_address(url: str) -> str | None:
    """Say what is wrong with the address of a file, as the rest of a sentence. Whether it may be asked is not looked at."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is not a URL"
    wrong = wrong_endpoint(f"{parts.scheme}://{parts.netloc}", Place.NEAR_EDGE)
    if wrong is None and not _stays_below((parts.path or "/") + (f"?{parts.query}" if parts.query else "")):
        return "has a path that leads out of its server, or that is not written as a URL"
    return wrong


def _stays_below(path: str) -> bool:
    return bool(_PATH.fullmatch(path)) and not path.startswith("//") and not _DOTS.search(path.partition("?")[0])


def wrong_endpoint(endpoint: str, place: Place) -> str | None:
    """Say what is wrong with an endpoint, as the rest of a sentence."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except (ValueError, UnicodeError):
        return "is not a URL"
    if place is Place.DEVICE:
        return "belongs to the device, which needs none"
    if parts.scheme not in ("https", "http") or not host:
        return "is not an https URL"
    if port == 0:
        return "has no port that can be asked"
    if parts.scheme == "http" and place is not Place.NEAR_EDGE:
        return "is not an https URL; plain http is for `near_edge` only"
    if parts.username is not None or parts.password is not None:
        return "holds a user name"
    if parts.query or parts.fragment or (parts.path and not _PATH.fullmatch(parts.path)):
        return "holds more than a host, a port and a path"
    return None
