"""Does everything fit that can, is everything listed that went, and are the counts right? `python -m benchmarks.window [DIR]`.

DIR holds recordings as `benchmarks.cassettes` reads them; without it the small set of the tests. Prints one JSON object, last:

- `context_errors`: of 20,000 random conversations over fleets of mixed windows, each with a provider that enforces its own limit
  by its own tokenizer, those whose caller met an overflow although a declared remedy could have made it fit; `declared` counts
  those that no remedy of their policy could save, and that say so;
- `silent_cuts`: answers whose target got other bytes than the request and what `answer.window` lists account for;
- `exact_mismatches`, of `exact`: counts of kind `exact` that differ from the `usage` of a recording of text alone;
- `bound_violations`, of `bounds`: upper bounds below the `usage`, over all recordings that a call of ours can be;
- `changed`: recordings left out because the request is not as long as its own header says;
- `count_fit_us_1kb`: counting and fitting a request of 1 kB, thread time, the median of seven rounds;
- `stall_ms`: the longest the event loop was kept busy without a turn while 1 MB was counted and fitted, in time of its thread (all
  of it is done there, in steps), the worst of the texts tried; `stall_wall_ms` is the same by the clock, the best of five tries, and
  `idle_wall_ms` what a loop that does nothing shows on this machine at the same moment;
- `pages`: a generated text of 200 pages against a window of 4,096 tokens and against the factory model with its own of 512.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter as Tally
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cassettes import SMALL_SET, UNREADABLE, adapter_name, exchanges, make_adapter, wire_of
from benchmarks.recorded import UnsayableError
from hybridrt.answer import Answer
from hybridrt.application import Application, Binding, LocalModel
from hybridrt.backend import Backend, Call
from hybridrt.deadline import Deadline
from hybridrt.errors import ContextOverflowError, HybridrtError, NoAnswerError, TargetError
from hybridrt.event import Event, Finish, Usage
from hybridrt.policy.ruling import Routing
from hybridrt.request import Message, Output, Text, Tool, ToolCall, make_request
from hybridrt.router import Router
from hybridrt.signals import TokenCount
from hybridrt.target import Place, Target
from hybridrt.testing import MemoryLedger
from hybridrt.testing.outcome import read
from hybridrt.window.count import upper_bound
from hybridrt.window.counter import Counter
from hybridrt.window.fit import droppable, without
from hybridrt.window.fitting import SUMMARY_HEAD, Fitting
from hybridrt.window.table import table

CONVERSATIONS = 20_000
PER_FLEET = 50
FACTS = 400
PAGE_CHARACTERS = 3_000
OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com")


# ---- recordings


def recordings(folder: Path) -> dict[str, Any]:
    """Compare counts with what providers counted."""
    counter = Counter({})
    found: Tally[str] = Tally()
    for exchange in exchanges(folder):
        wire = wire_of(exchange)
        if isinstance(wire, str) or exchange.asked is None or exchange.head.status != 200:
            continue
        adapter = make_adapter(adapter_name(wire, exchange.url))
        try:
            call = wire.call(exchange.url, exchange.asked)
            events, _ = read(adapter, call, exchange.head, [exchange.body]) if adapter else ((), None)
        except (UnsayableError, TargetError, *UNREADABLE):
            continue
        counted = next((event.input_tokens for event in events if isinstance(event, Usage) and event.input_tokens), None)
        if counted is None or _keeps_turns_elsewhere(exchange.asked):
            continue
        if not exchange.is_as_sent:
            found["changed"] += 1
            continue
        bound = upper_bound(call)
        found["bounds"] += bound.kind == "upper_bound"
        if bound.kind == "upper_bound" and bound.value < counted:
            found["bound_violations"] += 1
            print(f"{exchange.name}: at most {bound.value}, and {counted} were counted", file=sys.stderr)
        best = asyncio.run(counter.count(call.target, call))
        is_openai = any(host in exchange.url for host in OPENAI_HOSTS)
        if best.source == "tiktoken" and is_openai:
            found["exact"] += best.kind == "exact"
            found["table_bounds"] += best.kind == "upper_bound"
            if (best.kind == "exact" and best.value != counted) or (best.kind == "upper_bound" and best.value < counted):
                found["exact_mismatches" if best.kind == "exact" else "bound_violations"] += 1
                print(f"{exchange.name}: {best.kind} {best.value}, and {counted} were counted", file=sys.stderr)
    names = ("exact_mismatches", "exact", "bound_violations", "bounds", "table_bounds", "changed")
    return {name: found[name] for name in names}


def _keeps_turns_elsewhere(asked: dict[str, Any]) -> bool:
    """Is part of the prompt at the service (earlier turns, thoughts, what its own tools found)? No call of ours says such a thing."""
    kinds = {tool.get("type") or "function" for tool in asked.get("tools") or () if isinstance(tool, dict)}
    thoughts = any(isinstance(item, dict) and item.get("type") == "reasoning" for item in asked.get("input") or ())
    return bool(asked.get("previous_response_id") or asked.get("conversation") or thoughts or kinds - {"function", "custom"})


# ---- providers that enforce their window


@dataclass
class Tokenizer:
    """How one provider counts: a name of its vocabulary, and what its frame adds."""

    vocabulary: str
    per_message: int = 4
    per_prompt: int = 3

    def count(self, messages: tuple[Message, ...]) -> int:
        return self.per_prompt + sum(self.per_message + self._text(message) for message in messages)

    def _text(self, message: Message) -> int:
        said = message.text + "".join(f"{call.name}{json.dumps(dict(call.arguments))}" for call in message.tool_calls)
        match self.vocabulary:
            case "bytes":
                return len(said.encode())
            case "words":
                # Pieces of at most four letters, and every other sign alone: more tokens than any vocabulary in use makes of prose.
                return len(re.findall(r"[A-Za-z]{1,4}|[^A-Za-z]", said))
            case name:
                return len(table(name).encode_ordinary(said))


@dataclass
class Provider:
    """A backend that refuses what does not fit its window, and remembers the calls it answered."""

    tokenizer: Tokenizer
    window: int
    says_numbers: bool = True
    calls: list[Call] = field(default_factory=list)
    refused: int = 0

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        await asyncio.sleep(0)
        tokens = self.tokenizer.count(call.messages)
        if tokens + (call.max_output_tokens or 1) > self.window:
            self.refused += 1
            needed = tokens + (call.max_output_tokens or 1)
            numbers = {"needed": needed, "window": self.window} if self.says_numbers else {"needed": None, "window": None}
            raise ContextOverflowError("too long for this provider", **numbers)
        self.calls.append(call)
        yield Text("A summary: they agreed." if SUMMARISED in call.messages[-1].text else "Done.")
        yield Usage(tokens, 2)
        yield Finish("stop")

    async def close(self) -> None:
        """Hold nothing."""


class Device(Provider):
    """The same on the device, where the backend itself counts."""

    async def count(self, messages: Any, tools: tuple[Tool, ...] = (), output: Output | None = None) -> TokenCount:
        return TokenCount(self.tokenizer.count(tuple(messages)), "exact")


SUMMARISED = "Summarise this conversation"
POLICY = """\
hybridrt_policy: 1
name: fleet
version: 1.0.0
owner: benchmark
recipients:
  - {{id: on-device, kind: local}}
  - {{id: alpha, kind: cloud, adapter: openai-compatible, endpoint: "https://alpha.example/v1"}}
  - {{id: beta, kind: cloud, adapter: openai-compatible, endpoint: "https://beta.example/v1"}}
  - {{id: gamma, kind: cloud, adapter: openai-compatible, endpoint: "https://gamma.example/v1"}}
