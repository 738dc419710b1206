"""How much of recorded traffic do the adapters speak? `python -m benchmarks.cassettes [DIR]`.

DIR holds recordings in folders by provider (`PROVIDER/*.yaml`, as vcr.py writes them; an `index.tsv` beside them is not
needed). Without it, the small set under `tests/adapters/data/cassettes` is read.

An exchange is replayed when all of this holds:

- `build` of the call that the recorded request is gives the recorded path and body, after the normalisation that
  `benchmarks.recorded` documents;
- the recorded reply gives the same events, or the same error, whole, byte by byte and in two pieces cut at many places;
- an answer ends in an answer or in an error that says what happened to it; an error in a typed error; neither is
  `ProtocolError`; and the words of the answer are those that an independent reader finds in the reply.

Questions for vectors and for numbers of tokens are replayed in the same way, where a wire has an adapter that asks them: the request
is the recorded one in model and texts, or in the call that is counted, and the reply gives as many vectors, or the number, that an
independent reader finds in it.

Each loss is listed on stderr with its reason. The last line on stdout is one JSON object:

- `share`, `replayed`, `of`, and the same by provider: exchanges that a call of hybridrt can be, on wires that have an adapter;
- `unsayable`: exchanges on these wires that ask for what no call can ask for (a search at the service, a PDF, a picture by
  URL), by reason; their replies are read all the same, and `replies_read` says how many of them as above;
- `share_of_all`: replayed, of all exchanges on these wires, unsayable ones counted as lost;
- `left_out`: exchanges on other wires, by wire; `without_adapter` names the wires that have a reader here and no adapter;
- `ended`: how the replayed replies ended; `options_left_out`: what other clients asked for and no call has.
"""

from __future__ import annotations

import gzip
import json
import sys
import tomllib
import zlib
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.recorded import ANTHROPIC, BEDROCK, CHAT, GEMINI, RESPONSES, UnsayableError, Wire
from benchmarks.recorded.question import Question, answer_of, question_of
from benchmarks.recorded.words import words_of
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.egress.question import counting, embedding
from hybridrt.errors import BrokenStream, HybridrtError, ProtocolError, RedirectError, TargetError
from hybridrt.event import Finish, Text
from hybridrt.target import Place, Target
from hybridrt.testing.outcome import joined, read
from hybridrt.wire import Adapter, Embedder, ReplyHead

ROOT = Path(__file__).parents[1]
SMALL_SET = ROOT / "tests" / "adapters" / "data" / "cassettes"
# Two-piece cuts cost the length of the reply each; byte by byte already cuts everywhere once.
CUTS = 64
# Whose chat completions are said by an adapter of their own. Everybody else's are `openai-compatible`.
CHAT_HOSTS = {
    "api.openai.com": "openai",
    "api.mistral.ai": "mistral",
    "api.groq.com": "groq",
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.cerebras.ai": "cerebras",
    "router.huggingface.co": "huggingface",
    "api.x.ai": "xai",
    "ollama.com": "ollama",
}
OTHERS = {
    "/embeddings": "embeddings",
    ":batchEmbedContents": "embeddings",
    ":embedContent": "embeddings",
    ":predict": "embeddings",
    "/embed": "embeddings",
    "/count_tokens": "token counts",
    "/count-tokens": "token counts",
    "/input_tokens": "token counts",
    ":countTokens": "token counts",
    "/tokenize": "token counts",
    "/invoke": "bedrock invoke",
    "/v2/chat": "cohere",
    "/models": "lists of models",
    "/available-models": "lists of models",
    "/compact": "compaction",
    "/mcp": "mcp",
    "/token": "access tokens",
}
# What a reader raises on a recording of another shape than it knows.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError)
# How replies are packed for which the standard library has nothing, and the module that unpacks them where it is installed.
UNPACKERS = {"br": "brotli", "zstd": "zstandard"}
ZSTD = b"\x28\xb5\x2f\xfd"
STORES = ("files", "vector_stores", "conversations", "cachedContents")


@dataclass(frozen=True)
class Exchange:
    """One request and its reply, as recorded."""

    provider: str
    name: str
    method: str
    url: str
    asked: dict[str, Any] | None
    head: ReplyHead
    body: bytes
    # Is the recorded request as long as its own header says? Some were changed after they had been answered.
    is_as_sent: bool = True
    # Why the recording could not be read.
    fault: str = ""


