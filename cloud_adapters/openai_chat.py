"""The OpenAI Chat Completions wire.

Many services speak it. One that differs in a path or a header is a subclass of a few lines:

    class Example(OpenAICompatible):
        path = "/api/v2/chat/completions"
        key_header = ("x-example-key", "")

What is asked for is what the call says and no more: no caching keys or retention, no storing, no metadata, no user id.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from cloud_adapters.ending import Reasons, Said, closing
from cloud_adapters.failure import failure_in_answer, refused
from cloud_adapters.json_schema import json_schema
from cloud_adapters.json_stream import JsonStream
from cloud_adapters.reply import read_either
from cloud_adapters.request import json_body, json_request, key_header
from cloud_adapters.shape import count_of, list_of, object_of, text_of, wrong
from cloud_adapters.tool_calls import ToolCalls
from cloud_adapters.vectors import OpenAIVectors
from hybridrt.backend import Call
from hybridrt.errors import BrokenStream, TargetError, UnavailableError
from hybridrt.event import Event, Reasoning, Text, Usage
from hybridrt.request import TOOL_CHOICES, Image, Message, Part, Tool
from hybridrt.wire import Decoder, HttpRequest, ReplyHead

# Services differ in the words for the same four ends.
_FINISHES = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "model_context_window_exceeded": "length",
}
_REASONS = Reasons(
    _FINISHES,
    refusals=frozenset({"content_filter", "refusal", "sensitive"}),
    failures=frozenset({"error", "abort", "insufficient_system_resource", "network_error"}),
)
# Parts of a text that say where its words are from; the words stand in parts of their own.
_SOURCES = frozenset({"reference", "tool_reference", "citation"})
_READ = frozenset({"text", "thinking"}) | _SOURCES
# One thought under the names that services have for it; some say it under two of them at once.
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


class OpenAIChat(OpenAIVectors):
    """Says a call as a chat completion and reads the reply, streamed or whole."""

    path: ClassVar[str] = "/chat/completions"
    limit_field: ClassVar[str] = "max_completion_tokens"
    # The service keeps conversations unless it is told not to; strict relatives do not know the field.
    asks_not_to_store: ClassVar[bool] = True

    def build(self, call: Call, key: str | None) -> HttpRequest:
        """Say the call on this wire.

        Raises:
            TargetError: the call cannot be said on it.
        """
        accepted = (("accept", "text/event-stream" if call.stream else "application/json"),)
        return json_request(call, self.path, self.body(call), (*accepted, *key_header(call, key, *self.key_header)))

    def decoder(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read a reply.

        Raises:
            ProtocolError: it is neither JSON nor a stream of events.
        """
        return read_either(call, head, read=lambda reply: _read_whole(reply, head, call.target.id), stream=ChatStream)

    def body(self, call: Call) -> dict[str, Any]:
        """The request as JSON; a service that wants more or less of it overrides this."""
        body: dict[str, Any] = {"model": call.target.model, "messages": _messages(call)}
        if call.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        if call.tools:
            body["tools"] = [_tool(tool) for tool in call.tools]
        if call.tool_choice is not None:
            body["tool_choice"] = self.tool_choice(call.tool_choice)
        if call.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = call.parallel_tool_calls
        if call.output is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": json_schema(call.output)}
        if call.max_output_tokens is not None:
            body[self.limit_field] = call.max_output_tokens
        if call.temperature is not None:
            body["temperature"] = call.temperature
        if call.top_p is not None:
            body["top_p"] = call.top_p
        if call.effort is not None:
            body["reasoning_effort"] = call.effort
        if call.seed is not None:
            body["seed"] = call.seed
        if call.stop:
            body["stop"] = list(call.stop)
        if self.asks_not_to_store:
            body["store"] = False
        return body

    def tool_choice(self, choice: str) -> Any:
        """The choice of tools in this service's words."""
        return choice if choice in TOOL_CHOICES else {"type": "function", "function": {"name": choice}}


class OpenAICompatible(OpenAIChat):
    """The same wire at llama-server, vLLM, LM Studio, Ollama and others.

    They know the older name of the token limit, and some ignore the newer one without a word.
    """

    limit_field = "max_tokens"
    asks_not_to_store = False


