"""What must hold after every schedule, and what did not."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from hybridrt.errors import BugError, HybridrtError, PermitError
from hybridrt.testing.canary import Canary, Search, present
from hybridrt.testing.simulate.network import NEAR, Send
from hybridrt.testing.simulate.wire import WORD
from hybridrt.testing.simulate.world import KEYS, Played, Told

# Who waits behind a blocked loop hears of its deadline when the loop goes on. Otherwise at once; this is for rounding.
PUNCTUAL_S = 1e-6
# A limit of the transport for requests without a deadline, over all that a plan may try: six targets, twice each, and the waits.
PATIENT_S = 6 * 2 * 700.0
# Manners of answering that change no byte: what comes of them is all of the answer, or an error.
WHOLE_OR_BROKEN = frozenset({"well", "cut", "stalls", "trickles", "ends silently"})

# Every send, and which words of the requests it carries.
Spoken = list[tuple[Send, frozenset[bytes]]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that did not hold, and where.

    The rules: `leak`, `lost`, `late`, `unrecorded`, `open`, `left`, `crossed`, `cut`, `untyped`, `noise`.
    """

    rule: str
    what: str


def findings(played: Played) -> tuple[Finding, ...]:
    """Everything that did not hold, in no content."""
    spoken = _spoken(played)
    found = [
        *_leaks(played),
        *_keys(played),
        *_lost(played),
        *_late(played, spoken),
        *_unrecorded(played, spoken),
        *_open_records(played),
        *_endings(played),
        *(Finding("left", what) for what in played.left_over),
        *(Finding("noise", what) for what in played.noise),
    ]
    return tuple(dict.fromkeys(found))


def _spoken(played: Played) -> Spoken:
    """Read every send once for all words."""
    words = [told.ask.word.encode() for told in played.told]
    return [(send, present(words, send.data)) for send in played.net.sends]


def _leaks(played: Played) -> Iterator[Finding]:
    """A secret on the wire, a word where it may not be, either of them on record or in an error."""
    wires: dict[str, bytearray] = {}
    for send in played.net.sends:
        wires.setdefault(send.host, bytearray()).extend(send.data)
    planted = [text for told in played.told for text in (told.ask.secret, told.ask.word)]
    search = Search(map(Canary, planted))
    seen = {host: search.forms(bytes(data)) for host, data in wires.items()}
    on_record = present(planted, f"{played.ledger.records!r} {played.logged}")
    for told in played.told:
        ask = told.ask
        for host, forms_of in seen.items():
            nowhere = [ask.secret] if not played.schedule.is_blind and host in ask.seen_by else [ask.secret, ask.word]
            for text in nowhere:
                if forms := forms_of.get(Canary(text)):
                    yield Finding("leak", f"ask {ask.number} ({ask.kind}) stands at {host}: {', '.join(forms)}")
        error = f"{told.error!r} {told.error} {vars(told.error) if told.error else ''}"
        if on_record & {ask.secret, ask.word} or ask.secret in error or ask.word in error:
            yield Finding("leak", f"ask {ask.number} ({ask.kind}) stands in a record, a log or an error")


def _keys(played: Played) -> Iterator[Finding]:
    """A key elsewhere than in the head of a request to its own recipient."""
    keys = {name: key.encode() for name, key in KEYS.items()}
    for send in played.net.sends:
        head, _, body = send.data.partition(b"\r\n\r\n")
        line, _, headers = head.partition(b"\r\n")
        outside = line + body
        for name, key in keys.items():
            own = _recipient(send.host) == name
            if key in outside or (not own and key in headers):
                yield Finding("leak", f"the key of {name} stands in a request to {send.host}")


def _lost(played: Played) -> Iterator[Finding]:
    """Every request ends: with an answer or an error, and in time."""
    blocked_s = sum(for_s for _, for_s in played.schedule.blocks)
    for told in played.told:
        if told.ended_s is None or told.began_s is None:
            yield Finding("lost", f"ask {told.ask.number} has no end")
            continue
        until = told.began_s + PATIENT_S if told.deadline_at is None else told.deadline_at
        if told.ended_s > until + blocked_s + PUNCTUAL_S:
            yield Finding("lost", f"ask {told.ask.number} ended {told.ended_s - until:.3f} s after its time")


