"""A file fetched into the store: resumed where it stopped, from one mirror after the other, and verified before it counts.

What came so far lies in the folder `partial` and survives whatever ends this process. It is used again only where it can
be the beginning of the same file: the same digest, or the same address with the same strong ETag. The digest at the end
decides in any case.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hybridrt.egress.download import Fetcher, read_body
from hybridrt.egress.transport import Reply
from hybridrt.errors import (
    BrokenStream,
    Busy,
    CredentialsError,
    DigestError,
    LateError,
    MissingModelError,
    ModelFileError,
    ProtocolError,
    RejectedError,
    StoreBusyError,
    StoreError,
    TargetError,
    UnavailableError,
)
from hybridrt.store.disk import FileLock, write_whole
from hybridrt.store.record import Manifest, Record
from hybridrt.store.source import (
    Listed,
    Reference,
    Source,
    Wanted,
    choose,
    file_url,
    next_page,
    read_revision,
    read_tree,
    revision_url,
    tree_url,
)
from hybridrt.store.store import Store, check_name, digest_of

# A listing of a thousand files is some 300 kB; no repository of models has twenty thousand.
MAX_LISTING_BYTES = 8 * 1024 * 1024
MAX_PAGES = 20
# A model is not larger than this; the largest open ones are some 700 GB.
MAX_FILE_BYTES = 1 << 41
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)\Z")


@dataclass(frozen=True, slots=True)
class Patience:
    """When to give up on an address, and how long to wait before asking it again."""

    tries: int = 5  # without progress worth the name: `least_bytes_s` over `window_s`
    back_off_s: float = 1.0  # doubled each time, up to `most_wait_s`
    most_wait_s: float = 60.0  # a server that asks for more is left alone, and the next mirror asked
    window_s: float = 60.0  # over which the rate is looked at
    least_bytes_s: float = 1024.0  # slower than a telephone line: whoever drips bytes to hold us is cut off


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is. `total` is none where the server does not say."""

    done: int
    total: int | None
    rate_bytes_s: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know while a download goes on: `resumed`, `restarted`, `waiting`, `next_mirror`, `checking`, `found`."""

    what: str
    text: str


Told = Callable[[Progress | Notice], None]


async def find(fetcher: Fetcher, source: Source, reference: Reference) -> Wanted:
    """Ask a hub which file is meant, pinned to one commit, with its size, digest and licence.

    Raises:
        MissingModelError: there is none, or more than one.
        TargetError, EgressError: it cannot be asked.
    """
    try:
        async with fetcher.get(revision_url(source, reference)) as reply:
            commit, licence = read_revision(await read_body(reply, MAX_LISTING_BYTES))
        page: str | None = tree_url(source, reference.repo, commit)
        files: list[Listed] = []
        for _ in range(MAX_PAGES):
            if page is None:
                break
            async with fetcher.get(page) as reply:
                files += read_tree(await read_body(reply, MAX_LISTING_BYTES))
                page = next_page(page, reply.head.headers)
    except RejectedError as error:
        if error.status != 404:
            raise
        raise MissingModelError(
            f"`{source.id}` has no `{reference.repo}` at `{reference.revision}`",
            model=reference.repo,
            hint="check the spelling, letter case included",
        ) from None
    except CredentialsError as error:
        # A hub says 401 also of what does not exist, so that nobody learns what is private.
        setting = f"`sources: {{{source.id}: {{key: env:NAME}}}}`"
        error.hint = f"is the name right? If its owner asks for it: accept the terms on the hub's page, then name a key, {setting}"
        raise
    file = choose(files, reference)
    return Wanted(
        urls=(file_url(source, reference.repo, commit, file.path),),
        file=file.path.rpartition("/")[2],
        digest=file.sha256,
        size=file.size,
        licence=licence,
        source=f"{source.id}:{reference.repo}@{commit[:12]}/{file.path}",
    )


async def pull(store: Store, fetcher: Fetcher, wanted: Wanted, facts: Manifest, told: Told, *, patience: Patience | None = None) -> Record:
    """Fetch a file, verify and check it, and take it in as the candidate of its name.

    Cancel it at any moment: what came stays and the next call goes on from there.

    Raises:
        DigestError: what came is not what was asked for.
        SpaceError: there is no room for it.
        ModelFileError: it is no sound model file.
        TargetError, EgressError: it cannot be fetched; the last address's reason.
    """
    check_name(facts.name)
    if wanted.digest is not None and store.blob(wanted.digest, wanted.kind).is_file():
        told(Notice("found", "the store has this file already"))
        manifest = replace(facts, digest=wanted.digest, size=store.blob(wanted.digest, wanted.kind).stat().st_size)
        await asyncio.to_thread(store.verify, manifest)
        return await asyncio.to_thread(store.readopt, manifest)
    key = hashlib.sha256((wanted.digest or wanted.urls[0]).encode()).hexdigest()[:32]
    lock = FileLock(store.partial / f"{key}.lock")
    if not lock.try_acquire():
        raise StoreBusyError("another process fetches this file", waited_s=0.0, model=facts.name, hint="let it finish; hybridrt models ps")
    try:
        part = _Part(store.partial / key)
        digest = await _Download(store, fetcher, wanted, part, told=told, patience=patience or Patience()).run()
        try:
            window = await asyncio.to_thread(preflight, part.path, wanted.kind)
        except ModelFileError as error:
            # Nothing that would still come makes a model of it.
            part.restart()
            raise ModelFileError(
                str(error).replace(part.path.name, wanted.file),
                hint="it was thrown away: the source has another file there; look for another",
            ) from None
        manifest = replace(facts, digest=digest, size=part.size, window=facts.window or window)
        record = await asyncio.to_thread(store.take, part.path, manifest)
        part.forget()
        return record
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise StoreError(f"the download cannot be written: {reason}", model=facts.name, hint=f"check the space at {store.root}") from None
    finally:
        lock.release()


def preflight(path: Path, kind: str) -> int | None:
    """Check the frame of a model file before native code reads it; return its window where it has one.

    Raises:
        ModelFileError: it is not sound.
        MissingModelError: it is not there.
    """
    if kind == "gguf":
        from hybridrt.local.gguf import read_facts

        if not path.exists():
            raise MissingModelError(f"there is no model file `{path}`", model=str(path), hint="check the path")
        return read_facts(path).window
    from hybridrt.local.onnx_file import read_onnx_facts

    read_onnx_facts(path).check_is_whole()
    return None


class _Part:
    """What came so far, and what is known of where it came from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = path.with_suffix(".json")

    @property
    def size(self) -> int:
        """Bytes that are here."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def state(self) -> Mapping[str, Any]:
        """Where it came from: `address`, `etag`."""
        try:
            told = json.loads(self._state.read_bytes())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def note(self, url: str, etag: str | None) -> None:
        """Remember where it comes from. A key in the query of an address is not written down."""
        told = {"address": _address(url), "etag": etag}
        if self.state() != told:
            write_whole(self._state, json.dumps(told).encode())

    def restart(self) -> None:
        """Throw away what came."""
        self.path.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def forget(self) -> None:
        """It was taken in."""
        self._state.unlink(missing_ok=True)


def _address(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()


class _ChangedError(Exception):
    """What lies here is not the beginning of what the server has now."""


class _Download:
    """One file from its mirrors, until it is whole and verified."""

    def __init__(self, store: Store, fetcher: Fetcher, wanted: Wanted, part: _Part, *, told: Told, patience: Patience) -> None:
        self._store = store
        self._fetcher = fetcher
        self._wanted = wanted
        self._part = part
        self._told = told
        self._patience = patience

    async def run(self) -> str:
        """Return the digest of the whole file."""
        is_fresh = self._part.size == 0
        expected = self._wanted.digest or ""
        for _ in range(2):
            await self._from_any()
            self._told(Notice("checking", "comparing the digest"))
            digest = await asyncio.to_thread(digest_of, self._part.path)
            if expected in ("", digest):
                return digest
            size = self._part.size
            self._part.restart()
            if is_fresh:
                break
            # A beginning that lay here may be what is wrong, after a loss of power for one. Once more from nothing.
            is_fresh = True
            self._told(Notice("restarted", "what lay here was damaged"))
        raise DigestError(
            f"what came is not the file that was asked for: {size} bytes with the SHA-256 {digest[:12]}... and not {expected[:12]}...",
            expected=expected,
            found=digest,
            hint="it was thrown away; the source may be damaged or may not be who it says, so ask elsewhere",
        )

    async def _from_any(self) -> None:
        for number, url in enumerate(self._wanted.urls):
            try:
                await self._from_one(url)
                return
            except TargetError as error:
                if number + 1 == len(self._wanted.urls):
                    raise
                self._told(Notice("next_mirror", str(error)))

    async def _from_one(self, url: str) -> None:
        """Fetch from one address, going on after each interruption, until it stands still."""
        failed = 0
        while True:
            before = self._part.size
            try:
                await self._once(url)
                return
            except _ChangedError as error:
                self._part.restart()
                self._told(Notice("restarted", str(error)))
                failed += 1
                if failed >= self._patience.tries:
                    raise UnavailableError("the file changed each time it was asked for", sent=True) from None
                continue
            except TargetError as error:
                # Whoever drips a few bytes before each cut does not go on.
                is_going_on = self._part.size - before >= self._patience.least_bytes_s * self._patience.window_s
                failed = 0 if is_going_on else failed + 1
                wait_s = self._wait_s(error, failed)
                if wait_s is None:
                    raise
                self._told(Notice("waiting", f"{error}; trying again in {wait_s:.0f} s"))
            await asyncio.sleep(wait_s)

    def _wait_s(self, error: TargetError, failed: int) -> float | None:
        """How long to wait before asking again; none where it would not help."""
        if not isinstance(error, BrokenStream | LateError | UnavailableError | Busy) or failed >= self._patience.tries:
            return None
        asked_s = error.retry_after_s if isinstance(error, UnavailableError | Busy) else None
        if asked_s is not None and asked_s > self._patience.most_wait_s:
            return None
        own_s: float = min(self._patience.most_wait_s, self._patience.back_off_s * 2 ** max(0, failed - 1))
        return max(asked_s or 0.0, own_s * random.uniform(0.5, 1.0))  # noqa: S311  no secret

    async def _once(self, url: str) -> None:
        have = self._part.size
        state = self._part.state()
        etag = state.get("etag") if state.get("address") == _address(url) else None
        if have and self._wanted.digest is None and not _is_strong(etag):
            # Nothing says that the rest would fit to what is here.
            self._part.restart()
            have = 0
        if have and have == self._wanted.size:
            return
        headers = [("range", f"bytes={have}-")] if have else []
        if have and _is_strong(etag):
            headers.append(("if-range", str(etag)))
        async with self._fetcher.get(url, tuple(headers), statuses=frozenset({200, 206, 416})) as reply:
            total = self._begin(reply, url, have, etag)
            if total is not None and self._part.size == total:
                return
            await self._write(reply, total)

    def _begin(self, reply: Reply, url: str, have: int, etag: str | None) -> int | None:
        """Look whether what is offered goes on where we stand; return how long the whole is."""
        head = reply.head
        new_etag = head.headers.get("etag")
        if head.status == 416:
            raise _ChangedError("the file is shorter now than what lay here")
        if head.status == 206:
            found = _RANGE.match(head.headers.get("content-range", ""))
            if not have or found is None or int(found[1]) != have:
                raise ProtocolError("the server sent another part than it was asked for", sent=True)
            if _is_strong(etag) and new_etag is not None and new_etag != etag:
                raise _ChangedError("the file changed on the server")
            total = None if found[3] == "*" else int(found[3])
        else:
            length = head.headers.get("content-length", "")
            total = int(length) if length.isdigit() and len(length) < 16 else None
            if have:
                self._part.restart()
                self._told(Notice("restarted", "the server sends the whole file again"))
                have = 0
        if total is not None and (total < have or (self._wanted.size is not None and total != self._wanted.size)):
            if have:
                raise _ChangedError("the file has another size now")
            raise ProtocolError(
                f"the server has a file of {total} bytes and one of {self._wanted.size} was asked for",
                sent=True,
                hint="is it behind a sign-in page?",
            )
        if head.headers.get("content-type", "").lower().startswith("text/html"):
            raise ProtocolError("the server answered with a web page", sent=True, hint="give the address of the file itself")
        if (total or 0) > MAX_FILE_BYTES:
            raise ProtocolError(f"the server has a file of {total} bytes, which no model is", sent=True)
        if total is not None:
            self._store.check_space(total - have, self._wanted.file)
        self._part.note(url, new_etag)
        if have:
            self._told(Notice("resumed", f"going on after {have} bytes"))
        return total

    async def _write(self, reply: Reply, total: int | None) -> None:
        most = total if total is not None else self._wanted.size
        rate = _Rate(self._patience)
        try:
            with self._part.path.open("ab") as file:
                done = file.tell()
                self._told(Progress(done, total, 0.0))
                async for piece in reply:
                    done += len(piece)
                    if done > (most or MAX_FILE_BYTES):
                        raise ProtocolError("the server sent more than it announced", sent=True)
                    file.write(piece)
                    self._told(Progress(done, total, rate.note(len(piece))))
        except OSError:
            # The disk filled up meanwhile: with the numbers, where they tell.
            self._store.check_space((total or done) - done, self._wanted.file)
            raise
        if most is not None and done < most:
            raise BrokenStream(f"the server ended after {done} of {most} bytes", delivered=0)


class _Rate:
    """Bytes per second over the last while; a source that drips is cut off."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began_at = time.monotonic()
        self._pieces: deque[tuple[float, int]] = deque()
        self._bytes = 0

    def note(self, count: int) -> float:
        """Note what came; return the rate.

        Raises:
            LateError: it is too slow to be meant.
        """
        now = time.monotonic()
        self._bytes += count
        # A quarter of a second a step: the list stays short at any speed.
        if self._pieces and now - self._pieces[-1][0] < 0.25:
            self._pieces[-1] = (self._pieces[-1][0], self._pieces[-1][1] + count)
        else:
            self._pieces.append((now, count))
        while now - self._pieces[0][0] > self._patience.window_s:
            self._bytes -= self._pieces.popleft()[1]
        span_s = min(now - self._began_at, self._patience.window_s)
        rate = self._bytes / max(span_s, 1e-3)
        if span_s >= self._patience.window_s and rate < self._patience.least_bytes_s:
            raise LateError(f"fewer than {self._patience.least_bytes_s:g} bytes a second came", budget_s=self._patience.window_s, sent=True)
        return rate


def _is_strong(etag: object) -> bool:
    return isinstance(etag, str) and len(etag) < 1024 and etag.startswith('"') and etag.isascii() and etag.isprintable()
