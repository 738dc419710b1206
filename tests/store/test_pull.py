"""A pull ends with the file that was asked for, or with the reason why not; what came is not fetched twice."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from hybridrt.errors import (
    BrokenStream,
    ClosedError,
    DigestError,
    DownloadRefused,
    LateError,
    LedgerError,
    MissingModelError,
    ModelFileError,
    ProtocolError,
    RateLimitedError,
    SpaceError,
    StoreBusyError,
)
from hybridrt.store import Store
from hybridrt.store.disk import FileLock
from hybridrt.store.pull import Notice, Patience, Progress, find, pull
from hybridrt.store.source import Reference, Source, Wanted
from hybridrt.testing import MemoryLedger
from tests.store.support import DIGEST, FACTS, HUB, MODEL, PATIENCE, drips, fetcher, silent, status, truncated

WANTED = Wanted(("https://cdn.example/m.gguf",), "m.gguf", DIGEST, len(MODEL))
# Gives up at the first interruption, however much came before it.
ONCE = replace(PATIENCE, tries=1, window_s=1e6)
UNKNOWN = replace(WANTED, digest=None, size=None)


async def fetched(store: Store, detour, wanted: Wanted = WANTED, *, source: Source = HUB, ledger=None, patience: Patience = PATIENCE):
    heard: list[Progress | Notice] = []
    fetch = fetcher(detour, ledger, source)
    try:
        return await pull(store, fetch, wanted, FACTS, heard.append, patience=patience), heard
    finally:
        await fetch.close()


def whats(heard) -> list[str]:
    return [each.what for each in heard if isinstance(each, Notice)]


def part_of(store: Store) -> int:
    return sum(path.stat().st_size for path in store.partial.iterdir() if not path.suffix)


async def test_a_hub_names_the_file_its_commit_its_digest_and_its_licence(detour):
    fetch = fetcher(detour)
    wanted = await find(fetch, HUB, Reference("o/r"))
    await fetch.close()
    assert wanted.urls == (f"https://hub.example/o/r/resolve/{'a' * 40}/tiny-Q8_0.gguf",)
    assert (wanted.digest, wanted.size, wanted.licence, wanted.kind) == (DIGEST, len(MODEL), "apache-2.0", "gguf")


async def test_a_repository_that_is_not_there_says_so(detour):
    fetch = fetcher(detour)
    with pytest.raises(MissingModelError, match="no `o/missing`"):
        await find(fetch, HUB, Reference("o/missing"))
    await fetch.close()


async def test_a_file_comes_from_the_hub_by_a_second_permitted_attempt_at_its_storage(detour, hub, store):
    ledger = MemoryLedger()
    fetch = fetcher(detour, ledger)
    wanted = await find(fetch, HUB, Reference("o/r"))
    record = await pull(store, fetch, wanted, FACTS, lambda _: None)
    await fetch.close()
    assert record.slots.candidate == DIGEST
    assert store.blob(DIGEST).read_bytes() == MODEL
    begun = [record["recipient"] for record in ledger.records if record["kind"] == "attempt"]
    assert begun == ["hub.example"] * 4 + ["cdn.example"]
    # A begin and an end for each, and each with a decision of its own: no permit serves twice.
    assert len({record["decision"] for record in ledger.records}) == 5
    assert [record["outcome"] for record in ledger.records if record["kind"] == "attempt_ended"] == ["answered"] * 5


async def test_the_key_of_a_hub_does_not_go_to_its_storage(provider, store):
    server, detour = provider
    keyed = replace(HUB, key="hf_secret")
    fetch = fetcher(detour, source=keyed)
    await pull(store, fetch, await find(fetch, keyed, Reference("o/r")), FACTS, lambda _: None)
    await fetch.close()
    sent = {request.headers["host"]: request.headers.get("authorization") for request in server.requests}
    assert sent == {"hub.example": "Bearer hf_secret", "cdn.example": None}
    assert "hf_secret" not in repr(keyed)


@pytest.mark.parametrize(
    "place",
    ["https://evil.example/x", "http://cdn.example", "https://cdn.example:8443", "https://cdn.example.evil.example", "https://127.0.0.1/"],
)
async def test_a_redirect_to_a_host_that_is_not_listed_gets_nothing(place, detour, hub, store):
    hub.redirect = place
    with pytest.raises(DownloadRefused) as caught:
        await fetched(store, detour, replace(WANTED, urls=("https://hub.example/o/r/resolve/main/m.gguf",)))
    assert hub.asked == ["hub.example/o/r/resolve/main/m.gguf"]
    assert "allow-host" in caught.value.hint or "http" in caught.value.hint


async def test_redirects_in_a_circle_end(detour, hub, store):
    hub.redirect = "https://hub.example"
    with pytest.raises(ProtocolError, match="circle"):
        await fetched(store, detour, replace(WANTED, urls=("https://hub.example/o/r/resolve/main/m.gguf",)))
    assert len(hub.asked) == 6


async def test_a_download_that_broke_goes_on_where_it_stopped(detour, hub, store):
    hub.faults = [truncated(50_000), truncated(20_000)]
    record, heard = await fetched(store, detour)
    assert record.slots.candidate == DIGEST
    assert [each.partition("=")[2] for each in hub.ranges] == ["", "50000-", "70000-"]
    assert whats(heard) == ["waiting", "resumed", "waiting", "resumed", "checking"]


async def test_a_process_that_died_left_what_the_next_one_goes_on_from(detour, hub, store):
    hub.faults = [truncated(60_000)]
    with pytest.raises(BrokenStream):
        await fetched(store, detour, patience=ONCE)
    assert part_of(store) == 60_000
    _, heard = await fetched(Store(store.root), detour)
    assert hub.ranges[-1] == "bytes=60000-"
    assert "resumed" in whats(heard)


async def test_cancelling_leaves_a_beginning_to_go_on_from(detour, hub, store):
    hub.faults = [silent(60_000)]
    task = asyncio.create_task(fetched(store, detour))
    while part_of(store) < 50_000:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    have = part_of(store)
    await fetched(store, detour)
    assert hub.ranges[-1] == f"bytes={have}-"


async def test_silence_is_a_stall_and_the_download_goes_on(detour, hub, store):
    hub.faults = [silent(60_000)]
    record, heard = await fetched(store, detour)
    assert record.slots.candidate == DIGEST
    assert "did not go on" in next(each.text for each in heard if isinstance(each, Notice))


async def test_a_server_that_drips_is_given_up(detour, hub, store):
    hub.faults = [drips] * 9
    with pytest.raises(LateError, match="bytes a second"):
        await fetched(store, detour, patience=replace(PATIENCE, tries=2))


async def test_a_file_that_changed_is_fetched_anew(detour, hub, store):
    hub.faults = [truncated(60_000)]
    with pytest.raises(BrokenStream):
        await fetched(store, detour, UNKNOWN, patience=ONCE)
    hub.data, hub.etag = MODEL + bytes(32), '"two"'
    record, heard = await fetched(store, detour, UNKNOWN)
    assert record.slots.candidate == hashlib.sha256(hub.data).hexdigest()
    assert "restarted" in whats(heard)


async def test_a_part_of_another_etag_is_not_joined_to_what_is_here(detour, hub, store):
    hub.faults = [truncated(60_000), lambda reply, _: replace(reply, headers=(("etag", '"two"'), *reply.headers[1:]))]
    record, heard = await fetched(store, detour)
    assert record.slots.candidate == DIGEST
    assert "restarted" in whats(heard)


async def test_without_digest_and_without_etag_nothing_is_joined(detour, hub, store):
    hub.etag = 'W/"weak"'
    hub.faults = [truncated(60_000)]
    await fetched(store, detour, UNKNOWN)
    assert hub.ranges == ["", ""]


async def test_a_server_that_knows_no_ranges_sends_the_whole_again(detour, hub, store):
    hub.faults = [truncated(60_000)]
    hub.obeys_ranges = False
    record, heard = await fetched(store, detour)
    assert record.slots.candidate == DIGEST
    assert "restarted" in whats(heard)


async def test_a_part_longer_than_the_file_is_thrown_away(detour, hub, store):
    wanted = replace(UNKNOWN, digest=DIGEST)
    hub.faults = [truncated(60_000)]
    with pytest.raises(BrokenStream):
        await fetched(store, detour, wanted, patience=ONCE)
    (part,) = (path for path in store.partial.iterdir() if not path.suffix)
    part.write_bytes(bytes(len(MODEL) + 5))
    record, _ = await fetched(store, detour, wanted)
    assert record.slots.candidate == DIGEST
    assert hub.ranges[1:] == [f"bytes={len(MODEL) + 5}-", ""]


async def test_a_damaged_beginning_is_noticed_at_the_end_and_fetched_anew(detour, hub, store):
    hub.faults = [truncated(60_000)]
    with pytest.raises(BrokenStream):
        await fetched(store, detour, patience=ONCE)
    (part,) = (path for path in store.partial.iterdir() if not path.suffix)
    part.write_bytes(bytes(60_000))
    record, heard = await fetched(store, detour)
    assert record.slots.candidate == DIGEST
    assert whats(heard).count("checking") == 2


async def test_a_wrong_file_is_never_taken_in(detour, hub, store):
    hub.data = MODEL[:-1] + b"\x01"
    with pytest.raises(DigestError) as caught:
        await fetched(store, detour)
    assert caught.value.expected == DIGEST
    assert caught.value.found == hashlib.sha256(hub.data).hexdigest()
    assert not list((store.root / "blobs").iterdir())
    assert part_of(store) == 0


async def test_a_file_of_another_size_is_refused_before_it_is_fetched(detour, hub, store):
    hub.data = MODEL + b"more"
    with pytest.raises(ProtocolError, match=f"{len(MODEL) + 4} bytes"):
        await fetched(store, detour)


async def test_what_is_no_model_is_not_taken_in_whatever_its_digest(detour, hub, store):
    hub.data = b"GGUF" + bytes(5000)
    with pytest.raises(ModelFileError):
        await fetched(store, detour, replace(WANTED, digest=hashlib.sha256(hub.data).hexdigest(), size=len(hub.data)))
    assert store.names() == []


async def test_a_web_page_is_no_model(detour, hub, store):
    hub.faults = [lambda reply, _: replace(reply, headers=(("content-type", "text/html"),))]
    with pytest.raises(ProtocolError, match="web page"):
        await fetched(store, detour)


async def test_mirrors_are_asked_in_order(detour, hub, store):
    hub.faults = [status(404)]
    wanted = replace(WANTED, urls=("https://cdn.example/m.gguf", "https://mirror.example/m.gguf"))
    record, heard = await fetched(store, detour, wanted, source=replace(HUB, hosts=("cdn.example", "mirror.example")))
    assert record.slots.candidate == DIGEST
    assert hub.asked == ["cdn.example/m.gguf", "mirror.example/m.gguf"]
    assert whats(heard)[0] == "next_mirror"


async def test_a_mirror_goes_on_with_what_another_began(detour, hub, store):
    hub.faults = [truncated(60_000), status(404)]
    wanted = replace(WANTED, urls=("https://cdn.example/m.gguf", "https://mirror.example/m.gguf"))
    await fetched(store, detour, wanted, source=replace(HUB, hosts=("cdn.example", "mirror.example")))
    assert hub.ranges[-1] == "bytes=60000-"


async def test_a_server_that_asks_for_a_moment_is_given_it(detour, hub, store):
    hub.faults = [status(429, ("retry-after", "0.2")), status(503, ("retry-after", "0.1"))]
    began_at = asyncio.get_running_loop().time()
    record, heard = await fetched(store, detour)
    assert record.slots.candidate == DIGEST
    assert whats(heard)[:2] == ["waiting", "waiting"]
    assert asyncio.get_running_loop().time() - began_at >= 0.3


async def test_a_server_that_asks_for_an_hour_is_left_alone(detour, hub, store):
    hub.faults = [status(429, ("retry-after", "3600"))]
    with pytest.raises(RateLimitedError) as caught:
        await fetched(store, detour)
    assert caught.value.retry_after_s == 3600
    assert len(hub.asked) == 1


async def test_a_disk_that_is_too_small_is_found_before_the_first_byte(detour, hub, store):
    wanted = replace(WANTED, digest=None, size=None)
    hub.faults = [lambda reply, _: replace(reply, headers=(("content-type", "application/octet-stream"),), pieces=Huge())]
    with pytest.raises(SpaceError) as caught:
        await fetched(store, detour, wanted)
    assert caught.value.needed_bytes > caught.value.free_bytes > 0
    assert part_of(store) == 0


class Huge:
    """A body that says that it is a terabyte and is never sent."""

    def __iter__(self):
        yield Terabyte()


class Terabyte(bytes):
    def __len__(self):
        return 1 << 40


async def test_two_do_not_fetch_one_file_at_once(detour, hub, store):
    key = hashlib.sha256(DIGEST.encode()).hexdigest()[:32]
    with FileLock(store.partial / f"{key}.lock"), pytest.raises(StoreBusyError):
        await fetched(store, detour)


async def test_a_file_that_is_here_is_not_fetched_again(detour, hub, store):
    await fetched(store, detour)
    asked = len(hub.asked)
    _, heard = await fetched(store, detour)
    assert len(hub.asked) == asked
    assert whats(heard) == ["found"]


async def test_names_of_files_tell_nothing(detour, store):
    await fetched(store, detour)
    names = {path.name for path in store.root.rglob("*") if path.is_file()}
    assert names == {"lock", f"sha256-{DIGEST}.gguf", "chat.json", f"{hashlib.sha256(DIGEST.encode()).hexdigest()[:32]}.lock"}


async def test_what_cannot_be_recorded_is_not_asked_for(detour, hub, store):
    ledger = MemoryLedger()
    ledger.fail_next()
    with pytest.raises(LedgerError):
        await fetched(store, detour, ledger=ledger)
    assert hub.asked == []


async def test_each_try_that_goes_on_is_an_attempt_of_its_own(detour, hub, store):
    ledger = MemoryLedger()
    hub.faults = [truncated(50_000), truncated(20_000)]
    await fetched(store, detour, ledger=ledger)
    ended = [record for record in ledger.records if record["kind"] == "attempt_ended"]
    assert [record["outcome"] for record in ended] == ["broken_stream", "broken_stream", "answered"]
    assert len({record["decision"] for record in ended}) == 3
    assert all(record["bytes_out"] > 0 for record in ended)
    # Neither the file nor anything else of its address is on record.
    assert "m.gguf" not in str(ledger.records)


async def test_a_closed_fetcher_asks_nobody(detour, hub, store):
    fetch = fetcher(detour)
    await fetch.close()
    with pytest.raises(ClosedError):
        await pull(store, fetch, WANTED, FACTS, lambda _: None, patience=ONCE)
    assert hub.asked == []


async def test_what_is_no_model_is_thrown_away_and_named_as_it_was_asked_for(detour, hub, store):
    hub.data = b"no model at all" * 1000
    with pytest.raises(ModelFileError, match=r"`m\.gguf`") as caught:
        await fetched(store, detour, UNKNOWN)
    assert "thrown away" in caught.value.hint
    assert [path.name for path in store.partial.iterdir() if path.suffix != ".lock"] == []


async def test_a_key_in_the_query_of_an_address_is_not_written_down(detour, hub, store):
    hub.faults = [truncated(60_000)]
    wanted = replace(UNKNOWN, urls=("https://cdn.example/m.gguf?token=s3cret",))
    with pytest.raises(BrokenStream):
        await fetched(store, detour, wanted, patience=ONCE)
    states = [path.read_text() for path in store.partial.glob("*.json")]
    assert states
    assert not any("s3cret" in text for text in states)
    # It is still known where the beginning came from.
    _, heard = await fetched(store, detour, wanted)
    assert "resumed" in whats(heard)


@pytest.mark.parametrize(
    "url", ["https://u:p@cdn.example/m.gguf", "https://cdn.example/a/../m.gguf", "https://[::1", "https://cdn.example:x/m"]
)
async def test_what_is_no_address_is_not_asked_twice(detour, hub, store, url):
    heard: list[Progress | Notice] = []
    fetch = fetcher(detour)
    with pytest.raises(ProtocolError, match="address of the file") as caught:
        await pull(store, fetch, replace(WANTED, urls=(url,)), FACTS, heard.append, patience=PATIENCE)
    await fetch.close()
    assert "policy" not in caught.value.hint
    assert "adapter" not in str(caught.value)
    assert (heard, hub.asked) == ([], [])


@pytest.mark.parametrize("url", ["http://[::1]:8080", "http://[::1]"])
def test_a_source_may_be_an_address_of_the_sixth_version(url):
    source = Source("lan", url, ("[fe80::1]:9", "cdn.example:80"))
    port = 8080 if "8080" in url else 80
    assert source.allows("::1", port)
    assert source.allows("fe80::1", 9)
    assert not source.allows("fe80::1", 80)
    assert not source.allows("::2", port)