class PackedError(Exception):
    """A recording is packed in a way that is not unpacked here; the text says which."""


@dataclass
class Tally:
    """What was found."""

    replayed: Counter[str] = field(default_factory=Counter)
    of: Counter[str] = field(default_factory=Counter)
    unsayable: Counter[str] = field(default_factory=Counter)
    replies_read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    without_adapter: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    options: Counter[str] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The figures."""
        replayed, of = self.replayed.total(), self.of.total()
        everything = of + self.unsayable.total()
        return {
            "share": _share(replayed, of),
            "replayed": replayed,
            "of": of,
            "providers": {
                name: {"share": _share(self.replayed[name], self.of[name]), "replayed": self.replayed[name], "of": self.of[name]}
                for name in sorted(self.of)
            },
            "unsayable": {
                "exchanges": self.unsayable.total(),
                "replies_read": self.replies_read,
                "by_reason": dict(self.unsayable.most_common()),
            },
            "share_of_all": _share(replayed, everything),
            "left_out": dict(self.left_out.most_common()),
            "without_adapter": dict(self.without_adapter.most_common()),
            "ended": dict(self.ended.most_common()),
            "options_left_out": dict(self.options.most_common()),
        }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


# --- reading -------------------------------------------------------------------------------------------------------


def exchanges(folder: Path) -> Iterator[Exchange]:
    """Every exchange under a folder, in the order of the files' names."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for path in sorted(folder.rglob("*.y*ml")):
        provider = path.relative_to(folder).parts[0] if path.parent != folder else folder.name
        name = str(path.relative_to(folder))
        try:
            text = path.read_text(encoding="utf-8")
            recorded = list(yaml.load(text, Loader=loader)["interactions"])  # noqa: S506 - a safe loader, the fast one where it is built
        except (*UNREADABLE, OSError, yaml.YAMLError) as error:
            yield _unread(provider, name, error)
            continue
        for number, one in enumerate(recorded):
            try:
                yield _exchange(provider, f"{name} {number}", one)
            except (*UNREADABLE, PackedError, EOFError, OSError, zlib.error) as error:  # the last three: packed bytes that are none
                yield _unread(provider, f"{name} {number}", error)


def _exchange(provider: str, name: str, one: dict[str, Any]) -> Exchange:
    request, response = one["request"], one["response"]
    url, status = str(request["uri"]), response["status"] if "status" in response else response["status_code"]
    urlsplit(url)  # one that is none is a fault of the recording
    return Exchange(
        provider=provider,
        name=name,
        method=request["method"].upper(),
        url=url,
        asked=_asked(request),
        head=ReplyHead(int(status["code"] if isinstance(status, dict) else status), _headers(response)),
        body=_bytes(response),
        is_as_sent=_is_as_sent(request),
    )


def _unread(provider: str, name: str, error: Exception) -> Exchange:
    """What stands for a recording that could not be read: one loss, and the others go on."""
    why = f": {error}" if isinstance(error, PackedError) else ""
    return Exchange(provider, name, "", "", None, ReplyHead(0, {}), b"", fault=type(error).__name__ + why)


def _headers(said: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): _first(value) for name, value in (said.get("headers") or {}).items()}


def _first(value: Any) -> str:
    return str(value[0] if isinstance(value, list) and value else value or "")


def _asked(request: dict[str, Any]) -> dict[str, Any] | None:
    try:
        asked = json.loads(_bytes(request))
    except ValueError:
        asked = None
    return asked if isinstance(asked, dict) else None


def _is_as_sent(request: dict[str, Any]) -> bool:
    headers = _headers(request)
    if not headers.get("content-length", "").isdigit():
        return True
    said = request.get("body")
    lengths = {len(said.encode())} if isinstance(said, str) else {len(said)} if isinstance(said, bytes) else set()
    asked = request.get("parsed_body", said if isinstance(said, dict) else None)
    if asked is not None:
        forms = [(separators, is_ascii) for separators in ((",", ":"), (", ", ": ")) for is_ascii in (False, True)]
        lengths |= {len(json.dumps(asked, separators=form, ensure_ascii=is_ascii).encode()) for form, is_ascii in forms}
    return int(headers["content-length"]) in lengths


