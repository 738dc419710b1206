"""The wire of Gemini's generateContent, at AI Studio and at Vertex AI.

The key goes into a header and never into the URL. Thoughts are not asked for; where a model sends them they are
`Reasoning`. A thought signature that came with a tool call is not carried through a conversation, which may have moved
between models: the mark that the service documents for such calls stands in its place.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from cloud_adapters.ending import UNKNOWN, Reasons, Said, closing, total
from cloud_adapters.failure import MAX_RETRY_AFTER_S, failure, failure_in_answer, refused
from cloud_adapters.json_stream import JsonStream
from cloud_adapters.json_text import NotJsonError, parse_exactly
from cloud_adapters.reply import FailedReply, is_success, read_either, read_json
from cloud_adapters.request import Headers, json_request, key_header, refuse_unsaid
from cloud_adapters.shape import count_of, list_of, object_of, text_of
from cloud_adapters.tool_calls import ToolCalls
from cloud_adapters.tool_results import OpenCalls
from cloud_adapters.vectors import count_end, texts_of, vector_of, vectors_end
from hybridrt.backend import Call
from hybridrt.errors import Busy, ContextOverflowError, CredentialsError, TargetError, UnavailableError, UnsupportedError
from hybridrt.event import Event, Reasoning, Text, Usage
from hybridrt.request import Image, Message
from hybridrt.wire import Decoder, HttpRequest, ReplyHead

# Base64 of the words `skip_thought_signature_validator`: the service's own mark for a call that it did not sign.
UNSIGNED = b64encode(b"skip_thought_signature_validator").decode()

_REFUSALS = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "MODEL_ARMOR"}
) | {"IMAGE_RECITATION", "LANGUAGE"}
_FAILURES = frozenset(
    {"OTHER", "IMAGE_OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"}
) | {"MALFORMED_RESPONSE", "NO_IMAGE", "FINISH_REASON_UNSPECIFIED"}
_REASONS = Reasons({"STOP": "stop", "MAX_TOKENS": "length"}, _REFUSALS, _FAILURES)
# What tools of the service itself leave beside the answer, none of which is ever asked for, and what only describes a part.
_BESIDE = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse"})
_DESCRIBING = frozenset({"text", "thought", "thoughtSignature", "partMetadata", "videoMetadata", "mediaResolution"})
_CHOICES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_LEVELS = frozenset(("minimal", "low", "medium", "high"))
_HAS_NO_LEVELS = re.compile(r"gemini-[12](?:\.\d+)?-")
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)
_TOO_LONG = re.compile(r"token count \((\d{1,9})\) exceeds the maximum number of tokens allowed \((\d{1,9})\)", re.ASCII)


class Gemini:
    """Gemini at AI Studio; the endpoint is `https://generativelanguage.googleapis.com`."""

    prefix: ClassVar[str] = "/v1beta/models/"
    key_header: ClassVar[tuple[str, str]] = ("x-goog-api-key", "")

    def build(self, call: Call, key: str | None) -> HttpRequest:
        """Say the call on this wire.

        Raises:
            TargetError: the call cannot be said on it.
        """
        what = ":streamGenerateContent?alt=sse" if call.stream else ":generateContent"
        return json_request(call, self.prefix + _model(call) + what, self.body(call), self.headers(call, key))

    def build_count(self, call: Call, key: str | None) -> HttpRequest:
        """Ask how many tokens the input of a call has.

        Raises:
            TargetError: the call cannot be said on this wire.
        """
        body = self.count_body(call)
        return json_request(call, self.prefix + _model(call) + ":countTokens", body, self.headers(replace(call, stream=False), key))

    def count_body(self, call: Call) -> dict[str, Any]:
        """The whole request as the thing to be counted; beside bare contents nothing else would be."""
        return {"generateContentRequest": {"model": f"models/{call.target.model.removeprefix('models/')}", **self.body(call)}}

    def read_count(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read the number.

        Raises:
            ProtocolError: the reply is no JSON.
        """
        return _read(call, head, count_end("totalTokens", call.target.id))

    def texts_at_once(self, call: Call) -> int:
        """As many as a batch takes there."""
        return 100

    def cuts_silently(self, call: Call) -> bool:
        """It has no word for not cutting."""
        return True

    def build_embed(self, call: Call, key: str | None) -> HttpRequest:
        """Ask for the vectors of texts.

        Raises:
            TargetError: the call cannot be said on this wire.
        """
        model = f"models/{call.target.model.removeprefix('models/')}"
        asked = [{"model": model, "content": {"parts": [{"text": text}]}} for text in texts_of(call)]
        path = self.prefix + _model(call) + ":batchEmbedContents"
        return json_request(call, path, {"requests": asked}, self.headers(replace(call, stream=False), key))

    def read_embed(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read vectors.

        Raises:
            ProtocolError: the reply is no JSON.
        """
        target = call.target.id

        def read(reply: Any) -> Iterator[Event]:
            rows = list_of(object_of(reply, target)["embeddings"], target)
            yield from vectors_end([vector_of(object_of(row, target)["values"], target) for row in rows], None)

        return _read(call, head, read)

    def headers(self, call: Call, key: str | None) -> Headers:
        """The headers beside the content type."""
        accepted = "text/event-stream" if call.stream else "application/json"
        return (("accept", accepted), *key_header(call, key, *self.key_header))

    def decoder(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read a reply.

        Raises:
            ProtocolError: it is neither JSON nor a stream of events.
        """
        if not is_success(head):
            return FailedReply(call, head, _failure)
        return read_either(call, head, read=lambda reply: _read_whole(reply, head, call.target.id), stream=GeminiStream)

    def body(self, call: Call) -> dict[str, Any]:
        """The request as JSON.

        Raises:
            TargetError: the call cannot be said on this wire, which does not bound how many tools are called at once.
        """
        refuse_unsaid(
            call, *("tools", "tool_choice", "output", "images", "max_output_tokens", "temperature", "top_p", "effort", "seed", "stop")
        )
        system = [message for message in call.messages if message.role == "system"]
        body: dict[str, Any] = {"contents": _contents(call)}
        if system:
            body["systemInstruction"] = {"parts": [part for message in system for part in _parts(message, call)]}
        if call.tools:
            declared = [
                {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters} for tool in call.tools
            ]
            body["tools"] = [{"functionDeclarations": declared}]
        if call.tool_choice is not None and call.tools:
            body["toolConfig"] = {"functionCallingConfig": _tool_choice(call.tool_choice)}
        if settings := _settings(call):
            body["generationConfig"] = settings
        return body


class Vertex(Gemini):
    """Gemini at Vertex AI.

    The endpoint names the project and the region:
    `https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION/publishers/google`. The key is an
    OAuth access token.
    """

    prefix = "/models/"
    key_header = ("authorization", "Bearer ")

    def count_body(self, call: Call) -> dict[str, Any]:
        """The request itself is what is counted."""
        return self.body(call)

    def texts_at_once(self, call: Call) -> int:
        """Its newer encoders take one."""
        return 1

    def cuts_silently(self, call: Call) -> bool:
        """It is told not to."""
        return False

    def build_embed(self, call: Call, key: str | None) -> HttpRequest:
        """Ask for the vectors of texts, and not to cut any.

        Raises:
            TargetError: the call cannot be said on this wire.
        """
        body = {"instances": [{"content": text} for text in texts_of(call)], "parameters": {"autoTruncate": False}}
        return json_request(call, self.prefix + _model(call) + ":predict", body, self.headers(replace(call, stream=False), key))

    def read_embed(self, call: Call, head: ReplyHead) -> Decoder:
        """Begin to read vectors; one of a text that was cut is none.

        Raises:
            ProtocolError: the reply is no JSON.
        """
        target = call.target.id

        def read(reply: Any) -> Iterator[Event]:
            rows = [
                object_of(object_of(row, target)["embeddings"], target) for row in list_of(object_of(reply, target)["predictions"], target)
            ]
            counted = [object_of(row.get("statistics") or {}, target) for row in rows]
            if any(each.get("truncated") is True for each in counted):
                raise ContextOverflowError(f"`{target}` cut a text", needed=None, window=call.target.window, target=target)
            yield from vectors_end(
                [vector_of(row["values"], target) for row in rows], total(*(count_of(each.get("token_count")) for each in counted))
            )

        return _read(call, head, read)


# --- the request ---------------------------------------------------------------------------------------------------


def _model(call: Call) -> str:
    return quote(call.target.model.removeprefix("models/"), safe="")


def _settings(call: Call) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if call.max_output_tokens is not None:
        settings["maxOutputTokens"] = call.max_output_tokens
    if call.temperature is not None:
        settings["temperature"] = call.temperature
    if call.top_p is not None:
        settings["topP"] = call.top_p
    if call.effort is not None:
        settings["thinkingConfig"] = _thinking(call, call.effort)
    if call.seed is not None:
        settings["seed"] = call.seed
    if call.stop:
        settings["stopSequences"] = list(call.stop)
    if call.output is not None:
        settings["responseMimeType"] = "application/json"
        settings["responseJsonSchema"] = call.output.schema
    return settings


def _tool_choice(choice: str) -> dict[str, Any]:
    return {"mode": _CHOICES[choice]} if choice in _CHOICES else {"mode": "ANY", "allowedFunctionNames": [choice]}


def _thinking(call: Call, effort: str) -> dict[str, Any]:
    """Models before the third count thinking in tokens, later ones name levels; not to think is said in tokens to both."""
    if effort == "none":
        return {"thinkingBudget": 0}
    if effort not in _LEVELS or _HAS_NO_LEVELS.match(call.target.model.removeprefix("models/")):
        raise UnsupportedError(
            f"`{call.target.id}` has no effort `{effort}` for this model",
            feature="effort",
            target=call.target.id,
            hint="leave `effort` out",
        )
    return {"thinkingLevel": effort.upper()}


def _contents(call: Call) -> list[dict[str, Any]]:
    """The turns, neighbours of one role as one: the results of parallel calls have to stand together."""
    said: list[dict[str, Any]] = []
    calls = OpenCalls(call)
    for place, message in enumerate(call.messages):
        if message.role == "system":
            continue
        if message.role == "tool":
            role, parts = "user", [_result(message, calls)]
        else:
            role, parts = "model" if message.role == "assistant" else "user", _parts(message, call)
        for number, (_, made) in enumerate(calls.asked(message, place)):
            asked = {"name": made.name, "args": made.arguments, **({"id": made.id} if made.id else {})}
            parts.append({"functionCall": asked} if number else {"functionCall": asked, "thoughtSignature": UNSIGNED})
        if said and said[-1]["role"] == role:
            said[-1]["parts"] += parts
        else:
            said.append({"role": role, "parts": parts})
    return said


def _parts(message: Message, call: Call) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Image):
            if message.role != "user":
                raise TargetError(f"a picture in a turn of role `{message.role}` cannot be said on this wire", target=call.target.id)
            parts.append(_picture(part))
        elif part.text:
            parts.append({"text": part.text})
    return parts if parts or message.tool_calls else [{"text": ""}]


