"""The OpenAI Responses wire.

What is asked for is what the call says and no more: nothing stored (`store: false`), no caching keys or retention, no
metadata, no user id, no tools of the service. Conversations are said whole each time; none is kept at the service.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from cloud_adapters.ending import UNKNOWN, Said, closing
from cloud_adapters.failure import failure_in_answer, refused
from cloud_adapters.json_schema import json_schema
from cloud_adapters.json_stream import JsonStream
from cloud_adapters.reply import read_either, read_json
from cloud_adapters.request import json_body, json_request, key_header, refuse_unsaid
from cloud_adapters.shape import count_of, list_of, object_of, text_of, wrong
from cloud_adapters.tool_calls import ToolCalls
from cloud_adapters.vectors import OpenAIVectors, count_end
from hybridrt.backend import Call
from hybridrt.errors import UnavailableError, UnsupportedError
from hybridrt.event import Event, Reasoning, Text, Usage
from hybridrt.request import TOOL_CHOICES, Image, Message, Part, Tool
from hybridrt.wire import Decoder, HttpRequest, ReplyHead

# What counts as input; how much may be written and how it is drawn is not asked there.
_COUNTED = frozenset({"model", "input", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"})

# Parts of a message that hold its words, and those that hold thoughts.
_WORDS = frozenset({"output_text", "text"})
_THOUGHTS = frozenset({"reasoning_text", "summary_text"})
# What an incomplete answer ran out of.
_RAN_OUT = frozenset({"max_output_tokens", "max_tokens", "max_tool_calls"})


class OpenAIResponses(OpenAIVectors):
    """Says a call as a response to be made and reads it, streamed or whole."""

    path: ClassVar[str] = "/responses"

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
        return read_either(call, head, read=lambda reply: _read_whole(reply, head, call.target.id), stream=ResponseStream)

    def build_count(self, call: Call, key: str | None) -> HttpRequest:
        """Ask how many tokens the input of a call has.

        Raises:
            TargetError: the call cannot be said on this wire.
        """
        body = {name: value for name, value in self.body(call).items() if name in _COUNTED}
        return json_request(
            call, f"{self.path}/input_tokens", body, (("accept", "application/json"), *key_header(call, key, *self.key_header))
        )

    def read_count(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read the number.

        Raises:
            ProtocolError: the reply is no JSON.
        """
        return read_json(call, head, count_end("input_tokens", call.target.id))

    def body(self, call: Call) -> dict[str, Any]:
        """The request as JSON; a service that wants more or less of it overrides this."""
        refuse_unsaid(
            call, "tools", "output", "images", "max_output_tokens", "temperature", "top_p", "effort", "tool_choice", "parallel_tool_calls"
        )
        body: dict[str, Any] = {"model": call.target.model, "input": _input(call), "store": False}
        if call.stream:
            body["stream"] = True
        if call.tools:
            body["tools"] = [_tool(tool) for tool in call.tools]
        if call.tool_choice is not None:
            body["tool_choice"] = call.tool_choice if call.tool_choice in TOOL_CHOICES else {"type": "function", "name": call.tool_choice}
        if call.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = call.parallel_tool_calls
        if call.output is not None:
            body["text"] = {"format": {"type": "json_schema", **json_schema(call.output)}}
        if call.max_output_tokens is not None:
            body["max_output_tokens"] = call.max_output_tokens
        if call.temperature is not None:
            body["temperature"] = call.temperature
        if call.top_p is not None:
            body["top_p"] = call.top_p
        if call.effort is not None:
            body["reasoning"] = {"effort": call.effort}
        return body


# --- the request ---------------------------------------------------------------------------------------------------


