"""TLS under the test authority is real: names are checked, and so are ends and issuers."""

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from hybridrt.testing import LoopbackProvider, TestAuthority

ROOT = Path(__file__).parents[2]


async def fetch(provider, tls, name):
    reader, writer = await asyncio.open_connection(provider.host, provider.port, ssl=tls, server_hostname=name)
    try:
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        return await reader.readline()
    finally:
        writer.close()


@pytest.fixture(scope="module")
def authority():
    return TestAuthority()


@pytest.mark.parametrize("name", ["api.openai.com", "eu.api.example.com", "localhost", "127.0.0.1"])
async def test_a_provider_answers_for_any_name_under_its_authority(authority, name):
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        assert await fetch(provider, authority.client_tls(), name) == b"HTTP/1.1 200 OK\r\n"
        assert provider.endpoint.startswith("https://")
        assert provider.requests[0].json == {}


async def test_what_is_recorded_is_what_stood_inside_tls(authority):
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        await fetch(provider, authority.client_tls(), "localhost")
        assert provider.received.startswith(b"POST /v1/chat/completions")


async def test_a_certificate_for_another_name_is_refused(authority):
    async with LoopbackProvider(tls=authority.server_tls("right.example.com")) as provider:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await fetch(provider, authority.client_tls(), "wrong.example.com")
        assert provider.requests == []


async def test_an_expired_certificate_is_refused(authority):
    async with LoopbackProvider(tls=authority.server_tls(is_expired=True)) as provider:
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await fetch(provider, authority.client_tls(), "api.openai.com")


async def test_another_authority_is_refused(authority):
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        with pytest.raises(ssl.SSLCertVerificationError):
            await fetch(provider, TestAuthority().client_tls(), "api.openai.com")


async def test_the_system_does_not_trust_it(authority):
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        with pytest.raises(ssl.SSLCertVerificationError):
            await fetch(provider, ssl.create_default_context(), "api.openai.com")


async def test_a_detour_leads_hosts_to_providers(authority):
    async with LoopbackProvider(tls=authority.server_tls()) as provider:
        detour = authority.detour({"api.openai.com": provider})
        assert detour.hosts == {"api.openai.com": ("127.0.0.1", provider.port)}
        assert detour.ca_pem.startswith(b"-----BEGIN CERTIFICATE-----")


def test_without_cryptography_the_extra_is_named():
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from hybridrt.errors import MissingExtraError\n"
        "try:\n    from hybridrt.testing import TestAuthority\n"
        "except MissingExtraError as error:\n    print(error.extra, '|', error.hint)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout == 'signed | pip install "hybridrt[signed]"\n'
