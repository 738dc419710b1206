"""Fixtures for applications that test with hybridrt; see `docs/testing.md`.

This file loads in every pytest run of everybody who has hybridrt installed: nothing heavy at its top.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hybridrt.testing.authority import TestAuthority
    from hybridrt.testing.canary import Canary, Watch
    from hybridrt.testing.ledger import MemoryLedger
    from hybridrt.testing.provider import LoopbackProvider
    from hybridrt.testing.tripwire import Blocked


@pytest.fixture
def hybridrt_egress_blocked() -> Iterator[Blocked]:
    """Nothing leaves this machine during the test; a try fails the test at its end."""
    from hybridrt.testing.tripwire import block_egress

    with block_egress() as blocked:
        yield blocked
    blocked.check()


@pytest.fixture(scope="session")
def hybridrt_authority() -> TestAuthority:
    """A certificate authority for the whole run."""
    from hybridrt.testing.authority import TestAuthority

    return TestAuthority()


@pytest.fixture
def hybridrt_provider() -> Iterator[LoopbackProvider]:
    """A provider on loopback, plain HTTP, on a loop of its own."""
    from hybridrt.testing.provider import LoopbackProvider, serve_in_thread

    with serve_in_thread(LoopbackProvider()) as provider:
        yield provider


@pytest.fixture
def hybridrt_tls_provider(hybridrt_authority: TestAuthority) -> Iterator[LoopbackProvider]:
    """The same with TLS, for any host name, under `hybridrt_authority`."""
    from hybridrt.testing.provider import LoopbackProvider, serve_in_thread

    with serve_in_thread(LoopbackProvider(tls=hybridrt_authority.server_tls())) as provider:
        yield provider


@pytest.fixture
def hybridrt_ledger() -> MemoryLedger:
    """A ledger in memory."""
    from hybridrt.testing.ledger import MemoryLedger

    return MemoryLedger()


@pytest.fixture
def hybridrt_canaries() -> tuple[Canary, ...]:
    """Three canaries of this test."""
    from hybridrt.testing.canary import canaries

    return canaries(3)


@pytest.fixture
def hybridrt_watch(hybridrt_canaries: tuple[Canary, ...], tmp_path: Path) -> Iterator[Watch]:
    """All logs and the files under `tmp_path` are watched; a canary in one of them fails the test at its end."""
    from hybridrt.testing.canary import watch

    with watch(hybridrt_canaries, folders=[tmp_path]) as watching:
        yield watching
        seen = [*watching.sightings("log"), *watching.sightings("file")]
    if seen:
        raise AssertionError(f"content was found where none may be: {seen}")