def _picture(image: Image) -> dict[str, Any]:
    return {"inlineData": {"mimeType": image.media_type, "data": b64encode(image.data).decode()}}


def _result(message: Message, calls: OpenCalls) -> dict[str, Any]:
    """A tool's result: its JSON object as it is, anything else as the one value of an object; pictures beside it."""
    _, made = calls.answered(message)
    try:
        value = parse_exactly(message.text)
    except NotJsonError:
        value = None
    answer: dict[str, Any] = {"name": made.name, "response": value if isinstance(value, dict) else {"result": message.text}}
    if made.id:
        answer["id"] = made.id
    if pictures := [_picture(part) for part in message.parts if isinstance(part, Image)]:
        answer["parts"] = pictures
    return {"functionResponse": answer}


# --- the reply -----------------------------------------------------------------------------------------------------


class GeminiStream(JsonStream):
    """Reads a streamed answer. There is no end mark: the last event says why, and what was used."""

    __slots__ = ("_calls", "_finish", "_has_more", "_number", "_usage")

    def __init__(self, call: Call, head: ReplyHead) -> None:
        super().__init__(call, head)
        self._calls = ToolCalls(self._target)
        self._number = 0
        self._has_more = False
        self._usage: Usage | None = None
        self._finish: str | None = None

    def read(self, event: dict[str, Any]) -> Sequence[Event]:
        """Return what one event says.

        Raises:
            TargetError: the answer failed, or this is not the wire.
        """
        self._usage = _usage(event.get("usageMetadata")) or self._usage
        candidate = _candidate(event, self._target)
        if candidate is None:
            return ()
        pieces, made = _said(candidate, self._target)
        self._has_more = self._has_more or _holds_more(candidate)
        for piece in made:
            self._calls.add([{**piece, "index": self._number}])
            self._number += 1
        if reason := candidate.get("finishReason"):
            self._finish = _REASONS.finish(reason, self._target)
        return pieces

    def closing(self) -> list[Event] | None:
        """Return calls, usage and finish, once the service has said why it stopped."""
        said = Said(self._target, has_words=bool(self._delivered), has_more=self._has_more)
        return None if self._finish is None else closing(self._calls, self._usage, self._finish, said)