# --- the request ---------------------------------------------------------------------------------------------------


def _messages(call: Call) -> list[dict[str, Any]]:
    """The turns. Calls of tools without an id (a local model made them) are numbered, and their results in the same order."""
    said: list[dict[str, Any]] = []
    unanswered: list[str] = []
    for place, message in enumerate(call.messages):
        turn: dict[str, Any] = {"role": message.role, "content": _content(message, call)}
        if message.tool_calls:
            ids = [made.id or f"call_{place}_{number}" for number, made in enumerate(message.tool_calls)]
            unanswered = [*unanswered, *ids]
            turn["tool_calls"] = [
                {"id": id_, "type": "function", "function": {"name": made.name, "arguments": json_body(call, made.arguments).decode()}}
                for id_, made in zip(ids, message.tool_calls, strict=True)
            ]
        if message.role == "tool":
            answers = message.tool_call_id or (unanswered[0] if unanswered else "")
            if answers in unanswered:
                unanswered.remove(answers)
            turn["tool_call_id"] = answers
        said.append(turn)
    return said


def _content(message: Message, call: Call) -> Any:
    if all(isinstance(part, Text) for part in message.parts):
        if len(message.parts) == 1:
            return message.text
        if not message.parts:
            return None if message.tool_calls else ""
    elif message.role != "user":
        raise TargetError(f"a picture in a turn of role `{message.role}` cannot be said on this wire", target=call.target.id)
    return [_part(part) for part in message.parts]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{b64encode(part.data).decode()}"}}
    return {"type": "text", "text": part.text}


def _tool(tool: Tool) -> dict[str, Any]:
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters}}


# --- the reply -----------------------------------------------------------------------------------------------------


class ChatStream(JsonStream):
    """Reads a streamed chat completion. Usage comes after the finish reason, so the tail waits for the end mark."""

    __slots__ = ("_calls", "_finish", "_has_more", "_usage")

    def __init__(self, call: Call, head: ReplyHead) -> None:
        super().__init__(call, head)
        self._calls = ToolCalls(self._target)
        self._has_more = False
        self._usage: Usage | None = None
        self._finish: str | None = None

    def read(self, event: dict[str, Any]) -> Sequence[Event]:
        """Return what one chunk says.

        Raises:
            TargetError: the answer failed, or this is not the wire.
        """
        if usage := event.get("usage"):
            self._usage = _usage(usage)
        choices = event.get("choices")
        if not choices:
            if event.get("object") == "error":  # vLLM's error has no envelope
                self.fail(event)
            return ()
        events: list[Event] = []
        for choice in list_of(choices, self._target):
            if object_of(choice, self._target).get("index"):
                continue  # one answer is asked for; a service that sends more of them counts from 0
            if choice.get("error"):
                self.fail(choice["error"])
            if delta := choice.get("delta"):
                text = object_of(delta, self._target).get("content")
                if not text or len(delta) > 1:
                    self._rarer(delta, events)
                if type(text) is str:
                    if text:
                        events.append(Text(text))
                elif text:
                    events.extend(_content_events(text, self._target))
                    self._has_more = self._has_more or _holds_more(delta)
            if reason := choice.get("finish_reason"):
                self._finish = _REASONS.finish(reason, self._target)
        return events

    def end_mark(self) -> Sequence[Event]:
        """Return the tail. Some services say that they are done and not why; after an answer that is an end.

        Raises:
            BrokenStream: there was no answer.
        """
        if self._finish is None:
            if not self._delivered and not self._calls:
                raise BrokenStream(f"`{self._target}` ended the stream without an answer", delivered=0, target=self._target)
            self._finish = "stop"
        return self.end_answer()

    def closing(self) -> list[Event] | None:
        """Return calls, usage and finish, once the service has said why it stopped."""
        said = Said(self._target, has_words=bool(self._delivered), has_more=self._has_more)
        return None if self._finish is None else closing(self._calls, self._usage, self._finish, said)

    def _rarer(self, delta: dict[str, Any], events: list[Event]) -> None:
        if thought := _thought(delta):
            events.append(Reasoning(thought))
        if pieces := delta.get("tool_calls"):
            self._calls.add(pieces)
        else:
            self._calls.add(_older(delta.get("function_call")))
        if delta.get("refusal"):
            raise refused(self._target)
        self._has_more = self._has_more or _holds_more(delta)


