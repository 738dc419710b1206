"""The Anthropic Messages wire.

What is asked for is what the call says and no more: no `cache_control`, no metadata, no user id, no tools of the service.

A form is asked for natively (`output_config.format`) where the service keeps its schema exactly; any other schema becomes
the one tool that the model has to call, and the arguments of that call are the text of the answer.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from cloud_adapters.anthropic_schema import exact
from cloud_adapters.ending import UNKNOWN, Reasons, Said, closing
from cloud_adapters.failure import failure_in_answer
from cloud_adapters.json_stream import JsonStream
from cloud_adapters.json_text import NotJsonError, write
from cloud_adapters.reply import read_either, read_json
from cloud_adapters.request import json_body, json_request, key_header, refuse_unsaid
from cloud_adapters.shape import count_of, list_of, object_of, text_of, wrong
from cloud_adapters.tool_calls import ToolCalls
from cloud_adapters.vectors import count_end
from hybridrt.backend import Call
from hybridrt.errors import UnsupportedError
from hybridrt.event import Event, Reasoning, Text, Usage
from hybridrt.request import Image, Message, Part, Tool
from hybridrt.wire import Decoder, HttpRequest, ReplyHead

# The service demands a limit. Where neither the caller nor the facts of the model name one: what every model of this
# wire can write, the oldest among them.
DEFAULT_MAX_TOKENS = 4096
# The tool that stands for a form which the service does not keep natively.
ANSWER_TOOL = "answer"

_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    # The answer stopped before its end for want of room, or of a next turn.
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "compaction": "length",
}
_REASONS = Reasons(_FINISHES, refusals=frozenset({"refusal"}))
# What counts as input; how much may be written and how it is drawn is not asked there.
_COUNTED = frozenset({"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"})
_CHOICES = {"auto": "auto", "required": "any"}
_EFFORTS = frozenset(("low", "medium", "high", "xhigh", "max"))
# The kind of a block that calls that tool; no service's word has spaces.
_FORM = "the answer in its form"
_NO_ID_CHARACTER = re.compile(r"[^A-Za-z0-9_-]")


class AnthropicMessages:
    """Says a call as a message and reads the reply, streamed or whole."""

    path: ClassVar[str] = "/v1/messages"
    key_header: ClassVar[tuple[str, str]] = ("x-api-key", "")
    version: ClassVar[str] = "2023-06-01"

    def build(self, call: Call, key: str | None) -> HttpRequest:
        """Say the call on this wire.

        Raises:
            TargetError: the call cannot be said on it.
        """
        headers = (
            ("accept", "text/event-stream" if call.stream else "application/json"),
            ("anthropic-version", self.version),
            *key_header(call, key, *self.key_header),
        )
        return json_request(call, self.path, self.body(call), headers)

    def decoder(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read a reply.

        Raises:
            ProtocolError: it is neither JSON nor a stream of events.
        """
        return read_either(call, head, read=lambda reply: _read_whole(reply, head, call), stream=MessageStream)

    def build_count(self, call: Call, key: str | None) -> HttpRequest:
        """Ask how many tokens the input of a call has.

        Raises:
            TargetError: the call cannot be said on this wire.
        """
        body = {name: value for name, value in self.body(call).items() if name in _COUNTED}
        headers = (("accept", "application/json"), ("anthropic-version", self.version), *key_header(call, key, *self.key_header))
        return json_request(call, f"{self.path}/count_tokens", body, headers)

    def read_count(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read the number.

        Raises:
            ProtocolError: the reply is no JSON.
        """
        return read_json(call, head, count_end("input_tokens", call.target.id))

    def body(self, call: Call) -> dict[str, Any]:
        """The request as JSON; a service that wants more or less of it overrides this."""
        refuse_unsaid(
            call,
            *("tools", "tool_choice", "parallel_tool_calls", "output", "images", "max_output_tokens", "temperature", "top_p"),
            "effort",
            "stop",
        )
        body: dict[str, Any] = {
            "model": call.target.model,
            "max_tokens": DEFAULT_MAX_TOKENS,
            "messages": _messages(call),
        }
        if system := [block for message in call.messages if message.role == "system" for block in _texts(message, call)]:
            body["system"] = system
        if call.stream:
            body["stream"] = True
        if call.tools:
            body["tools"] = [_tool(tool) for tool in call.tools]
            if choice := _tool_choice(call):
                body["tool_choice"] = choice
        if call.output is not None:
            _ask_for_form(body, call)
        if call.temperature is not None:
            body["temperature"] = call.temperature
        if call.top_p is not None:
            body["top_p"] = call.top_p
        if call.effort is not None:
            _ask_for_effort(body, call, call.effort)
        if call.stop:
            body["stop_sequences"] = list(call.stop)
        body["max_tokens"] = _limit(call, body)
        return body


# --- the request ---------------------------------------------------------------------------------------------------


def _messages(call: Call) -> list[dict[str, Any]]:
    """The turns of user and assistant in alternation, as the service itself would join them; results of tools are a user's.

    Calls of tools without an id (a local model made them) are numbered, and their results follow in the same order.
    """
    turns: list[dict[str, Any]] = []
    unanswered: list[str] = []
    for place, message in enumerate(call.messages):
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if message.role == "tool":
            answered = _id(message.tool_call_id) or (unanswered[0] if unanswered else "")
            unanswered = [id_ for id_ in unanswered if id_ != answered]
            blocks: list[dict[str, Any]] = [{"type": "tool_result", "tool_use_id": answered, "content": _blocks(message.parts)}]
        else:
            blocks = _texts(message, call) if role == "assistant" else _blocks(message.parts)
        for number, made in enumerate(message.tool_calls):
            id_ = _id(made.id) or f"call_{place}_{number}"
            unanswered.append(id_)
            blocks.append({"type": "tool_use", "id": id_, "name": made.name, "input": made.arguments})
        if not blocks:
            continue  # a turn without a word; the service takes none
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _id(said: str) -> str:
    """An id as this service takes it; other services' ids have dots and colons."""
    return _NO_ID_CHARACTER.sub("_", said)


def _texts(message: Message, call: Call) -> list[dict[str, Any]]:
    if any(isinstance(part, Image) for part in message.parts):
        raise UnsupportedError(
            f"a picture in a turn of role `{message.role}` cannot be said on this wire", feature="images", target=call.target.id
        )
    return _blocks(message.parts)


def _blocks(parts: Iterable[Part]) -> list[dict[str, Any]]:
    return [_block(part) for part in parts if isinstance(part, Image) or part.text.strip()]  # the service takes no blank text


def _block(part: Part) -> dict[str, Any]:
    if isinstance(part, Image):
        source = {"type": "base64", "media_type": part.media_type, "data": b64encode(part.data).decode()}
        return {"type": "image", "source": source}
    return {"type": "text", "text": part.text}


def _tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": {"type": "object", **tool.parameters}}


def _tool_choice(call: Call) -> dict[str, Any]:
    """The choice of tools in this service's words; nothing where the caller says nothing."""
    choice = call.tool_choice or "auto"
    if choice == "none":
        return {"type": "none"}
    said = {"type": _CHOICES[choice]} if choice in _CHOICES else {"type": "tool", "name": choice}
    if call.parallel_tool_calls is not None:
        return {**said, "disable_parallel_tool_use": not call.parallel_tool_calls}
    return said if call.tool_choice is not None else {}


def _ask_for_effort(body: dict[str, Any], call: Call, effort: str) -> None:
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif effort in _EFFORTS:
        body["output_config"] = {**body.get("output_config", {}), "effort": effort}
    else:
        raise UnsupportedError(f"`{call.target.id}` has no effort `{effort}`", feature="effort", target=call.target.id, hint="say `low`")


def _ask_for_form(body: dict[str, Any], call: Call) -> None:
    schema = _native_form(call)
    if schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return
    if call.tool_choice not in (None, "auto"):
        raise UnsupportedError(
            f"`{call.target.id}` gives this form by a tool of its own, beside which no other can be chosen",
            feature="tool_choice",
            target=call.target.id,
        )
    form: Mapping[str, Any] = call.output.schema if call.output else {}
    if form.get("type") != "object":
        raise UnsupportedError(
            f"`{call.target.id}` takes a form that is an object alone", feature="output", target=call.target.id, hint="wrap it in an object"
        )
    name = _answer_tool(call)
    body["tools"] = [*body.get("tools", ()), {"name": name, "description": "Give the final answer.", "input_schema": form}]
    # Beside other tools the model chooses between them and the answer, one at a time: an answer made before a tool has
    # been heard is none.
    body["tool_choice"] = {"type": "any", "disable_parallel_tool_use": True} if call.tools else {"type": "tool", "name": name}


def _limit(call: Call, body: Mapping[str, Any]) -> int:
    """The caller's limit, else all the model can write. Prompt and limit must fit its window together: beside a long prompt, less."""
    if call.max_output_tokens is not None:
        return call.max_output_tokens
    most = call.target.max_output_tokens or DEFAULT_MAX_TOKENS
    if call.target.window is None:
        return most
    # A picture counts less than its bytes, and few texts have more than a token for two bytes: there is at least so much room.
    room = call.target.window - len(json_body(call, body)) // 2
    return min(most, max(DEFAULT_MAX_TOKENS, room))


def _native_form(call: Call) -> dict[str, Any] | None:
    return None if call.output is None else exact(call.output.schema)


def _answer_tool(call: Call) -> str:
    """The name of the tool that stands for the form, which no tool of the caller has; empty where there is none."""
    if call.output is None or _native_form(call) is not None:
        return ""
    taken = {tool.name for tool in call.tools}
    return next(name for name in (ANSWER_TOOL, *(f"{ANSWER_TOOL}_{n}" for n in range(len(taken)))) if name not in taken)


# --- the reply -----------------------------------------------------------------------------------------------------


class MessageStream(JsonStream):
    """Reads a streamed message. Blocks that hold no word of the answer (tools of the service, compactions) are passed over."""

    __slots__ = ("_answer_tool", "_calls", "_finish", "_kinds", "_usage")

    def __init__(self, call: Call, head: ReplyHead) -> None:
        super().__init__(call, head)
        self._calls = ToolCalls(self._target)
        self._answer_tool = _answer_tool(call)
        self._kinds: dict[object, str] = {}
        self._usage: dict[str, Any] = {}
        self._finish: str | None = None

    def read(self, event: dict[str, Any]) -> Sequence[Event]:
        """Return what one event says.

        Raises:
            TargetError: the answer failed, or this is not the wire.
        """
        match event.get("type"):
            case "content_block_delta":
                return self._delta(event.get("index"), object_of(event.get("delta"), self._target))
            case "content_block_start":
                return self._block(event.get("index"), object_of(event.get("content_block"), self._target))
            case "message_start":
                self._count(object_of(event.get("message"), self._target).get("usage"))
            case "message_delta":
                self._count(event.get("usage"))
                if reason := object_of(event.get("delta"), self._target).get("stop_reason"):
                    self._finish = _REASONS.finish(reason, self._target)
            case "message_stop":
                self._finish = self._finish or UNKNOWN  # an end, and no word about its reason
                return self.end_answer()
        return ()

    def closing(self) -> list[Event] | None:
        """Return usage and finish, once the service has said why it stopped."""
        if self._finish is None:
            return None
        said = Said(self._target, has_words=bool(self._delivered))
        return _closing(self._calls, self._usage, self._finish, said, is_form=bool(self._answer_tool))

    def _block(self, index: object, block: dict[str, Any]) -> Sequence[Event]:
        kind = text_of(block.get("type"), self._target)
        if type(index) is not int or index in self._kinds:
            raise wrong(self._target, "sent an event that is not what this wire speaks")
        if kind == "tool_use" and self._answer_tool and block.get("name") == self._answer_tool:
            kind = _FORM
        self._kinds[index] = kind
        if kind == "tool_use":
            self._calls.add([{"index": index, "id": block.get("id"), "function": {"name": block.get("name"), **_input(block)}}])
            return ()
        return _words(kind, block, self._target)

    def _delta(self, index: object, delta: dict[str, Any]) -> Sequence[Event]:
        kind = self._kinds.get(index) if type(index) is int else None
        if kind is None:
            raise wrong(self._target, "sent an event that is not what this wire speaks")
        match kind, delta.get("type"):
            case ("text", "text_delta") | ("thinking", "thinking_delta"):
                return _words(kind, delta, self._target)
            case "tool_use", "input_json_delta":
                self._calls.add([{"index": index, "function": {"arguments": delta.get("partial_json")}}])
            case form, "input_json_delta" if form == _FORM:
                piece = text_of(delta.get("partial_json"), self._target)
                return (Text(piece),) if piece else ()
            case ("text" | "thinking", "input_json_delta") | (_, "text_delta" | "thinking_delta"):
                raise wrong(self._target, "sent words where none belong")
        return ()  # citations, signatures, and whatever belongs to a block that is passed over

    def _count(self, usage: object) -> None:
        """Later counts replace earlier ones; none replaces nothing."""
        if isinstance(usage, dict):
            self._usage.update({name: number for name, number in usage.items() if number is not None})


def _read_whole(reply: Any, head: ReplyHead, call: Call) -> Iterator[Event]:
    target = call.target.id
    if reply.get("type") == "error":
        raise failure_in_answer(reply.get("error"), head, target=target)
    finish = _REASONS.finish(reply["stop_reason"], target)
    calls, said = ToolCalls(target), Said(target)
    answer_tool = _answer_tool(call)
    for index, block in enumerate(list_of(reply["content"], target)):
        kind = text_of(object_of(block, target).get("type"), target)
        if kind != "tool_use":
            words = _words(kind, block, target)
            said.has_words = said.has_words or any(type(word) is Text for word in words)
            yield from words
        elif answer_tool and block.get("name") == answer_tool:
            said.has_words = True
            yield Text(_as_text(block.get("input"), target))
        else:
            calls.add([{"index": index, "id": block.get("id"), "function": {"name": block.get("name"), "arguments": block.get("input")}}])
    yield from _closing(calls, reply.get("usage"), finish, said, is_form=bool(answer_tool))


def _words(kind: str, said: dict[str, Any], target: str) -> Sequence[Event]:
    """The words of a block or of a piece of one; blocks of other kinds have none that belong to the answer."""
    if kind == "text" and (text := text_of(said.get("text"), target)):
        return (Text(text),)
    if kind == "thinking" and (thought := text_of(said.get("thinking"), target)):
        return (Reasoning(thought),)
    return ()


def _input(block: dict[str, Any]) -> dict[str, Any]:
    """Arguments that came with the start of a block; usually there are none, and pieces follow."""
    given = block.get("input")
    return {"arguments": given} if isinstance(given, dict) and given else {}


def _as_text(value: object, target: str) -> str:
    try:
        return write(object_of(value, target)).decode()
    except NotJsonError:
        raise wrong(target) from None


def _closing(calls: ToolCalls, usage: object, finish: str, said: Said, *, is_form: bool) -> list[Event]:
    if is_form and finish == "tool_calls" and not calls:
        finish = "stop"  # the call that ended it is the answer
    return closing(calls, _usage(usage) if isinstance(usage, dict) else None, finish, said)


def _usage(said: dict[str, Any]) -> Usage:
    """Tokens as everywhere else: those read from or written to a cache are input too, which this service counts apart."""
    counts = [count_of(said.get(name)) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")]
    details = said.get("output_tokens_details")
    return Usage(
        input_tokens=None if counts[0] is None else sum(count or 0 for count in counts),
        output_tokens=count_of(said.get("output_tokens")),
        cached_input_tokens=counts[1],
        reasoning_tokens=count_of(details.get("thinking_tokens")) if isinstance(details, dict) else None,
    )