def _read(call: Call, head: ReplyHead, read: Callable[[Any], Iterator[Event]]) -> Decoder:
    return read_json(call, head, read) if is_success(head) else FailedReply(call, head, _failure)


def _failure(head: ReplyHead, error: Mapping[str, Any] | None, *, target: str) -> TargetError:
    """Three of Google's errors mean more than their status says."""
    said = error or {}
    meant = (_meaning(said, target) if head.status == 400 else None) or failure(head, said, target=target)
    if isinstance(meant, Busy | UnavailableError) and meant.retry_after_s is None:
        meant.retry_after_s = _retry_delay_s(said)
    return meant


def _meaning(said: Any, target: str) -> TargetError | None:
    """A wrong key and a request that is too long are both said as 400."""
    details = [detail for detail in _details(said) if isinstance(detail, dict)]
    if any(detail.get("reason") in ("API_KEY_INVALID", "API_KEY_EXPIRED") for detail in details):
        return CredentialsError(f"`{target}` refused the key (400)", target=target, sent=True, hint="check the key of this recipient")
    message = said.get("message")
    if isinstance(message, str) and (numbers := _TOO_LONG.search(message)):
        return ContextOverflowError(
            f"the request does not fit the window of `{target}`", needed=int(numbers[1]), window=int(numbers[2]), target=target
        )
    return None


