"""The wire of Bedrock's Converse, with an API key (`Bedrock`) or signed with an access key (`BedrockSigned`)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, NoReturn
from urllib.parse import quote

from cloud_adapters.bedrock_vectors import embed_body, read_vectors
from cloud_adapters.ending import Reasons, Said, closing, total
from cloud_adapters.event_stream import StreamMessage, StreamMessages
from cloud_adapters.failure import failure
from cloud_adapters.json_text import NotJsonError, parse
from cloud_adapters.reply import EitherReply, FailedReply, JsonReply, error_object, is_success, media_type, read_json, request_id
from cloud_adapters.request import Headers, json_body, json_request, key_header, refuse_unsaid
from cloud_adapters.shape import count_of, list_of, object_of, text_of, wrong
from cloud_adapters.sigv4 import AwsKey, Scope, signature_headers
from cloud_adapters.tool_calls import ToolCalls
from cloud_adapters.tool_results import OpenCalls
from cloud_adapters.vectors import count_end
from hybridrt.backend import Call
from hybridrt.errors import (
    BrokenStream,
    ContextOverflowError,
    CredentialsError,
    RateLimitedError,
    TargetError,
    UnavailableError,
    UnsupportedError,
)
from hybridrt.event import Event, Reasoning, Text, Usage
from hybridrt.request import Image, Message, Output, Part, Tool
from hybridrt.wire import Decoder, HttpRequest, ReplyHead

EVENT_STREAM = "application/vnd.amazon.eventstream"

_REASONS = Reasons(
    finishes={
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
    },
    refusals=frozenset({"guardrail_intervened", "content_filtered"}),
    failures=frozenset({"malformed_model_output", "malformed_tool_use"}),
)
_PICTURES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
# Blocks that hold no words of the answer: what a tool of the service itself gave back, and marks for caching.
_BESIDE = frozenset({"toolResult", "cachePoint"})
_READ = frozenset({"text", "reasoningContent", "citationsContent", "toolUse"}) | _BESIDE
# What a piece of a streamed block may be, beside words.
_PIECES = frozenset({"text", "reasoningContent", "toolUse", "toolResult", "citation"})
# What an exception in a stream would have been as a status.
_STATUSES = {
    "internalServerException": 500,
    "modelStreamErrorException": 500,
    "modelTimeoutException": 408,
    "modelErrorException": 500,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
    "accessDeniedException": 403,
    "resourceNotFoundException": 404,
}
_TOO_LONG = re.compile(r"input is too long|too many input tokens|prompt is too long|maximum context length", re.IGNORECASE)
_REGION = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.", re.ASCII)


class Bedrock:
    """Converse with an API key of Bedrock; the endpoint is `https://bedrock-runtime.REGION.amazonaws.com`."""

    def build(self, call: Call, key: str | None) -> HttpRequest:
        """Say the call on this wire, which has no seed.

        Raises:
            TargetError: the call cannot be said on it.
        """
        refuse_unsaid(call, "tools", "tool_choice", "output", "images", "max_output_tokens", "temperature", "top_p", "stop")
        path = f"/model/{quote(call.target.model, safe='')}/{'converse-stream' if call.stream else 'converse'}"
        accepted = ("accept", EVENT_STREAM if call.stream else "application/json")
        return json_request(call, path, _body(call), (accepted, *self.key_headers(call, key)))

    def build_count(self, call: Call, key: str | None) -> HttpRequest:
        """Ask how many tokens the input of a call has.

        Raises:
            TargetError: the call cannot be said on it.
        """
        body = {name: value for name, value in _body(call).items() if name in ("messages", "system", "toolConfig")}
        return self._ask(call, key, "count-tokens", {"input": {"converse": body}})

    def read_count(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read the number.

        Raises:
            ProtocolError: the reply is no JSON.
        """
        return _read(call, head, count_end("inputTokens", call.target.id))

    def texts_at_once(self, call: Call) -> int:
        """Only Cohere's encoders take several."""
        return 96 if "cohere.embed" in call.target.model else 1

    def cuts_silently(self, call: Call) -> bool:
        """Those that can cut are told not to."""
        return False

    def build_embed(self, call: Call, key: str | None) -> HttpRequest:
        """Ask for the vectors of texts, in the form of the family of the model.

        Raises:
            UnsupportedError: it is none of Titan, Nova and Cohere.
        """
        return self._ask(call, key, "invoke", embed_body(call))

    def read_embed(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read vectors.

        Raises:
            ProtocolError: the reply is no JSON.
        """
        return _read(call, head, lambda reply: read_vectors(reply, call.target.id))

    def _ask(self, call: Call, key: str | None, what: str, body: dict[str, Any]) -> HttpRequest:
        path = f"/model/{quote(call.target.model, safe='')}/{what}"
        return json_request(call, path, body, (("accept", "application/json"), *self.key_headers(call, key)))

    def key_headers(self, call: Call, key: str | None) -> Headers:
        """The headers that say who asks."""
        return key_header(call, key)

    def decoder(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read a reply.

        Raises:
            ProtocolError: it is neither JSON nor a stream of events.
        """
        if not is_success(head):
            return FailedReply(call, head, _failure)
        if media_type(head) == EVENT_STREAM or (call.stream and not media_type(head)):
            whole = partial(JsonReply, call, head, lambda reply: _read_whole(reply, call.target.id))
            return EitherReply(whole, partial(ConverseStream, call, head), is_stream=True)
        return read_json(call, head, lambda reply: _read_whole(reply, call.target.id))


class BedrockSigned(Bedrock):
    """Converse signed with an access key: the key is `ID:SECRET` or `ID:SECRET:SESSION_TOKEN`, and is itself never sent.

    `build` knows neither host nor time, so whoever sends calls `sign` on what it built.
    """

    def key_headers(self, call: Call, key: str | None) -> Headers:
        """None before the request is signed."""
        return ()

    def sign(self, request: HttpRequest, *, authority: str, now: datetime, key: str | None) -> HttpRequest:
        """Return the request with its signature; its path is the whole path on the host `authority`.

        Raises:
            CredentialsError: the key is no access key, or the host does not name its region.
        """
        access = AwsKey.read(key or "")
        region = _REGION.search(authority)
        if access is None or not (key or "").isascii() or not (key or "").isprintable() or " " in (key or ""):
            raise CredentialsError("the key is no access key", hint="write it as ID:SECRET or ID:SECRET:SESSION_TOKEN")
        if region is None:
            raise CredentialsError("the endpoint does not name its region", hint="use https://bedrock-runtime.REGION.amazonaws.com")
        added = signature_headers(request, authority=authority, now=now, key=access, scope=Scope(region[1], "bedrock"))
        return replace(request, headers=(*request.headers, *added))


# --- the request ---------------------------------------------------------------------------------------------------


def _body(call: Call) -> dict[str, Any]:
    system = [part for message in call.messages if message.role == "system" for part in message.parts]
    settings: dict[str, Any] = {}
    if call.max_output_tokens is not None:
        settings["maxTokens"] = call.max_output_tokens
    if call.temperature is not None:
        settings["temperature"] = call.temperature
    if call.top_p is not None:
        settings["topP"] = call.top_p
    if call.stop:
        settings["stopSequences"] = list(call.stop)
    body: dict[str, Any] = {"messages": _messages(call)}
    if system:
        if any(isinstance(part, Image) for part in system):
            raise TargetError("a picture in a turn of role `system` cannot be said on this wire", target=call.target.id)
        body["system"] = [_block(part, call) for part in system]
    if settings:
        body["inferenceConfig"] = settings
    if call.tools:
        body["toolConfig"] = {"tools": [{"toolSpec": _tool(tool)} for tool in call.tools]}
        if call.tool_choice is not None:
            body["toolConfig"]["toolChoice"] = _tool_choice(call, call.tool_choice)
    if call.output is not None:
        body["outputConfig"] = {"textFormat": _format(call.output, call)}
    return body


def _tool_choice(call: Call, choice: str) -> dict[str, Any]:
    if choice == "none":
        raise UnsupportedError(f"`{call.target.id}` has no word for calling no tool", feature="tool_choice", target=call.target.id)
    return {"auto": {}} if choice == "auto" else {"any": {}} if choice == "required" else {"tool": {"name": choice}}


def _messages(call: Call) -> list[dict[str, Any]]:
    """The turns, neighbours of one role as one: roles have to alternate, and results of parallel calls stand together."""
    said: list[dict[str, Any]] = []
    calls = OpenCalls(call)
    for place, message in enumerate(call.messages):
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, call)
        if message.role == "tool":
            id_, _ = calls.answered(message)
            blocks = [{"toolResult": {"toolUseId": id_, "content": blocks}}]
        blocks += [{"toolUse": {"toolUseId": id_, "name": made.name, "input": made.arguments}} for id_, made in calls.asked(message, place)]
        if said and said[-1]["role"] == role:
            said[-1]["content"] += blocks
        else:
            said.append({"role": role, "content": blocks})
    return said


