"""A hub on loopback: one server that plays the hub, its storage and a mirror, by the name it is asked for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hybridrt.egress.download import LIMITS, Fetcher
from hybridrt.local.factory import placeholder
from hybridrt.store.pull import Patience
from hybridrt.store.record import Manifest
from hybridrt.store.source import Source
from hybridrt.testing import MemoryLedger
from hybridrt.testing.replies import Received, Reply, Stop

MODEL = placeholder().read_bytes()
DIGEST = hashlib.sha256(MODEL).hexdigest()
COMMIT = "a" * 40
HUB = Source("hub", "https://hub.example", ("cdn.example",))
FACTS = Manifest("chat", "0" * 64, 0, "gguf")
# Waits are shortened so that a test of the fifth try takes no minute.
PATIENCE = Patience(back_off_s=0.01, window_s=0.4, least_bytes_s=100_000)
QUICK = replace(LIMITS, between_chunks_s=0.3, first_byte_s=2.0, connect_s=2.0)
PIECES = 16


@dataclass
class Hub:
    """What it serves can be changed between requests; `faults` are used up one by one by requests for the file."""

    data: bytes = MODEL
    digest: str | None = DIGEST
    etag: str = '"one"'
    path: str = "tiny-Q8_0.gguf"
    others: tuple[str, ...] = ("README.md", "mmproj-tiny.gguf")
    licence: str = "apache-2.0"
    host: str = "hub.example"
    redirect: str = "https://cdn.example"
    faults: list[Callable[[Reply, Received], Reply]] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    obeys_ranges: bool = True

    def __call__(self, received: Received) -> Reply:
        host = received.headers["host"].partition(":")[0]
        self.asked.append(f"{host}{received.path.partition('?')[0]}")
        if host == self.host:
            return self._hub(received)
        fault = self.faults.pop(0) if self.faults else None
        reply = self._file(received)
        return fault(reply, received) if fault else reply

    def _hub(self, received: Received) -> Reply:
        if "/revision/" in received.path:
            if "missing" in received.path:
                return Reply(status=404, pieces=(b"{}",))
            return told({"sha": COMMIT, "tags": ["gguf", f"license:{self.licence}"]})
        if "/tree/" in received.path:
            if "cursor=2" not in received.path and self.others:
                page = told([{"type": "file", "path": each, "size": 3, "oid": "0" * 40} for each in self.others])
                link = ("link", f'</api/models/o/r/tree/{COMMIT}?recursive=true&cursor=2>; rel="next"')
                return replace(page, headers=(*page.headers, link))
            lfs = {"oid": self.digest, "size": len(self.data)} if self.digest else {}
            return told([{"type": "directory", "path": "x"}, {"type": "file", "path": self.path, "size": len(self.data), "lfs": lfs}])
        return Reply(status=302, headers=(("location", f"{self.redirect}{received.path}?sig=%2Bx"),), pieces=())

    def _file(self, received: Received) -> Reply:
        wanted = received.headers.get("range", "")
        self.ranges.append(wanted)
        found = re.match(r"bytes=(\d+)-", wanted)
        if_range = received.headers.get("if-range")
        headers = (("etag", self.etag), ("content-type", "application/octet-stream"))
        if not found or not self.obeys_ranges or (if_range is not None and if_range != self.etag):
            return Reply(status=200, headers=headers, pieces=cut(self.data))
        at = int(found[1])
        if at >= len(self.data):
            return Reply(status=416, headers=(("content-range", f"bytes */{len(self.data)}"),), pieces=())
        part = ("content-range", f"bytes {at}-{len(self.data) - 1}/{len(self.data)}")
        return Reply(status=206, headers=(*headers, part), pieces=cut(self.data[at:]))


def told(value: object) -> Reply:
    return Reply(pieces=(json.dumps(value).encode(),))


def cut(data: bytes) -> tuple[bytes, ...]:
    size = max(1, len(data) // PIECES)
    return tuple(data[at : at + size] for at in range(0, len(data), size))


def truncated(at: int) -> Callable[[Reply, Received], Reply]:
    return lambda reply, _: replace(reply, stop_at=at, stop=Stop.CUT)


def silent(at: int) -> Callable[[Reply, Received], Reply]:
    return lambda reply, _: replace(reply, stop_at=at, stop=Stop.SILENT)


def status(code: int, *headers: tuple[str, str]) -> Callable[[Reply, Received], Reply]:
    return lambda reply, _: Reply(status=code, headers=headers, pieces=(b"no",))


def drips(reply: Reply, _: Received) -> Reply:
    return replace(reply, pieces=tuple(b"x" for _ in range(len(MODEL))), pause_s=0.02)


def fetcher(detour, ledger=None, source: Source = HUB) -> Fetcher:
    return Fetcher(source, ledger or MemoryLedger(), limits=QUICK, detour=detour)