def _retry_delay_s(said: Any) -> float | None:
    for detail in _details(said):
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (seconds := _DELAY.fullmatch(delay)):
            return min(float(seconds[1]), MAX_RETRY_AFTER_S)
    return None


def _details(said: Any) -> list[Any]:
    details = said.get("details")
    return details if isinstance(details, list) else []


def _read_whole(reply: Any, head: ReplyHead, target: str) -> Iterator[Event]:
    """One JSON object; or a list of pieces, which is how the service streams to who does not ask for events."""
    calls = ToolCalls(target)
    number = 0
    finish: str | None = None
    usage: Usage | None = None
    heard = Said(target)
    for piece in reply if isinstance(reply, list) else [reply]:
        if object_of(piece, target).get("error"):
            raise failure_in_answer(piece["error"], head, target=target)
        usage = _usage(piece.get("usageMetadata")) or usage
        if (candidate := _candidate(piece, target)) is None:
            continue
        if reason := candidate.get("finishReason"):
            finish = _REASONS.finish(reason, target)
        words, made = _said(candidate, target)
        heard.has_words = heard.has_words or any(type(word) is Text for word in words)
        heard.has_more = heard.has_more or _holds_more(candidate)
        yield from words
        calls.add([{**each, "index": number + place} for place, each in enumerate(made)])
        number += len(made)
    # Without a reason nothing says that the words there are all of them.
    yield from closing(calls, usage, finish or UNKNOWN, heard)


def _candidate(reply: dict[str, Any], target: str) -> dict[str, Any] | None:
    """The one answer that was asked for; none in an event that only counts."""
    feedback = reply.get("promptFeedback")
    if feedback is not None and object_of(feedback, target).get("blockReason"):
        raise refused(target)
    candidates = list_of(reply.get("candidates") or [], target)
    return next((each for each in candidates if not object_of(each, target).get("index")), None)


def _said(candidate: dict[str, Any], target: str) -> tuple[list[Text | Reasoning], list[dict[str, Any]]]:
    """The words of an answer or of a piece of one, and its calls."""
    pieces: list[Text | Reasoning] = []
    calls: list[dict[str, Any]] = []
    content = object_of(candidate.get("content") or {}, target)
    for part in list_of(content.get("parts") or [], target):
        if text := text_of(object_of(part, target).get("text"), target):
            pieces.append(Reasoning(text) if part.get("thought") is True else Text(text))
        elif (made := part.get("functionCall")) is not None:
            made = object_of(made, target)
            arguments = object_of(made.get("args") or {}, target)
            calls.append({"id": made.get("id"), "function": {"name": made.get("name"), "arguments": arguments}})
    return pieces, calls


def _holds_more(candidate: dict[str, Any]) -> bool:
    """Is there a part that no event of ours holds: a picture, a file, something of tomorrow? Every word is under `text`."""
    parts = (candidate.get("content") or {}).get("parts") or ()
    return any(not (part.keys() <= _DESCRIBING or part.get("text") or part.keys() & (_BESIDE | {"functionCall"})) for part in parts)


def _usage(said: object) -> Usage | None:
    """Thoughts are counted beside the answer there, and within the output here."""
    if not isinstance(said, dict):
        return None
    thoughts = count_of(said.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=count_of(said.get("promptTokenCount")),
        output_tokens=total(count_of(said.get("candidatesTokenCount")), thoughts),
        cached_input_tokens=count_of(said.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )
