"""Hosts that are no vendor, in every spelling: refused where a policy could be led to them."""

from __future__ import annotations

import pytest

from hybridrt.policy.endpoint import fault

OFF_DEVICE = ("cloud", "private_cloud", "near_edge")
NEVER = (
    *("[fe80::1%25eth0]", "[fe80::1%eth0]", "[fe80::1]", "[::1%25lo]", "[fd12::1%25eth0]", "[::1%25]", "a%25b.example"),
    *("[v1.fe80]", "[v1.a]", "[vF.a]", "[v9.1:2]"),
    *(
        "[fd00:ec2::254]",
        "[fd00:0ec2::254]",
        "[FD00:EC2::254]",
        "[fd00:ec2:0:0:0:0:0:254]",
        "[fd00:0ec2:0000::0254]",
        "[fd00:ec2::0.0.2.84]",
    ),
    *("[fd00:ec2::253]", "[fd00:ec2::23]", "[fd20:ce::254]", "[fd20:00ce::254]", "[fd20:ce:0:0:0:0:0:254]"),
    *("169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("[::ffff:168.63.129.16]", "[::ffff:a83f:8110]", "[64:ff9b:1::a9fe:a9fe]", "[::ffff:0:a9fe:a9fe]"),
    *("metadata.google.internal", "Metadata.Google.Internal", "metadata.google.internal.", "metadata.google.internal:443"),
    *("metadata", "metadata.goog", "metadata.azure.internal", "metadata.tencentyun.com"),
    *("instance-data", "instance-data.ec2.internal", "instance-data.eu-central-1.compute.internal"),
    *(":08080", ":8080", "", "a.example:08080", "127.0.0.1:08080", "a.example:+80", "a.example: 80"),
)
LOOPBACK = ("localhost", "localhost.localdomain", "a.localhost", "ip6-localhost", "ip6-loopback", "127.0.0.1", "127.1.2.3", "[::1]")


@pytest.mark.parametrize("host", NEVER)
@pytest.mark.parametrize("kind", OFF_DEVICE)
def test_no_policy_can_name_a_metadata_address_a_zone_or_a_disguise(host, kind):
    for scheme in ("https", "http"):
        assert fault(f"{scheme}://{host}/v1", kind) is not None


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_name_of_this_machine_is_near_and_nothing_else(host):
    assert fault(f"https://{host}:8080/v1", "near_edge") is None
    assert fault(f"https://{host}:8080/v1", "cloud") is not None
    assert fault(f"https://{host}:8080/v1", "private_cloud") is not None


@pytest.mark.parametrize(
    "url", ["https://a.example:8080/v1", "https://metadata-api.example/v1", "https://[2606:4700::1111]/v1", "https://v1.example/"]
)
def test_an_ordinary_host_is_let_through(url):
    assert fault(url, "cloud") is None