def _bytes(said: dict[str, Any]) -> bytes:
    """The body of a request or a reply. Recorders keep it as text, as bytes, in base64, as JSON already parsed, or packed.

    Raises:
        PackedError: by something that is not installed.
    """
    if "parsed_body" in said:
        return json.dumps(said["parsed_body"], ensure_ascii=False).encode()
    body = said.get("body", said.get("content"))
    if isinstance(body, dict) and "base64_string" in body:
        return _unpacked(b64decode(body["base64_string"]), _headers(said))
    if isinstance(body, dict) and "string" in body:
        body = body["string"]
    if isinstance(body, dict | list):
        return json.dumps(body, ensure_ascii=False).encode()
    return body.encode() if isinstance(body, str) else _unpacked(bytes(body or b""), _headers(said))


def _unpacked(data: bytes, headers: dict[str, str]) -> bytes:
    """Bytes as they were before they were packed; some recorders unpack and leave the header, some the other way round."""
    packing = headers.get("content-encoding", "").strip().lower()
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if packing == "deflate" and not _is_text(data):
        return zlib.decompress(data, zlib.MAX_WBITS if data[:1] == b"\x78" else -zlib.MAX_WBITS)
    packing = "zstd" if data.startswith(ZSTD) else packing
    if packing not in UNPACKERS or _is_text(data):
        return data
    try:
        unpacked: bytes = import_module(UNPACKERS[packing]).decompress(data)
    except ImportError:
        raise PackedError(f"the body is packed with {packing}, and the module {UNPACKERS[packing]} is not installed") from None
    except Exception:  # noqa: BLE001 - each module has an error of its own
        raise PackedError(f"the body is packed with {packing}, and damaged") from None
    return unpacked


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# --- which wire ----------------------------------------------------------------------------------------------------


def wire_of(exchange: Exchange) -> Wire | str:
    """The wire of an exchange, or the name of one that is none of ours."""
    path = unquote(urlsplit(exchange.url).path).rstrip("/")
    if exchange.method == "POST" and exchange.asked is not None:
        if path.endswith("/chat/completions"):
            return CHAT
        if path.endswith((":generateContent", ":streamGenerateContent")):
            return GEMINI
        if path.endswith(("/converse", "/converse-stream")):
            return BEDROCK
        if path.endswith("/v1/messages"):
            return ANTHROPIC
        if path.endswith("/responses"):
            return RESPONSES
    for ending, name in OTHERS.items():
        if path.endswith(ending):
            return name
    parts = path.split("/")
    if any(name in parts for name in STORES) or "fileSearchStores" in path:
        return "files and stores at the service"
    if "responses" in parts:
        return "kept responses"
    return "fetches by the client" if exchange.method in ("GET", "HEAD") else "other"


def adapter_name(wire: Wire, url: str) -> str:
    """The name by which a policy would ask for the adapter of this service."""
    host, path = urlsplit(url).hostname or "", urlsplit(url).path
    if wire is GEMINI:
        return "gemini" if "/v1beta/models/" in path else "vertex"
    if wire is not CHAT:
        return wire.adapters[0]
    if "/openai/deployments/" in path:
        return "azure-openai-deployment"
    if host.endswith(".openai.azure.com"):
        return "azure-openai"
    return CHAT_HOSTS.get(host, "openai-compatible")


def registered() -> dict[str, str]:
    """The adapters that this repository registers, by name."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        points: dict[str, str] = tomllib.load(file)["project"]["entry-points"]["hybridrt.adapters"]
    return points


def make_adapter(name: str) -> Adapter | None:
    """An adapter by name; none when there is none."""
    where = registered().get(name)
    if where is None:
        return None
    module, _, made = where.partition(":")
    adapter: Adapter = getattr(import_module(module), made)()
    return adapter


# --- replaying -----------------------------------------------------------------------------------------------------


def request_loss(adapter: Adapter, wire: Wire, exchange: Exchange, call: Call) -> str | None:
    """What differs between the recorded request and what `build` makes of it."""
    try:
        request = adapter.build(call, "k")
    except TargetError as error:
        return f"build: {type(error).__name__}: {error}"
    if not _same_path(exchange.url, request.path):
        return f"build: the path is {request.path}"
    said = wire.normal(request.path, json.loads(request.body))
    asked = wire.normal(exchange.url, exchange.asked or {})
    differ = [name for name in asked if json.dumps(said.get(name), sort_keys=True) != json.dumps(asked[name], sort_keys=True)]
    return f"build: differs in {', '.join(differ)}" if differ else None


def _same_path(url: str, path: str) -> bool:
    """Does the path stand at the end of the URL? What is before it is the endpoint; a version asked for is the client's."""
    recorded, below = unquote(urlsplit(url).path), unquote(path.partition("?")[0])
    # Azure's and AI Studio's paths begin at the host; versions of an API in a path are part of an endpoint elsewhere.
    return recorded.endswith(below)