def _late(played: Played, spoken: Spoken) -> Iterator[Finding]:
    """Nothing is sent after a request was cancelled, had ended, or was out of time; nothing after the router was closed."""
    sends: dict[bytes, list[Send]] = defaultdict(list)
    for send, words in spoken:
        for word in words:
            sends[word].append(send)
    for told in played.told:
        number = told.ask.number
        for send in sends[told.ask.word.encode()]:
            if told.cancelled is not None and send.order > told.cancelled:
                yield Finding("late", f"ask {number} was sent after it was cancelled")
            if told.ended is not None and send.order > told.ended:
                yield Finding("late", f"ask {number} was sent after it had ended")
            if told.deadline_at is not None and send.at_s >= told.deadline_at:
                yield Finding("late", f"ask {number} was sent after its deadline")
    if played.closed is not None and any(send.order > played.closed for send in played.net.sends):
        yield Finding("late", "something was sent after the router was closed")


def _unrecorded(played: Played, spoken: Spoken) -> Iterator[Finding]:
    """Before each send there is a record of an attempt at this recipient that no other send has used."""
    begun: dict[str, list[int]] = defaultdict(list)
    for order, record in zip(played.ledger.orders, played.ledger.records, strict=True):
        if record["kind"] == "attempt" and record["place"] != "device":
            begun[record["recipient"]].append(order)
    sent: Counter[str] = Counter()
    for send, words in spoken:
        name = _recipient(send.host)
        sent[name] += 1
        # The orders of records only grow.
        if bisect_left(begun[name], send.order) < sent[name]:
            yield Finding("unrecorded", f"a send to {send.host} has no record of its own")
        if not words and WORD.search(send.data):
            yield Finding("unrecorded", f"a send to {send.host} belongs to no request")


def _open_records(played: Played) -> Iterator[Finding]:
    """Every attempt that began has one end, unless the ledger refused it."""
    count: Counter[tuple[str, int]] = Counter()
    for record in (*played.ledger.records, *(each for each in played.ledger.refused if each["kind"] == "attempt_ended")):
        if record["kind"] in ("attempt", "attempt_ended"):
            count[record["decision"], record["attempt"]] += 1 if record["kind"] == "attempt" else -1
    for (_, attempt), left in count.items():
        if left:
            yield Finding("open", f"attempt {attempt} of a decision has {1 - left} ends on record")


def _endings(played: Played) -> Iterator[Finding]:
    """An error is one of ours; an answer is the answer to this request."""
    for told in played.told:
        error, number = told.error, told.ask.number
        if isinstance(error, asyncio.CancelledError):
            if told.cancelled is None and told.ended is not None:
                yield Finding("untyped", f"ask {number} was cancelled by nobody")
        elif error is not None and (not isinstance(error, HybridrtError) or isinstance(error, BugError | PermitError)):
            # A bug of ours, or a send that only the gate stopped: neither is a proper end.
            yield Finding("untyped", f"ask {number} ended with {type(error).__name__}: {error}")
        yield from _answer(played, told)


def _recipient(host: str) -> str:
    return "near" if host == NEAR else host.removesuffix(".example")


def _answer(played: Played, told: Told) -> Iterator[Finding]:
    """It speaks of nobody else, and it is whole where the recipient said all of it or broke off."""
    answer, number = told.answer, told.ask.number
    if answer is None or answer.place.is_device:
        return
    if any(other.ask.word in answer.text or other.ask.secret in answer.text for other in played.told if other is not told):
        yield Finding("crossed", f"ask {number} got the answer to another request")
    # Two may have been asked at once; what counts is what the one said whose answer it is.
    said = [what for host, what, word in played.net.replies if word == told.ask.word and _recipient(host) == answer.target]
    # A resumed answer has a seam, and is the sum of two.
    if said and said[-1] in WHOLE_OR_BROKEN and not answer.seams and answer.finish == "stop" and answer.text != f"Noted: {told.ask.word}.":
        yield Finding("cut", f"ask {number} got a part of the answer as if it were all of it, from a recipient that {said[-1]}")