def _input(call: Call) -> list[dict[str, Any]]:
    """The conversation as items. Calls of tools without an id are numbered, and their results follow in the same order."""
    items: list[dict[str, Any]] = []
    unanswered: list[str] = []
    for place, message in enumerate(call.messages):
        if message.role == "tool":
            answered = message.tool_call_id or (unanswered[0] if unanswered else "")
            unanswered = [id_ for id_ in unanswered if id_ != answered]
            items.append({"type": "function_call_output", "call_id": answered, "output": _content(message, call)})
            continue
        if message.parts or not message.tool_calls:
            items.append({"role": message.role, "content": _content(message, call)})
        for number, made in enumerate(message.tool_calls):
            id_ = made.id or f"call_{place}_{number}"
            unanswered.append(id_)
            arguments = json_body(call, made.arguments).decode()
            items.append({"type": "function_call", "call_id": id_, "name": made.name, "arguments": arguments})
    return items


def _content(message: Message, call: Call) -> Any:
    if message.role in ("system", "assistant"):
        if any(isinstance(part, Image) for part in message.parts):
            raise UnsupportedError(
                f"a picture in a turn of role `{message.role}` cannot be said on this wire", feature="images", target=call.target.id
            )
        return message.text  # parts of an answer are said in one; in a list they would need the ids of a stored answer
    if len(message.parts) <= 1 and all(isinstance(part, Text) for part in message.parts):
        return message.text
    return [_part(part) for part in message.parts]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, Image):
        url = f"data:{part.media_type};base64,{b64encode(part.data).decode()}"
        return {"type": "input_image", "detail": "auto", "image_url": url}
    return {"type": "input_text", "text": part.text}


def _tool(tool: Tool) -> dict[str, Any]:
    """Without a word about it this service makes every optional argument required; `strict` says not to."""
    return {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters, "strict": False}


# --- the reply -----------------------------------------------------------------------------------------------------


class ResponseStream(JsonStream):
    """Reads a streamed response. A call of a tool is taken when it is done; its pieces before say nothing more."""

    __slots__ = ("_calls", "_has_more", "_heard", "_tail")

    def __init__(self, call: Call, head: ReplyHead) -> None:
        super().__init__(call, head)
        self._calls = ToolCalls(self._target)
        self._has_more = False
        # Which items have been heard in pieces, so that they are not said again when they are done.
        self._heard: set[tuple[str, int]] = set()
        self._tail: list[Event] | None = None

    def read(self, event: dict[str, Any]) -> Sequence[Event]:
        """Return what one event says.

        Raises:
            TargetError: the answer failed, or this is not the wire.
        """
        match event.get("type"):
            case "response.output_text.delta":
                return self._piece("message", event, Text)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return self._piece("reasoning", event, Reasoning)
            case "response.output_item.done":
                return self._item(object_of(event.get("item"), self._target), event.get("output_index"))
            case "response.refusal.delta" | "response.refusal.done":
                raise refused(self._target)
            case "response.completed" | "response.incomplete" | "response.cancelled" | "response.failed" as kind:
                return self._end_of(object_of(event.get("response"), self._target), kind.removeprefix("response."))
        return ()

    def closing(self) -> list[Event] | None:
        """Return calls, usage and finish, once the service has said that the response is complete."""
        return self._tail

    def _piece(self, item: str, event: dict[str, Any], kind: type[Text | Reasoning]) -> Sequence[Event]:
        words = text_of(event.get("delta"), self._target)
        if not words:
            return ()
        self._heard.add((item, _place(event.get("output_index"), self._target)))
        return (kind(words),)

    def _item(self, item: dict[str, Any], index: object) -> Sequence[Event]:
        said = (text_of(item.get("type"), self._target), _place(index, self._target))
        is_new = said not in self._heard
        self._heard.add(said)
        events = list(_item_events(item, said[1], self._calls if is_new else ToolCalls(self._target), self._target))
        self._has_more = self._has_more or _holds_more(item)
        return events if is_new else ()

    def _end_of(self, response: dict[str, Any], how: str) -> Sequence[Event]:
        # What the event is called says what became of the response, where the response itself does not.
        response = {**response, "status": response.get("status") or how}
        if response["status"] == "failed" or response.get("error"):
            self.fail(response.get("error"))
        # A service that says a kind of item only at the end has said it all the same; places there may differ.
        heard = {kind for kind, _ in self._heard}
        items = [object_of(item, self._target) for item in list_of(response.get("output") or [], self._target)]
        new = [(item, place) for place, item in enumerate(items) if text_of(item.get("type"), self._target) not in heard]
        late = [event for item, place in new for event in self._item(item, place)]
        has_words = bool(self._delivered) or any(type(event) is Text for event in late)
        self._tail = _closing(self._calls, response, Said(self._target, has_words=has_words, has_more=self._has_more))
        return [*late, *self.end_answer()]