def _read_whole(reply: Any, head: ReplyHead, target: str) -> Iterator[Event]:
    if reply.get("error") or reply.get("object") == "error":  # vLLM's error has no envelope
        raise failure_in_answer(reply.get("error") or reply, head, target=target)
    choices = reply["choices"]
    if not choices:
        raise UnavailableError(f"`{target}` gave no answer and no reason", target=target, sent=True)
    choice = object_of(list_of(choices, target)[0], target)
    if choice.get("error"):
        raise failure_in_answer(choice["error"], head, target=target)
    message = object_of(choice["message"], target)
    if message.get("refusal"):
        raise refused(target)
    finish = _REASONS.finish(choice.get("finish_reason") or "stop", target)
    if thought := _thought(message):
        yield Reasoning(thought)
    words = list(_content_events(message.get("content"), target))
    yield from words
    calls = ToolCalls(target)
    if made := message.get("tool_calls"):
        # Whole calls have no index here; each is its own.
        calls.add([{**object_of(piece, target), "index": number} for number, piece in enumerate(list_of(made, target))])
    else:
        calls.add(_older(message.get("function_call")))
    usage = reply.get("usage")
    said = Said(target, has_words=any(type(each) is Text for each in words), has_more=_holds_more(message))
    yield from closing(calls, _usage(usage) if usage else None, finish, said)


def _older(made: object) -> list[dict[str, Any]]:
    """The one call, without an id, of the time before there were several; with every field empty it is none."""
    return [{"function": made}] if isinstance(made, dict) and any(made.values()) else []


def _thought(said: dict[str, Any]) -> str:
    """What was thought aloud, under whichever of its names; one in another form is no reason to lose an answer."""
    for name in _THOUGHTS:
        if (thought := said.get(name)) and isinstance(thought, str):
            return thought
    details = said.get("reasoning_details")
    pieces = [piece for piece in details if isinstance(piece, dict)] if isinstance(details, list) else []
    words = [piece.get("text") or piece.get("summary") for piece in pieces]
    return "".join(word for word in words if isinstance(word, str))


def _holds_more(said: dict[str, Any]) -> bool:
    """Is there something that no event of ours holds: sound, a picture, a part of another kind?"""
    content = said.get("content")
    parts = content if isinstance(content, list) else ()
    kinds = {str(part.get("type")) for part in parts if isinstance(part, dict)}
    sound = said.get("audio")  # Snowflake writes out every field of the wire, empty
    return not kinds <= _READ or bool(said.get("images") or (any(sound.values()) if isinstance(sound, dict) else sound))


def _content_events(content: object, target: str) -> Iterator[Text | Reasoning]:
    """Text, or the parts in which some services keep thoughts and text apart."""
    if not isinstance(content, list):
        if text := text_of(content, target):
            yield Text(text)
        return
    for part in content:
        kind = text_of(object_of(part, target).get("type"), target)
        if kind == "thinking":
            thought = part.get("thinking")
            pieces = thought if isinstance(thought, list) else [{"text": thought}]
            yield Reasoning("".join(text_of(object_of(piece, target).get("text"), target) for piece in pieces))
        elif kind == "text":
            yield Text(text_of(part.get("text"), target))
        elif kind not in _SOURCES and part.get("text"):
            raise wrong(target, "sent words in a part that is neither text nor thought")


def _usage(said: object) -> Usage | None:
    if not isinstance(said, dict):
        return None
    cached, thought = said.get("prompt_tokens_details"), said.get("completion_tokens_details")
    return Usage(
        input_tokens=count_of(said.get("prompt_tokens")),
        output_tokens=count_of(said.get("completion_tokens")),
        cached_input_tokens=count_of(cached.get("cached_tokens")) if isinstance(cached, dict) else None,
        reasoning_tokens=count_of(thought.get("reasoning_tokens")) if isinstance(thought, dict) else None,
    )
