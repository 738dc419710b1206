from __future__ import annotations

import pytest

from hybridrt.store import Store
from hybridrt.testing import LoopbackProvider, TestAuthority
from tests.store.support import Hub

HOSTS = ("hub.example", "cdn.example", "mirror.example", "evil.example")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def detour(hub):
    authority = TestAuthority()
    async with LoopbackProvider(hub, tls=authority.server_tls()) as provider:
        yield authority.detour(dict.fromkeys(HOSTS, provider))


@pytest.fixture
async def provider(hub):
    """The same, for tests that look at the wire."""
    authority = TestAuthority()
    async with LoopbackProvider(hub, tls=authority.server_tls()) as provider:
        yield provider, authority.detour(dict.fromkeys(HOSTS, provider))