def _read_whole(reply: Any, head: ReplyHead, target: str) -> Iterator[Event]:
    if reply.get("error") or reply.get("status") == "failed":
        raise failure_in_answer(reply.get("error"), head, target=target)
    calls, said = ToolCalls(target), Said(target)
    for place, item in enumerate(list_of(reply["output"], target)):
        for event in _item_events(object_of(item, target), place, calls, target):
            said.has_words = said.has_words or type(event) is Text
            yield event
        said.has_more = said.has_more or _holds_more(item)
    yield from _closing(calls, reply, said)


def _item_events(item: dict[str, Any], place: int, calls: ToolCalls, target: str) -> Iterator[Event]:
    """What a whole item says. Tools of the service and compactions hold no word of the answer and are passed over."""
    match item.get("type"):
        case "message":
            for part in list_of(item.get("content") or [], target):
                yield from _part_events(object_of(part, target), target)
        case "reasoning":
            for part in [*list_of(item.get("summary") or [], target), *list_of(item.get("content") or [], target)]:
                if thought := text_of(object_of(part, target).get("text"), target):
                    yield Reasoning(thought)
        case "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            calls.add([{"index": place, "id": item.get("call_id"), "function": function}])


def _part_events(part: dict[str, Any], target: str) -> Iterator[Event]:
    kind = text_of(part.get("type"), target)
    if kind == "refusal":
        raise refused(target)
    if kind in _WORDS | _THOUGHTS:
        if text := text_of(part.get("text"), target):
            yield Text(text) if kind in _WORDS else Reasoning(text)
    elif part.get("text"):
        raise wrong(target, "sent words in a part that is neither text nor a refusal")


def _holds_more(item: dict[str, Any]) -> bool:
    """Is there a part of a message that no event of ours holds?"""
    parts = (item.get("content") or ()) if item.get("type") == "message" else ()
    return any(part.get("type") not in _WORDS | _THOUGHTS for part in parts)


def _place(index: object, target: str) -> int:
    if type(index) is int:
        return index
    raise wrong(target, "sent an event that is not what this wire speaks")


def _closing(calls: ToolCalls, response: dict[str, Any], said: Said) -> list[Event]:
    finish, usage = _finish(response, said.target), response.get("usage")
    return closing(calls, _usage(usage) if isinstance(usage, dict) else None, finish, said)


def _finish(response: dict[str, Any], target: str) -> str:
    status, details = response.get("status"), response.get("incomplete_details")
    if status == "completed":
        return "stop"
    if status == "cancelled":
        raise UnavailableError(f"`{target}` gave up in the middle of the answer", target=target, sent=True)
    if status == "incomplete":
        reason = details.get("reason") if isinstance(details, dict) else None
        if reason == "content_filter":
            raise refused(target)
        if isinstance(reason, str) and reason in _RAN_OUT:
            return "length"
    if status in ("queued", "in_progress"):  # an answer to work in the background, which is never asked for
        raise wrong(target, "answered before the work was done")
    if status is None or isinstance(status, str):
        return UNKNOWN
    raise wrong(target, "ended the answer for a reason that is no word")


def _usage(said: dict[str, Any]) -> Usage:
    cached, thought = said.get("input_tokens_details"), said.get("output_tokens_details")
    return Usage(
        input_tokens=count_of(said.get("input_tokens")),
        output_tokens=count_of(said.get("output_tokens")),
        cached_input_tokens=count_of(cached.get("cached_tokens")) if isinstance(cached, dict) else None,
        reasoning_tokens=count_of(thought.get("reasoning_tokens")) if isinstance(thought, dict) else None,
    )