rules:
  - {{id: all, effect: permit, when: always, to: {{kind: cloud}}}}
routing:
  - {{id: in-order, order: [{order}], fit: [{fit}]}}
"""
FITS = (
    "escalate, truncate, fail",
    "truncate, fail",
    "escalate, compact, truncate, fail",
    "compact, truncate, escalate, fail",
    "escalate, map_reduce, truncate, fail",
    "truncate, escalate",
    "map_reduce, truncate, fail",
)
WORDS = tuple(re.split(" ", "the a river committee rose agreed bridge on to of and in vote budget was will Friday minutes plan"))
CODE = ("def f(x):\n    return x[0] + 1\n", "for (int i = 0; i < n; ++i) { a[i] *= 2; }\n", '{"key": [1, 2, 3]}\n')
OTHERS = ("川は再び上がり、橋は閉鎖された。", "Комитет отложил голосование. ", "12, 45.70, 998; ", "🙂👍🏽 ", "نعم بالتأكيد ")


def fleets(rng: random.Random, count: int) -> Iterator[tuple[str, str, dict[str, Provider], dict[str, str]]]:
    """Yield fleets: the order, the remedies, the providers, and the names of their models."""
    vocabularies = (("gpt-4o", "o200k_base"), ("house-model", "cl100k_base"), ("old-model", "words"), ("byte-model", "bytes"))
    for _ in range(count):
        providers: dict[str, Provider] = {}
        models: dict[str, str] = {}
        for name in ("alpha", "beta", "gamma"):
            models[name], vocabulary = rng.choice(vocabularies)
            window = rng.choice((256, 512, 1_024, 2_048, 4_096))
            providers[name] = Provider(Tokenizer(vocabulary), window, says_numbers=rng.random() < 0.5)
        providers["factory"] = Device(Tokenizer(rng.choice(("o200k_base", "words"))), rng.choice((256, 512, 1_024, 2_048)))
        yield rng.choice(("device, cloud", "cloud, device")), rng.choice(FITS), providers, models


def conversation(rng: random.Random, budget_bytes: int) -> list[Message]:
    """A conversation of random turns, sometimes with calls of tools; its last turn and its system prompt stay within the budget."""
    messages: list[Message] = []
    if rng.random() < 0.6:
        messages.append(Message("system", (Text(words(rng, rng.randint(10, max(11, budget_bytes // 8)))),)))
    for _ in range(rng.randint(0, 7)):
        messages.append(Message("user", (Text(words(rng, rng.randint(5, 250))),)))
        if rng.random() < 0.15:
            made = _tool_call(rng, len(messages))
            messages.append(Message("assistant", (), (made,)))
            messages.append(Message("tool", (Text(words(rng, rng.randint(5, 300))),), (), made.id))
        messages.append(Message("assistant", (Text(words(rng, rng.randint(5, 250))),)))
    messages.append(Message("user", (Text(words(rng, rng.randint(5, max(6, budget_bytes // 4)))),)))
    return messages


def _tool_call(rng: random.Random, place: int) -> ToolCall:
    return ToolCall("look_up", {"what": words(rng, 20)}, f"call_{place}")


def words(rng: random.Random, size: int) -> str:
    """Text of about so many bytes, mostly prose."""
    kind = rng.random()
    source = WORDS if kind < 0.7 else CODE if kind < 0.85 else OTHERS
    joint = " " if source is WORDS else ""
    said: list[str] = []
    total = 0
    while total < size:
        said.append(rng.choice(source))
        total += len(said[-1].encode()) + len(joint)
    return joint.join(said)


async def conversations(total: int, seed: int = 8) -> dict[str, int]:
    """Answer random conversations, and account for every byte."""
    rng = random.Random(seed)
    found: Tally[str] = Tally()
    with tempfile.TemporaryDirectory() as folder:
        for number, (order, fit, providers, models) in enumerate(fleets(rng, -(-total // PER_FLEET))):
            path = Path(folder) / f"{number}.yaml"
            path.write_text(POLICY.format(order=order, fit=fit), encoding="utf-8")
            application = Application(
                models=(LocalModel("factory", Path("unused.gguf"), window=providers["factory"].window),),
                policies=(path,),
                bindings=tuple(
                    Binding(name, models[name], window=providers[name].window if rng.random() < 0.85 else None) for name in models
                ),
            )
            backends: dict[str, Backend] = dict(providers)
            async with Router.open(application, backends=backends, ledger=MemoryLedger()) as router:
                for _ in range(min(PER_FLEET, total - number * PER_FLEET)):
                    await _one(router, rng, providers, fit, found)
    names = ("conversations", "context_errors", "declared", "silent_cuts", "answered_whole", "truncate", "compact", "map_reduce", "refused")
    return {name: found[name] for name in names}


async def _one(router: Router, rng: random.Random, providers: dict[str, Provider], fit: str, found: Tally[str]) -> None:
    largest = max(provider.window for provider in providers.values())
    messages = conversation(rng, largest)
    most = rng.choice((None, None, 50, 200))
    options: dict[str, Any] = {} if most is None else {"max_output_tokens": most}
    before = {name: (len(provider.calls), provider.refused) for name, provider in providers.items()}
    found["conversations"] += 1
    try:
        answer = await router.infer(messages, labels=[], sensitivity="public", **options)
    except (ContextOverflowError, NoAnswerError) as error:
        decision = error.decision
        plan = decision.plan if decision else ()
        # Where the policy does not send a long request on, only the first may take it.
        plan = plan if "escalate" in fit else plan[:1]
        could = any(_could_fit(providers[target.id], tuple(messages), most, fit) for target in plan)
        found["context_errors" if could else "declared"] += 1
        if could:
            fleet = [(target.id, target.model, target.window, providers[target.id].window) for target in plan]
            print(f"an overflow reached the caller: {fit}; {type(error).__name__}; {fleet}", file=sys.stderr)
        return
    finally:
        found["refused"] += sum(provider.refused - before[name][1] for name, provider in providers.items())
    got = providers[answer.target].calls[before[answer.target][0] :]
    found[answer.window.remedy if answer.window and answer.window.remedy else "answered_whole"] += 1
    if unaccounted := cut_silently(tuple(messages), answer, got, most):
        found["silent_cuts"] += 1
        print(f"cut silently: {unaccounted}", file=sys.stderr)


def _could_fit(provider: Provider, messages: tuple[Message, ...], most: int | None, fit: str) -> bool:
    """Would this provider take the request whole, or with the most left out that its policy allows?"""
    kept = messages
    if "truncate" in fit or "compact" in fit:
        ways = droppable(messages)
        kept = without(messages, ways[-1]) if ways else messages
    # An answer of less than 16 tokens is none.
    return provider.tokenizer.count(kept) + (most or 16) <= provider.window


def cut_silently(messages: tuple[Message, ...], answer: Answer, got: list[Call], most: int | None) -> str:
    """What is missing without being listed; empty where every byte is accounted for. `got` are the calls the target answered."""
    fit = answer.window
    if fit is None or not got:
        return "no report" if fit is None else "no call"
    listed = {cut.message: cut.how for cut in fit.cuts}
    if any(messages[place].role != cut.role for place, cut in zip(listed, fit.cuts, strict=True)):
        return "another role than the message has"
    if fit.remedy == "map_reduce":
        whole = "".join(call.messages[-1].text for call in got)
        chunked = [messages[place].text for place, how in listed.items() if how == "chunked"]
        if any(word not in whole for text in chunked for word in text.split()):
            return "words of the chunked text in no chunk"
        given = [message for place, message in enumerate(messages) if place not in listed and message.role != "system"]
        return "" if all(message.text in whole for message in given) else "a turn in no chunk"
    last = got[-1]
    if last.max_output_tokens != most:
        return "another limit of the answer"
    left = [message for place, message in enumerate(messages) if place not in listed]
    sent = [message for message in last.messages if not message.text.startswith(SUMMARY_HEAD)]
    return "" if sent == left else "other messages than were left"


# ---- how long it takes


async def count_fit_us() -> float:
    """Counting and fitting a request of 1 kB for a target whose window is known, thread time, in microseconds."""
    target = Target("alpha", Place.CLOUD, "gpt-4o", window=128_000)
    request = make_request(words(random.Random(1), 1_000), {})
    call = Call(target, request.messages, Deadline.start(None))
    counter = Counter({})
    counter.warm((target,))
    rounds = []
    for _ in range(7):
        began = time.thread_time_ns()
        for _ in range(500):
            await Fitting(counter, {}, (target,), Routing()).fit(call, ())
        rounds.append((time.thread_time_ns() - began) / 500 / 1_000)
    return round(statistics.median(rounds), 2)


async def stalls() -> dict[str, Any]:
    """The longest the loop stood still while 1 MB was counted and fitted."""
    rng = random.Random(2)
    texts = {
        "prose": words_of(rng, WORDS, " "),
        "cjk": "川は再び上がり、橋は閉鎖された。" * 22_000,
        "one_letter": "a" * 1_000_000,
        "blanks": " " * 1_000_000,
        "digits": "".join(rng.choice("0123456789") for _ in range(1_000_000)),
    }
    busy_ms, wall_ms, idle_ms = 0.0, 0.0, 0.0
    for model in ("gpt-4o", "house-model"):
        target = Target("alpha", Place.CLOUD, model, window=16_000)
        counter = Counter({})
        counter.warm((target,))
        for name, text in texts.items():
            messages = (Message("user", (Text("Hello."),)), Message("assistant", (Text(text),)), Message("user", (Text("So?"),)))
            call = Call(target, messages, Deadline.start(None))
            tries = []
            for _ in range(5):
                fitting = Fitting(counter, {}, (target,), Routing(fit=("truncate", "fail")))
                tries.append(await _longest_pause_ms(_fitted(fitting, call)))
            print(f"{name}, {model}: {[round(value, 2) for value in min(tries)]}", file=sys.stderr)
            busy_ms, wall_ms = max(busy_ms, min(busy for busy, _ in tries)), max(wall_ms, min(wall for _, wall in tries))
            idle_ms = max(idle_ms, min([(await _longest_pause_ms(asyncio.sleep(0.2)))[1] for _ in range(5)]))
    return {"stall_ms": round(busy_ms, 2), "stall_wall_ms": round(wall_ms, 2), "idle_wall_ms": round(idle_ms, 2)}


async def _fitted(fitting: Fitting, call: Call) -> None:
    with suppress(HybridrtError):
        await fitting.fit(call, ())


def words_of(rng: random.Random, source: Sequence[str], joint: str) -> str:
    """A megabyte of words."""
    return joint.join(rng.choice(source) for _ in range(200_000))[:1_000_000]


async def _longest_pause_ms(work: Awaitable[None]) -> tuple[float, float]:
    """The longest between two turns of another task, in time of the thread and by the clock."""
    busy = wall = 0

    async def tick() -> None:
        nonlocal busy, wall
        last_busy, last_wall = time.thread_time_ns(), time.perf_counter_ns()
        while True:
            await asyncio.sleep(0)
            now_busy, now_wall = time.thread_time_ns(), time.perf_counter_ns()
            busy, wall = max(busy, now_busy - last_busy), max(wall, now_wall - last_wall)
            last_busy, last_wall = now_busy, now_wall

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    busy = wall = 0
    await work
    await asyncio.sleep(0)
    ticker.cancel()
    return busy / 1e6, wall / 1e6


# ---- two hundred pages


def pages(seed: int, count: int = 200) -> tuple[str, list[str]]:
    """A text of so many pages of ordinary sentences, and the addresses planted in it."""
    rng = random.Random(seed)
    planted = [
        f"{rng.choice(WORDS).lower()}.{number}@{rng.choice(('example.org', 'mail.example.com', 'uni.example.edu'))}"
        for number in range(FACTS)
    ]
    sentences: list[str] = []
    total = 0
    while total < count * PAGE_CHARACTERS:
        sentences.append(" ".join(rng.choice(WORDS) for _ in range(rng.randint(6, 18))).capitalize() + ".")
        total += len(sentences[-1]) + 1
    for place, fact in zip(sorted(rng.sample(range(len(sentences)), FACTS)), planted, strict=True):
        sentences[place] = sentences[place][:-1] + f", as {fact} was told."
    paragraphs = [" ".join(sentences[at : at + 8]) for at in range(0, len(sentences), 8)]
    return "\n\n".join(paragraphs), planted


class Extractor(Device):
    """A model with a window that finds the addresses of what it is given, and answers in JSON."""

    async def answer(self, call: Call) -> AsyncGenerator[Event]:
        tokens = self.tokenizer.count(call.messages)
        if tokens + (call.max_output_tokens or 1) > self.window:
            raise ContextOverflowError("too long", needed=tokens + (call.max_output_tokens or 1), window=self.window)
        self.calls.append(call)
        yield Text(json.dumps({"emails": re.findall(r"[\w.]+@[\w.]+\w", call.messages[-1].text)}))
        yield Usage(tokens, 10)
        yield Finish("stop")


FORM = {"type": "object", "properties": {"emails": {"type": "array", "items": {"type": "string"}}}, "required": ["emails"]}
DEVICE_ONLY = "hybridrt_policy: 1\nname: d\nversion: 1.0.0\nowner: b\nrecipients:\n  - {id: on-device, kind: local}\n"
DEVICE_ONLY += "routing:\n  - {id: r, order: [device], fit: [escalate, map_reduce, fail]}\n"
ASK = "Extract the email addresses from the text below:"


async def two_hundred_pages() -> dict[str, Any]:
    """Let a 4k window, and the factory model, read 200 pages in chunks."""
    text, planted = pages(3)
    found: dict[str, Any] = {"characters": len(text), "planted": len(planted)}
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.yaml"
        policy.write_text(DEVICE_ONLY, encoding="utf-8")
        extractor = Extractor(Tokenizer("o200k_base"), 4_096)
        models = (LocalModel("reader", Path("unused.gguf"), window=4_096),)
        application = Application(models=models, policies=(policy,))
        async with Router.open(application, backends={"reader": extractor}, ledger=MemoryLedger()) as router:
            answer = await router.infer(f"{ASK}\n\n{text}", output=FORM)
            found["window_4096"] = _pages_report(answer, answer.parsed["emails"], planted)
        async with Router.open(Application(policies=(policy,)), ledger=MemoryLedger()) as router:
            began = time.perf_counter()
            answer = await router.infer(f"{ASK}\n\n{text}", deadline_s=300)
            found["factory_model"] = _pages_report(answer, answer.parsed["values"], planted) | {"s": round(time.perf_counter() - began, 1)}
    return found


def _pages_report(answer: Answer, values: list[str], planted: list[str]) -> dict[str, Any]:
    right = len(set(values) & set(planted))
    assert answer.window is not None
    return {
        "remedy": answer.window.remedy,
        "chunks": answer.window.chunks,
        "found": round(right / len(planted), 4),
        "wrong": len(set(values) - set(planted)),
    }


async def measure(total: int) -> dict[str, Any]:
    """Everything but the recordings."""
    return {
        **await conversations(total),
        "count_fit_us_1kb": await count_fit_us(),
        **await stalls(),
        "pages": await two_hundred_pages(),
    }


def main(arguments: list[str]) -> int:
    """Print the figures."""
    folder = Path(arguments[0]) if arguments else SMALL_SET
    total = int(arguments[1]) if len(arguments) > 1 else CONVERSATIONS
    figures = recordings(folder) | asyncio.run(measure(total))
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
