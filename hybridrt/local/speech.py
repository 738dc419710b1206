"""How calls, events, values and errors are said between a host and its child, and how they are read.

The child may have read a hostile file. Whatever it says is checked here for size, type and range before it becomes a value of
ours, and nothing it says can name a class, a path or code.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from types import MappingProxyType
from typing import Any

from hybridrt.backend import Call
from hybridrt.certificate import STATES, Certificate
from hybridrt.deadline import Deadline
from hybridrt.errors import (
    Busy,
    ContextOverflowError,
    HybridrtError,
    LateError,
    MissingError,
    MissingExtraError,
    MissingModelError,
    ModelFileError,
    NoRoomError,
    ProtocolError,
    RefusedError,
    TargetError,
    UnavailableError,
    UnsupportedError,
)
from hybridrt.event import FINISHES, Event, Evidence, Finish, Reasoning, Usage
from hybridrt.local.backend import TargetFacts
from hybridrt.local.frame import FrameError, Verb
from hybridrt.request import MAX_DEPTH, ROLES, Image, Message, Output, Text, Tool, ToolCall
from hybridrt.signals import TokenCount
from hybridrt.target import Place, Target

# Said in one frame at most: far below the limit, whatever JSON makes of each character.
TEXT_CHARACTERS = 1_000_000
# An error is one sentence. What is longer was not written by us.
_MAX_WORDS = 2_000
_MAX_NAME = 1_000

# ---- questions


@dataclass(frozen=True, slots=True)
class Opening:
    """Which backend a child is to make, from which file. Options are what its class takes by name: numbers, texts, truth values."""

    backend: str
    path: str
    options: Mapping[str, Any]

    def body(self) -> Any:
        """Say it in JSON."""
        return {"backend": self.backend, "path": self.path, "options": dict(self.options)}


def say_call(call: Call) -> Any:
    """Say a call in JSON. The deadline goes as what is left of it: the two processes share no clock."""
    return {
        **say_conversation(call.messages, call.tools, call.output),
        "left_s": call.deadline.left_s(),
        "max_output_tokens": call.max_output_tokens,
        "temperature": call.temperature,
        "seed": call.seed,
        "stop": list(call.stop),
        "tool_choice": call.tool_choice,
        "parallel_tool_calls": call.parallel_tool_calls,
        "top_p": call.top_p,
        "effort": call.effort,
        "stream": call.stream,
        "scope": call.scope,
        "certified": call.certified,
        "bar": call.bar,
    }


def say_conversation(messages: Sequence[Message], tools: Sequence[Tool], output: Output | None) -> Any:
    """Say a conversation in JSON. A class of the caller stays where it is; its schema goes."""
    return {
        "messages": [_say_message(message) for message in messages],
        "tools": [[tool.name, tool.description, dict(tool.parameters)] for tool in tools],
        "output": None if output is None else [output.name, dict(output.schema)],
    }


def _say_message(message: Message) -> Any:
    parts = [
        [part.text] if isinstance(part, Text) else [part.media_type, base64.b64encode(part.data).decode("ascii")] for part in message.parts
    ]
    calls = [[call.name, dict(call.arguments), call.id] for call in message.tool_calls]
    return [message.role, parts, calls, message.tool_call_id]


def read_call(body: Mapping[str, Any]) -> Call:
    """Return the call that a host said."""
    messages, tools, output = read_conversation(body)
    return Call(
        Target("child", Place.DEVICE, "child"),
        messages,
        Deadline.start(body["left_s"]),
        tools=tools,
        output=output,
        max_output_tokens=body["max_output_tokens"],
        temperature=body["temperature"],
        seed=body["seed"],
        stop=tuple(body["stop"]),
        tool_choice=body["tool_choice"],
        parallel_tool_calls=body["parallel_tool_calls"],
        top_p=body["top_p"],
        effort=body["effort"],
        stream=body["stream"],
        scope=body["scope"],
        certified=body["certified"],
        bar=body["bar"],
    )


def read_conversation(body: Mapping[str, Any]) -> tuple[tuple[Message, ...], tuple[Tool, ...], Output | None]:
    """Return the conversation that a host said."""
    output = body["output"]
    return (
        tuple(_read_message(*message) for message in body["messages"]),
        tuple(Tool(*tool) for tool in body["tools"]),
        None if output is None else Output(*output),
    )


def _read_message(role: str, parts: Any, calls: Any, tool_call_id: str) -> Message:
    if role not in ROLES:
        raise FrameError("a message of no known role")
    return Message(
        role,
        tuple(Text(part[0]) if len(part) == 1 else Image(part[0], base64.b64decode(part[1])) for part in parts),
        tuple(ToolCall(*call) for call in calls),
        tool_call_id,
    )


# ---- answers


def say_event(event: Event) -> Any:
    """Say an event in JSON, by its kind; plain text goes as `Word.TEXT` instead."""
    match event:
        case Reasoning(text):
            return ["reasoning", text]
        case ToolCall(name, arguments, id_):
            return ["tool_call", name, dict(arguments), id_]
        case Usage():
            return ["usage", event.input_tokens, event.output_tokens, event.cached_input_tokens, event.reasoning_tokens]
        case Finish():
            evidence = None if event.evidence is None else asdict(event.evidence)
            labels = [list(label) for label in event.labels]
            known = [event.reason, event.confidence, event.certified_error, labels, event.parsed, evidence, event.certified_for]
            return ["finish", *known, None if event.certificate is None else list(astuple(event.certificate))]
    raise FrameError(f"an event of kind {type(event).__name__}")


def read_event(body: Any) -> Event:
    """Return the event a child said.

    Raises:
        FrameError: it is none.
    """
    match body:
        case ["reasoning", text]:
            return Reasoning(read_text(text))
        case ["tool_call", name, arguments, id_]:
            return ToolCall(_short(name), _object(arguments), _short(id_, may_be_empty=True))
        case ["usage", *counts] if len(counts) == len(fields(Usage)):
            return Usage(*(_count(count) for count in counts))
        case ["finish", reason, confidence, error, labels, parsed, evidence, certified_for, certificate] if reason in FINISHES:
            return Finish(
                reason,
                confidence=_share(confidence),
                certified_error=_share(error),
                labels=tuple(_label(label) for label in _list(labels)),
                parsed=_shallow(parsed),
                evidence=None if evidence is None else _evidence(evidence),
                certified_for=_short(certified_for, may_be_empty=True),
                certificate=None if certificate is None else _certificate(certificate),
            )
    raise FrameError("an event of no known form")


def _certificate(value: Any) -> Certificate:
    match value:
        case [state, alpha, delta, coverage, n, population, reason] if state in STATES:
            promised = _share(alpha), _share(delta), _share(coverage), _count(n)
            return Certificate(state, *promised, _short(population, may_be_empty=True), _short(reason, may_be_empty=True))
    raise FrameError("a certificate of no known form")


def read_text(value: Any) -> str:
    """Return words that can be shown and encoded.

    Raises:
        FrameError: they are not.
    """
    if not isinstance(value, str) or not value:
        raise FrameError("a text that is none")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise FrameError("a text with half of a surrogate pair") from None
    return value


def say_value(value: TokenCount | TargetFacts | None) -> Any:
    """Say the answer to a question that has one."""
    match value:
        case TokenCount(count, kind):
            return [count, kind]
        case TargetFacts():
            return [value.model, value.window, value.digest, sorted(value.modalities), value.is_placeholder]
    return None


def read_count(body: Any) -> TokenCount:
    """Return the count a child said.

    Raises:
        FrameError: it is none.
    """
    match body:
        case [value, "exact" | "upper_bound" | "estimate" as kind]:
            if (count := _count(value)) is not None:
                return TokenCount(count, kind)
    raise FrameError("a count of no known form")


def read_facts(body: Any) -> TargetFacts:
    """Return the facts a child said.

    Raises:
        FrameError: they are none.
    """
    match body:
        case [model, window, digest, [*modalities], bool(is_placeholder)] if set(modalities) <= {"text", "image"}:
            size = _count(window)
            if size is not None and isinstance(digest, str) and len(digest) == 64:
                return TargetFacts(_short(model), size, _short(digest), frozenset(modalities), is_placeholder)
    raise FrameError("facts of no known form")


def read_nothing(body: Any) -> None:
    """Expect nothing.

    Raises:
        FrameError: there is something.
    """
    if body is not None:
        raise FrameError("a value where none was asked for")


# ---- errors


# Which errors of a local backend cross, and what each carries beside its words.
_ERRORS: Mapping[str, tuple[type[HybridrtError], tuple[str, ...]]] = MappingProxyType(
    {
        kind.code: (kind, names)
        for kind, names in (
            (TargetError, ()),
            (UnavailableError, ("retry_after_s", "status")),
            (LateError, ("budget_s",)),
            (Busy, ("retry_after_s",)),
            (NoRoomError, ("retry_after_s", "needed_bytes", "free_bytes", "budget_bytes")),
            (UnsupportedError, ("feature",)),
            (ContextOverflowError, ("needed", "window")),
            (RefusedError, ()),
            (ProtocolError, ()),
            (ModelFileError, ()),
            (MissingError, ()),
            (MissingExtraError, ("extra",)),
            (MissingModelError, ("model",)),
        )
    }
)
_TEXTS = ("feature", "extra", "model")


def say_error(error: Exception) -> Any:
    """Say why a question was not answered; of a bug only its kind, because its words may quote the request."""
    found = _ERRORS.get(error.code) if isinstance(error, HybridrtError) else None
    if found is None or not isinstance(error, HybridrtError):
        bug = UnavailableError(f"the process of the local model met a bug: {type(error).__name__}")
        return say_error(bug)
    _, names = found
    return [error.code, str(error)[:_MAX_WORDS], error.hint[:_MAX_WORDS], {name: getattr(error, name, None) for name in names}]


def read_error(body: Any) -> HybridrtError:
    """Return the error a child said, as a new object.

    Raises:
        FrameError: it is none of those a local model has.
    """
    match body:
        case [str(code), words, hint, {**facts}] if code in _ERRORS:
            kind, names = _ERRORS[code]
            if set(facts) != set(names):
                raise FrameError("an error of no known form")
            error = kind.__new__(kind)
            HybridrtError.__init__(error, _sentence(words), hint=_sentence(hint))
            if isinstance(error, TargetError):
                error.target, error.sent = "", False
            for name in names:
                setattr(error, name, _sentence(facts[name]) if name in _TEXTS else _number(facts[name]))
            return error
    raise FrameError("an error of no known form")


# ---- the checks


def _sentence(value: Any) -> str:
    """One line that can be printed: it may go into a log."""
    if not isinstance(value, str) or len(value) > _MAX_WORDS or not value.replace("\n", " ").isprintable():
        raise FrameError("words that are no sentence")
    return value.replace("\n", " ")


def _short(value: Any, *, may_be_empty: bool = False) -> str:
    if may_be_empty and value == "":
        return ""
    if len(text := read_text(value)) > _MAX_NAME:
        raise FrameError("a name that is none")
    return text


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e18:  # noqa: PLR0124 - not a number
        raise FrameError("a number that is none")
    return value


def _count(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value < 1 << 53):
        return value
    raise FrameError("a count that is none")


def _share(value: Any) -> float | None:
    number = _number(value)
    if number is not None and not 0 <= number <= 1:
        raise FrameError("a share outside of 0 to 1")
    return number


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FrameError("a list that is none")
    return value


def _label(value: Any) -> tuple[str, float]:
    match value:
        case [name, score] if (number := _number(score)) is not None:
            return _short(name), number
    raise FrameError("a label that is none")


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FrameError("an object that is none")
    found: Mapping[str, Any] = _shallow(value)
    return found


def _shallow(value: Any) -> Any:
    """A value that those who walk it can walk."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [item for node in level if isinstance(node, dict | list) for item in (node.values() if isinstance(node, dict) else node)]
        if not level:
            return value
    raise FrameError(f"a value nested deeper than {MAX_DEPTH} levels")


def _evidence(value: Any) -> Evidence:
    names = [field.name for field in fields(Evidence)]
    if not isinstance(value, dict) or set(value) != set(names):
        raise FrameError("evidence of no known form")
    logprobs = tuple(_list(value.pop("logprobs")))
    if not all(type(each) in (int, float) for each in (*logprobs, *value.values())):
        raise FrameError("evidence that is no number")
    return Evidence(logprobs, **value)


Reader = Callable[[Any], Any]
# How the value that answers each question is read.
VALUES: Mapping[Verb, Reader] = MappingProxyType({Verb.START: read_nothing, Verb.COUNT: read_count, Verb.FACTS: read_facts})