def _blocks(message: Message, call: Call) -> list[dict[str, Any]]:
    """The parts of a turn. Empty text is left out beside anything else: the service refuses it."""
    blocks = [_block(part, call) for part in message.parts if isinstance(part, Image) or part.text]
    return blocks if blocks or message.tool_calls else [{"text": ""}]


def _block(part: Part, call: Call) -> dict[str, Any]:
    if isinstance(part, Image):
        if part.media_type not in _PICTURES:
            raise TargetError(
                "a picture of this kind cannot be said on this wire", target=call.target.id, hint="use PNG, JPEG, GIF or WebP"
            )
        return {"image": {"format": _PICTURES[part.media_type], "source": {"bytes": b64encode(part.data).decode()}}}
    return {"text": part.text}


def _tool(tool: Tool) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": tool.parameters}}
    if tool.description:  # the service refuses an empty one
        spec["description"] = tool.description
    return spec


def _format(output: Output, call: Call) -> dict[str, Any]:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in output.name)[:64] or "answer"
    return {"type": "json_schema", "structure": {"jsonSchema": {"name": name, "schema": json_body(call, output.schema).decode()}}}


# --- the reply -----------------------------------------------------------------------------------------------------


class ConverseStream:
    """Reads a streamed answer. What was used comes after the end, so the tail waits for it."""

    __slots__ = ("_beside", "_calls", "_delivered", "_ended", "_finish", "_has_more", "_head", "_messages", "_target", "_usage")

    def __init__(self, call: Call, head: ReplyHead) -> None:
        self._target = call.target.id
        self._head = head
        self._messages = StreamMessages(self._target)
        self._calls = ToolCalls(self._target)
        self._beside: set[int] = set()
        self._usage: Usage | None = None
        self._finish: str | None = None
        self._delivered = 0
        self._has_more = False
        self._ended = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events completed by these bytes.

        Raises:
            TargetError: the stream is an error or not this wire.
        """
        try:
            for message in self._messages.feed(data):
                if self._ended:
                    return
                yield from self._message(message)
        except TargetError as error:
            error.request_id = request_id(self._head)
            raise

    def end(self) -> Iterator[Event]:
        """Yield what remains.

        Raises:
            BrokenStream: the stream ended before its end.
        """
        if self._ended:
            return
        try:
            if self._finish is None:
                if not self._messages.seen and self._messages.is_between:
                    raise wrong(self._target, "sent an empty reply")
                raise BrokenStream(f"`{self._target}` ended the stream before the answer", delivered=self._delivered, target=self._target)
            yield from self._closing(self._finish)
        except TargetError as error:
            error.request_id = request_id(self._head)
            raise

    def _closing(self, finish: str) -> list[Event]:
        return closing(self._calls, self._usage, finish, Said(self._target, has_words=bool(self._delivered), has_more=self._has_more))

    def _message(self, message: StreamMessage) -> Iterable[Event]:
        kind = message.headers.get(":message-type")
        if kind in ("exception", "error"):
            self._failed(message)
        try:
            said = parse(message.payload)
        except NotJsonError:
            said = None
        if kind != "event" or type(said) is not dict:
            raise wrong(self._target, "sent an event that is not what this wire speaks")
        match message.headers.get(":event-type"):
            case "contentBlockStart":
                self._start(said)
            case "contentBlockDelta":
                return self._delta(said)
            case "messageStop":
                self._finish = _REASONS.finish(said.get("stopReason"), self._target)
            case "metadata":
                self._usage = _usage(said.get("usage"))
                if self._finish is not None:
                    self._ended = True
                    return self._closing(self._finish)
            case _:
                pass  # the start of the message and the end of a block say nothing more, nor do events still to be invented
        return ()

    def _start(self, said: dict[str, Any]) -> None:
        use = object_of(said.get("start") or {}, self._target).get("toolUse")
        if use is None:
            return
        index = self._index(said)
        if object_of(use, self._target).get("type") == "server_tool_use":
            self._beside.add(index)
            return
        self._calls.add([{"index": index, "id": use.get("toolUseId"), "function": {"name": use.get("name")}}])

    def _delta(self, said: dict[str, Any]) -> list[Event]:
        delta = object_of(said.get("delta"), self._target)
        if text := text_of(delta.get("text"), self._target):
            self._delivered += len(text)
            return [Text(text)]
        if (thought := delta.get("reasoningContent")) is not None:
            words = text_of(object_of(thought, self._target).get("text"), self._target)
            return [Reasoning(words)] if words else []
        if (use := delta.get("toolUse")) is not None and (index := self._index(said)) not in self._beside:
            self._calls.add([{"index": index, "function": {"arguments": object_of(use, self._target).get("input")}}])
        self._has_more = self._has_more or not delta.keys() <= _PIECES
        return []

    def _index(self, said: dict[str, Any]) -> int:
        index = said.get("contentBlockIndex")
        if type(index) is not int:
            raise wrong(self._target, "sent an event that is not what this wire speaks")
        return index

    def _failed(self, message: StreamMessage) -> NoReturn:
        if self._delivered:
            raise BrokenStream(
                f"`{self._target}` reported an error in the middle of the answer", delivered=self._delivered, target=self._target
            )
        kind = message.headers.get(":exception-type", "")
        said = error_object(message.payload) or {}
        head = ReplyHead(_STATUSES.get(kind, 500), self._head.headers)
        raise _meaning(kind, said, self._target) or failure(head, target=self._target)


def _read(call: Call, head: ReplyHead, read: Callable[[Any], Iterator[Event]]) -> Decoder:
    return read_json(call, head, read) if is_success(head) else FailedReply(call, head, _failure)


def _failure(head: ReplyHead, error: Mapping[str, Any] | None, *, target: str) -> TargetError:
    """The type of an error of AWS is in a header, and two of them mean more than their status says."""
    said = error or {}
    kind = head.headers.get("x-amzn-errortype", "").partition(":")[0]
    meant = _meaning(kind, said, target) if 400 <= head.status < 500 and head.status not in (401, 403) else None
    return meant or failure(head, said, target=target)


def _meaning(kind: str, said: Any, target: str) -> TargetError | None:
    message = said.get("message")
    if isinstance(message, str) and _TOO_LONG.search(message):
        return ContextOverflowError(f"the request does not fit the window of `{target}`", needed=None, window=None, target=target)
    if kind.lower() in ("servicequotaexceededexception", "modelnotreadyexception"):
        return RateLimitedError(f"`{target}` asks for fewer requests", target=target)
    if kind.lower() == "modelerrorexception":
        return UnavailableError(f"`{target}` gave up in the middle of the answer", target=target, sent=True)
    return None


def _read_whole(reply: Any, target: str) -> Iterator[Event]:
    finish = _REASONS.finish(reply.get("stopReason"), target)
    message = object_of(object_of(reply["output"], target)["message"], target)
    calls, said = ToolCalls(target), Said(target)
    for number, block in enumerate(list_of(message.get("content") or [], target)):
        if (use := object_of(block, target).get("toolUse")) is not None:
            if object_of(use, target).get("type") != "server_tool_use":
                made = {"name": use.get("name"), "arguments": object_of(use.get("input") or {}, target)}
                calls.add([{"index": number, "id": use.get("toolUseId"), "function": made}])
        else:
            said.has_more = said.has_more or not block.keys() & _READ
            for word in _words(block, target):
                said.has_words = said.has_words or type(word) is Text
                yield word
    yield from closing(calls, _usage(reply.get("usage")), finish, said)


def _words(block: dict[str, Any], target: str) -> Iterator[Text | Reasoning]:
    if "text" in block:
        if text := text_of(block["text"], target):
            yield Text(text)
    elif "reasoningContent" in block:
        thought = object_of(object_of(block["reasoningContent"], target).get("reasoningText") or {}, target)
        if text := text_of(thought.get("text"), target):
            yield Reasoning(text)
    elif "citationsContent" in block:
        for piece in list_of(object_of(block["citationsContent"], target).get("content") or [], target):
            yield Text(text_of(object_of(piece, target).get("text"), target))


def _usage(said: object) -> Usage | None:
    """What was read from a cache or written to one is counted beside the input there, and within it here."""
    if not isinstance(said, dict):
        return None
    cached = count_of(said.get("cacheReadInputTokens"))
    return Usage(
        input_tokens=total(count_of(said.get("inputTokens")), cached, count_of(said.get("cacheWriteInputTokens"))),
        output_tokens=count_of(said.get("outputTokens")),
        cached_input_tokens=cached,
    )
