"""Where a recipient may stand: an address that means one host, in one spelling, of the right kind.

The same machine can be written as `169.254.169.254`, `2852039166`, `0xa9.254.43518`, `[::ffff:a9fe:a9fe]` or with a user
name in front that looks like a host. Everything but the one canonical spelling is refused.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
# What `inet_aton` reads as an address besides four decimal numbers: octal, hexadecimal, fewer parts.
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z")
_PATH = re.compile(r"[A-Za-z0-9._~/:@+=,-]*\Z")
_LOCAL_ENDINGS = (".local", ".lan", ".internal", ".localhost", ".localdomain", ".home.arpa", ".intranet", ".corp", ".home")
# Where clouds answer their own machines with credentials, outside the ranges that are refused anyway: AWS (also its DNS and
# container addresses), Google, Alibaba, Oracle, Azure.
_METADATA = frozenset(
    ipaddress.ip_address(one)
    for one in (
        *("169.254.169.254", "fd00:ec2::254", "fd00:ec2::23", "fd00:ec2::253", "fd20:ce::254"),
        *("100.100.100.200", "192.0.0.192", "168.63.129.16"),
    )
)
# The names of those, wherever a search domain would complete them.
_METADATA_NAMES = frozenset({"metadata", "instance-data", "metadata.goog", "metadata.tencentyun.com", "metadata.platformequinix.com"})
_METADATA_STARTS = ("metadata.google.", "metadata.azure.", "instance-data.")
_LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost", "ip6-loopback", "loopback"})
_LOOPBACK_ENDINGS = (".localhost", ".localdomain")
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


def fault(url: str, kind: str) -> tuple[str, str] | None:
    """Say what is wrong with an endpoint for a recipient of a kind, and the remedy; nothing when it is right."""
    if not url.isascii() or any(mark <= " " or mark in '\\"<>^`{|}\x7f' for mark in url):
        return "the endpoint has characters that an address does not have", "write an international name in its xn-- form"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the endpoint is not an address", "write it as https://host/path"
    if parts.scheme not in {"http", "https"} or not host or parts.netloc.startswith(":") or not url.startswith((f"{parts.scheme}://",)):
        return "the endpoint is not an address", "write it as https://host/path"
    if "%" in parts.netloc:
        return "the host of the endpoint has a zone or an escaped character", "an address that needs a zone is link-local: use another"
    if "@" in parts.netloc:
        return "the endpoint carries credentials", "keys belong in the application file, as `env:NAME`"
    if "?" in url or "#" in url or not _PATH.match(parts.path) or ".." in parts.path.split("/"):
        return "the endpoint has more than a host and a plain path", "queries and keys belong in the application file"
    if port == 0 or parts.netloc.endswith(":"):
        return "the port of the endpoint is missing", "leave the colon out, or write a port from 1 to 65535"
    if port is not None and not parts.netloc.endswith(f":{port}"):
        return "the port of the endpoint is not in its plain spelling", f"write it as `{port}`"
    return _of_host(host, parts.netloc, kind, is_plain=parts.scheme == "http")


def _of_host(host: str, netloc: str, kind: str, *, is_plain: bool) -> tuple[str, str] | None:
    if host != _written(netloc) or host.endswith("."):
        return "the host of the endpoint is not in its plain spelling", f"write it as `{host.rstrip('.')}`"
    address = _address(host)
    if address is None and (netloc.startswith("[") or ":" in host or _NUMERIC.match(host.rsplit(".", 1)[-1])):
        return "the host of the endpoint is a number in disguise", "write an address as four decimal numbers, or a name"
    if address is None and (len(host) > 253 or not all(_LABEL.match(part) for part in host.split("."))):
        return "the host of the endpoint is not a name", "letters, digits, hyphens and dots"
    if _is_metadata(host) or (address is not None and _is_never(address)):
        return "the endpoint is a link-local, metadata or otherwise special address", "no policy may send a request there"
    is_near = _is_near(host, address)
    is_loopback = _is_loopback(host, address)
    if kind == "near_edge":
        if not is_near:
            return "a `near_edge` recipient stands on this machine or its network", "a public host is `cloud` or `private_cloud`"
        if is_plain and address is None and host != "localhost":
            return "plain http to a name can be led elsewhere", "write the address itself, or use https"
        return None
    if is_plain:
        return f"a `{kind}` recipient must be reached by https", "write https://"
    if is_loopback or (kind == "cloud" and is_near):
        return f"a `{kind}` recipient cannot stand on this machine or a private network", "a server of your own network is `near_edge`"
    return None


def _written(netloc: str) -> str:
    """Take the host as it was written, without the port; `urlsplit` would have lowered its letters."""
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0]
    return netloc.partition(":")[0]


def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address if str(address) == host else None


def _unwrapped(address: Address) -> Address:
    """Find the IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and (any(address in network for network in _NAT64) or int(address) >> 32 == 0):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if int(address) > 1 else address
    return inner or address


def _is_never(address: Address) -> bool:
    inner = _unwrapped(address)
    # An IPv4 address inside an IPv6 one is a second spelling of the same host.
    is_wrapped = inner is not address
    is_special = inner.is_link_local or inner.is_multicast or inner.is_unspecified or (inner.is_reserved and not inner.is_loopback)
    return inner in _METADATA or is_wrapped or is_special


def _is_metadata(host: str) -> bool:
    return host in _METADATA_NAMES or host.startswith(_METADATA_STARTS)


def _is_loopback(host: str, address: Address | None) -> bool:
    if address is None:
        return host in _LOOPBACK_NAMES or host.endswith(_LOOPBACK_ENDINGS)
    return _unwrapped(address).is_loopback


def _is_near(host: str, address: Address | None) -> bool:
    if address is None:
        return "." not in host or host.endswith(_LOCAL_ENDINGS)
    return not address.is_global
