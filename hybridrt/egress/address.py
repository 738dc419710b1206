"""Which addresses a recipient may have. A name is only as trustworthy as whoever answers for it.

A cloud recipient whose name suddenly leads to the machine itself, to the local network or to a metadata service is an
attack or a mistake; a server on the local network whose name leads to the internet is no longer near.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from hybridrt.target import Place

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The machine itself and the private ranges of RFC 1918 and RFC 4193; link-local is left out, metadata services live there.
_NEAR: tuple[Network, ...] = tuple(
    ip_network(text) for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
# Metadata services that stand inside a range that would otherwise do; Azure's has a public address.
_METADATA: frozenset[Address] = frozenset(
    map(ip_address, ("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"))
)
# Not on the public internet, though some releases of Python say so: translation within a site (RFC 8215, RFC 2765), the site-local
# addresses of old, and what is set aside for protocols.
_NOT_PUBLIC: tuple[Network, ...] = tuple(ip_network(text) for text in ("64:ff9b:1::/48", "::ffff:0:0:0/96", "fec0::/10", "192.0.0.0/24"))
# The prefix under which an IPv6-only network reaches IPv4 (RFC 6052); the last 32 bits are the real address.
_NAT64 = IPv6Network("64:ff9b::/96")


def refusal(text: str, place: Place) -> str | None:
    """Say why a recipient at this place may not have this address; none when it may."""
    try:
        address = _real(ip_address(text))
    except ValueError:
        return "is no address"
    if address in _METADATA:
        return "is a metadata service"
    if place is Place.NEAR_EDGE:
        return None if _is_in(address, _NEAR) else "is neither this machine nor a private network"
    for is_it, what in (
        (address.is_unspecified, "is unspecified"),
        (address.is_loopback, "is this machine"),
        (address.is_link_local, "is link-local"),
        (address.is_multicast, "is multicast"),
        (not address.is_global or _is_in(address, _NOT_PUBLIC), "is not on the public internet"),
    ):
        if is_it:
            return what
    return None


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _real(address: Address) -> Address:
    """Unwrap the forms in which IPv6 carries an IPv4 address, so that none of them is a way around the rules."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