def reply_loss(adapter: Adapter, call: Call, wire: Wire, exchange: Exchange) -> tuple[str | None, str]:
    """What is wrong with how the reply was read, and how it ended."""
    body, head = exchange.body, exchange.head
    outcome = read(adapter, call, head, [body])
    whole = plain(outcome)
    pieces = (body[at : at + 1] for at in range(len(body)))
    if plain(read(adapter, call, head, pieces)) != whole:
        return "feed: other events byte by byte", ""
    for at in sorted({len(body) * number // CUTS for number in range(CUTS + 1)}):
        if plain(read(adapter, call, head, [body[:at], body[at:]])) != whole:
            return f"feed: other events when cut at {at}", ""
    events, error = outcome
    said = "".join(event.text for event in events if isinstance(event, Text))
    if error is not None:
        kind = type(error).__name__
        if not isinstance(error, TargetError) or (isinstance(error, ProtocolError) and not isinstance(error, RedirectError)):
            return f"feed: {kind}: {error}", ""
        # A recording may have been stopped in the middle; then every word up to there was said.
        is_short = isinstance(error, BrokenStream) and said != words_of(wire.name, body)
        return ("feed: other words than the broken reply holds", "") if is_short else (None, kind)
    if head.status >= 400 or not events or not isinstance(events[-1], Finish):
        return "feed: no end, or an answer where there was an error", ""
    return (None, events[-1].reason) if said == words_of(wire.name, body) else ("feed: other words than the reply holds", "")


def plain(outcome: Any) -> Any:
    """Events and error as plain values: what must be the same however the bytes were cut."""
    events, error = outcome
    return joined(events), None if error is None else (type(error), str(error), vars(error) if hasattr(error, "__dict__") else None)


def replay(found: Iterable[Exchange]) -> Tally:
    """Go through recordings."""
    tally = Tally()
    for exchange in found:
        if exchange.fault:
            tally.of[exchange.provider] += 1
            tally.losses.append(f"{exchange.name}: the recording could not be read: {exchange.fault}")
            continue
        question = question_of(exchange.url) if exchange.method == "POST" and exchange.asked is not None else None
        wire = question or wire_of(exchange)
        if isinstance(wire, str):
            tally.left_out[wire] += 1
            continue
        if not exchange.body and exchange.head.status < 300:
            tally.left_out["replies that were not recorded"] += 1  # no service answers so
            continue
        if isinstance(wire, Question):
            _replay_question(tally, exchange, wire)
            continue
        adapter = make_adapter(adapter_name(wire, exchange.url))
        if adapter is None:
            tally.without_adapter[wire.name] += 1
            continue
        _replay_one(tally, exchange, wire, adapter)
    return tally


def _replay_one(tally: Tally, exchange: Exchange, wire: Wire, adapter: Adapter) -> None:
    asked = exchange.asked or {}
    try:
        call, left_out = wire.call(exchange.url, asked), list(wire.options_left_out(asked))
    except UnsayableError as error:
        tally.unsayable[str(error)] += 1
        bare = Call(Target("recorded", Place.CLOUD, "m"), (), Deadline(0.0, None), stream=_is_stream(exchange))
        lost, _ = _judged(lambda: reply_loss(adapter, bare, wire, exchange))
        tally.replies_read += lost is None
        if lost:
            tally.losses.append(f"{exchange.name}: (no call of ours: {error}) {lost}")
        return
    except (*UNREADABLE, HybridrtError) as error:
        tally.of[exchange.provider] += 1
        tally.losses.append(f"{exchange.name}: the request could not be read: {type(error).__name__}: {error}")
        return
    tally.of[exchange.provider] += 1
    tally.options.update(left_out)
    lost, ended = _judged(lambda: (request_loss(adapter, wire, exchange, call), ""))
    if lost is None:
        lost, ended = _judged(lambda: reply_loss(adapter, call, wire, exchange))
    if lost is None:
        tally.replayed[exchange.provider] += 1
        tally.ended[ended] += 1
    else:
        tally.losses.append(f"{exchange.name}: {lost}")


def _replay_question(tally: Tally, exchange: Exchange, question: Question) -> None:
    """Vectors, or a number of tokens: the same two halves, over the adapter's other pair of functions."""
    asked = exchange.asked or {}
    adapter = make_adapter(_question_adapter(question, exchange.url))
    if adapter is None:
        tally.without_adapter[question.name] += 1
        return
    try:
        call = question.call(exchange.url, asked)
        way = counting(adapter, call.target) if question.is_count else embedding(adapter, call.target)[0]
        if isinstance(adapter, Embedder) and not question.is_count and len(call.messages) > adapter.texts_at_once(call):
            raise UnsayableError("more texts at once than are sent")
    except UnsayableError as error:
        tally.unsayable[str(error)] += 1
        return
    except (*UNREADABLE, HybridrtError) as error:
        tally.of[exchange.provider] += 1
        tally.losses.append(f"{exchange.name}: the request could not be read: {type(error).__name__}: {error}")
        return
    tally.of[exchange.provider] += 1
    lost, ended = _judged(lambda: (_asked_otherwise(way, question, exchange, call), ""))
    if lost is None:
        lost, ended = _judged(lambda: _answered_otherwise(way, question, exchange, call))
    if lost is None:
        tally.replayed[exchange.provider] += 1
        tally.ended[ended] += 1
    else:
        tally.losses.append(f"{exchange.name}: {lost}")


def _question_adapter(question: Question, url: str) -> str:
    if question.adapters[0] == "openai":
        return adapter_name(CHAT, url)
    return adapter_name(GEMINI, url) if "gemini" in question.adapters else question.adapters[0]


def _asked_otherwise(way: Adapter, question: Question, exchange: Exchange, call: Call) -> str | None:
    try:
        request = way.build(call, "k")
    except TargetError as error:
        return f"build: {type(error).__name__}: {error}"
    if not _same_path(exchange.url, request.path):
        return f"build: the path is {request.path}"
    asked = exchange.asked or {}
    said = question.normal(request.path, json.loads(request.body))
    same = json.dumps(said, sort_keys=True) == json.dumps(question.normal(exchange.url, asked), sort_keys=True)
    return None if same else "build: another question"


def _answered_otherwise(way: Adapter, question: Question, exchange: Exchange, call: Call) -> tuple[str | None, str]:
    body, head = exchange.body, exchange.head
    outcome = read(way, call, head, [body])
    for at in sorted({len(body) * number // CUTS for number in range(CUTS + 1)}):
        if plain(read(way, call, head, [body[:at], body[at:]])) != plain(outcome):
            return f"feed: another outcome when cut at {at}", ""
    events, error = outcome
    if error is not None:
        is_typed = isinstance(error, TargetError) and not isinstance(error, ProtocolError)
        return (None if is_typed and head.status >= 400 else f"feed: {type(error).__name__}: {error}"), type(error).__name__
    if head.status >= 400 or not events or not isinstance(events[-1], Finish):
        return "feed: no end, or an answer where there was an error", ""
    found = events[-1].parsed if question.is_count else len(events[-1].parsed)
    is_whole = question.is_count or found == len(call.messages)
    return (
        (None, "counted" if question.is_count else "vectors")
        if is_whole and found == answer_of(question, body)
        else ("feed: other numbers", "")
    )


def _judged(judge: Callable[[], tuple[str | None, str]]) -> tuple[str | None, str]:
    """Judge one exchange; one that is of another shape than the readers know is a loss, and the others go on."""
    try:
        return judge()
    except (*UNREADABLE, HybridrtError) as error:
        return f"could not be compared: {type(error).__name__}: {error}", ""


def _is_stream(exchange: Exchange) -> bool:
    return exchange.head.headers.get("content-type", "").startswith(("text/event-stream", "application/vnd.amazon.eventstream"))


def main(arguments: list[str]) -> int:
    """Print the losses, then the figures."""
    folder = Path(arguments[0]) if arguments else SMALL_SET
    if not folder.is_dir():
        print(f"there is no folder {folder}", file=sys.stderr)
        return 2
    tally = replay(exchanges(folder))
    for loss in tally.losses:
        print(loss, file=sys.stderr)
    print(json.dumps(tally.report(), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
