"""Which addresses a recipient may have, as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hybridrt.egress.address import refusal
from hybridrt.egress.recipient import Recipient
from hybridrt.errors import ProtocolError, UnavailableError
from hybridrt.target import Place, Target

PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
NEAR = ["127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.10", "::1", "fd12:3456::1", "::ffff:192.168.1.10"]
# The right answer for these is no, wherever the recipient claims to be.
NOBODY = [
    "0.0.0.0",
    "::",
    "169.254.169.254",
    "169.254.1.1",
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "fd00:ec2::254",
    "fd20:ce::254",
    "192.0.2.1",
    "240.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "168.63.129.16",
    "::ffff:168.63.129.16",
    "64:ff9b:1::7f00:1",
    "fec0::1",
    "192.0.0.8",
    "::ffff:0:127.0.0.1",
    "not an address",
]
# IPv6 clothes over addresses of the machine or the local network.
DISGUISED = [
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::c0a8:101",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
]


@pytest.mark.parametrize("place", [Place.CLOUD, Place.PRIVATE_CLOUD])
@pytest.mark.parametrize(("addresses", "may"), [(PUBLIC, True), (NEAR, False), (NOBODY, False), (DISGUISED, False)])
def test_a_cloud_is_on_the_public_internet(place, addresses, may):
    assert {address: refusal(address, place) is None for address in addresses} == dict.fromkeys(addresses, may)


@pytest.mark.parametrize(("addresses", "may"), [(PUBLIC, False), (NEAR, True), (NOBODY, False)])
def test_near_is_this_machine_or_a_private_network(addresses, may):
    assert {address: refusal(address, Place.NEAR_EDGE) is None for address in addresses} == dict.fromkeys(addresses, may)


def test_a_scope_does_not_hide_a_link_local_address():
    assert refusal("fe80::1%eth0", Place.NEAR_EDGE) is not None
    assert refusal("fe80::1%eth0", Place.CLOUD) is not None


CLOUD = Target("api", Place.CLOUD, "m", "lines", "https://api.example/v1")


@pytest.mark.parametrize(
    ("endpoint", "host", "port", "base", "authority"),
    [
        ("https://api.example", "api.example", 443, "", "api.example"),
        ("https://api.example/", "api.example", 443, "", "api.example"),
        ("https://API.Example/v1/", "api.example", 443, "/v1", "api.example"),
        ("https://api.example:8443/v1", "api.example", 8443, "/v1", "api.example:8443"),
        ("https://api.example./v1", "api.example", 443, "/v1", "api.example"),
        ("https://bücher.example/v1", "xn--bcher-kva.example", 443, "/v1", "xn--bcher-kva.example"),
        ("https://[2606:2800:220:1::1]/v1", "2606:2800:220:1::1", 443, "/v1", "[2606:2800:220:1::1]"),
    ],
)
def test_an_endpoint_is_taken_apart_once(endpoint, host, port, base, authority):
    made = Recipient.of(replace(CLOUD, endpoint=endpoint))
    assert (made.host, made.port, made.base_path, made.authority, made.is_tls) == (host, port, base, authority, True)


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "api.example/v1", "http://api.example/v1", "ftp://api.example", "https://", "https:///v1", "https://user@api.example"),
        *(
            "https://u:p@api.example",
            "https://api.example/v1?x=1",
            "https://api.example/v1#x",
            "https://api.example:99999/",
            "https://[::1",
        ),
        *("https://api.example/a b", "https://api.example/\r\nx: y", "unix:///run/x", "https://" + "a" * 64 + ".example"),
    ],
)
def test_an_endpoint_that_cannot_be_pinned_is_refused(endpoint):
    with pytest.raises(UnavailableError, match="endpoint of `api`"):
        Recipient.of(replace(CLOUD, endpoint=endpoint))


def test_plain_http_is_for_the_near_edge_alone():
    assert Recipient.of(replace(CLOUD, place=Place.NEAR_EDGE, endpoint="http://box.local:8080/v1")).port == 8080
    with pytest.raises(UnavailableError, match="near_edge"):
        Recipient.of(replace(CLOUD, place=Place.PRIVATE_CLOUD, endpoint="http://box.local:8080/v1"))


@pytest.mark.parametrize("path", ["/chat", "/chat/completions?x=1", "/models/m:generate", "/a.b/..c", "/%7Euser"])
def test_a_path_below_the_endpoint_is_joined(path):
    assert Recipient.of(CLOUD).path(path) == "/v1" + path


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "//evil.example/x",
            "https://evil.example/",
            "/../admin",
            "/a/../../admin",
            "/a/./b",
            "/%2e%2e/admin",
            "/.%2E/x",
            "/a/..",
        ),
        *("/a b", "/a\r\nx: y", "/a\x00", "/ü", "/a#b"),
    ],
)
def test_a_path_that_leaves_the_endpoint_is_refused(path):
    with pytest.raises(ProtocolError, match="stay below the endpoint"):
        Recipient.of(CLOUD).path(path)


@pytest.mark.parametrize("path", ["chat", "chat/completions", "@evil.example", "evil.example/x"])
def test_a_path_without_its_slash_is_joined_below_the_endpoint_and_names_no_host(path):
    assert Recipient.of(CLOUD).path(path) == f"/v1/{path}"
