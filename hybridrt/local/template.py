"""A conversation becomes tokens through the model's own chat template, and no text of a user ever becomes a control token.

The template is a program from the model file; it runs in a sandbox. What callers wrote passes through it as text, with
every imitation of a special token (`<|assistant|>`, `</s>`) replaced by a mark nobody can guess. After rendering, the text
is cut at the special tokens the template itself wrote, the marks are turned back into what the caller wrote, and each
piece is handed to the tokenizer as plain text.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from hybridrt.errors import MissingExtraError, ModelFileError, UnsupportedError
from hybridrt.local.dialect import Manner, listen
from hybridrt.local.grammar import SCHEMA_WORDS
from hybridrt.local.tool import numbered
from hybridrt.request import Image, Message, Tool, ToolCall
from hybridrt.sealed import Sealed

# A product longer than this is no prompt; the sandbox bounds ranges but not `"x" * n`.
_MAX_PRODUCT = 1_000_000


@dataclass(frozen=True, slots=True)
class Special:
    """A token that is more than its text. `eats_left` and `eats_right` swallow the blanks beside it."""

    id: int
    text: str
    eats_left: bool = False
    eats_right: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Plain(Sealed):
    """Text that is text, whatever it looks like."""

    text: str


Piece = Special | Plain


class ChatTemplate:
    """Compiled once for a model; `render` is a plain function of the conversation."""

    def __init__(self, source: str, specials: Sequence[Special], *, bos: str, eos: str) -> None:
        """Compile the template.

        Raises:
            ModelFileError: it is no template.
            MissingExtraError: the extra `local` is not installed.
        """
        self._template = _compile(source)
        self._given = {"bos_token": bos, "eos_token": eos, "add_generation_prompt": True}
        self._specials = {special.text: special for special in specials if special.text}
        longest_first = sorted(self._specials, key=len, reverse=True)
        self._imitation = re.compile("|".join(re.escape(text) for text in longest_first) or r"(?!)")
        # Ends and beginnings of special tokens: text that starts or stops with one could complete what the template wrote beside it.
        self._ends = tuple({text[cut:] for text in longest_first for cut in range(1, len(text))})
        self._begins = tuple({text[:cut] for text in longest_first for cut in range(1, len(text))})
        self.manner: Manner = listen(self._words, source)

    def render(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[Piece]:
        """Return the conversation as special tokens and plain text, in order.

        Raises:
            UnsupportedError: a picture, or something this template has no words for.
        """
        self._check(messages, tools)
        mark = secrets.token_hex(16)
        number = {text: place for place, text in enumerate(self._specials)}

        def defuse(value: Any) -> Any:
            if isinstance(value, str):
                text = self._imitation.sub(lambda found: f"{mark}{number[found[0]]}.", value)
                body = text.strip()
                if body and (
                    body.startswith(self._ends) or body.endswith(self._begins) or any(body in special for special in self._specials)
                ):
                    text = text.replace(body, f"{mark}.{body}{mark}.", 1)
                return text
            if isinstance(value, Mapping):
                return {defuse(key): defuse(item) for key, item in value.items()}
            if isinstance(value, list | tuple):
                return [defuse(item) for item in value]
            return value

        try:
            turns = [*self._turns(messages, defuse)]
            text = self._words(turns, [_tool_as_template_sees(tool, defuse) for tool in tools] or None)
        except Exception as error:  # noqa: BLE001 - the template is the model's program and may raise anything; its words may quote the request
            raise UnsupportedError(
                f"the chat template of the model refused the conversation: {type(error).__name__}",
                feature="conversation",
                hint="some templates take no system message, or only turns that alternate",
            ) from None
        return list(self._pieces(text, mark))

    def _words(self, turns: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> str:
        text: str = self._template.render(messages=turns, tools=tools, **self._given)
        return text

    def _check(self, messages: Sequence[Message], tools: Sequence[Tool]) -> None:
        if tools and self.manner.dialect is None:
            raise UnsupportedError(
                "the chat template of the model has no words for tools, or for their calls in a way that is not known",
                feature="tools",
                hint="`docs/local.md` lists the known ways; or allow another target for this request",
            )
        for message in messages:
            if any(isinstance(part, Image) for part in message.parts):
                raise UnsupportedError("this local model reads no pictures", feature="images", hint="allow another target for this request")
            if message.tool_calls and not self.manner.writes_calls:
                raise UnsupportedError("the chat template of the model has no words for a call of a tool", feature="tools")
            if message.role == "tool" and not self.manner.writes_results:
                raise UnsupportedError("the chat template of the model has no words for what a tool returned", feature="tools")

    def _turns(self, messages: Sequence[Message], defuse: Callable[[Any], Any]) -> Iterator[dict[str, Any]]:
        """Yield the turns in the form chat templates are written for; only what people wrote is defused, not the words of the form."""
        names: dict[str, str] = {}
        for message in numbered(messages):
            turn: dict[str, Any] = {"role": message.role, "content": defuse(message.text)}
            if message.tool_calls:
                turn["tool_calls"] = [self._call(call, defuse) for call in message.tool_calls]
                names |= {call.id: call.name for call in message.tool_calls}
            if message.tool_call_id:
                turn["tool_call_id"] = defuse(message.tool_call_id)
                if message.tool_call_id in names:
                    turn["name"] = defuse(names[message.tool_call_id])
            yield turn

    def _call(self, call: ToolCall, defuse: Callable[[Any], Any]) -> dict[str, Any]:
        arguments = defuse(call.arguments)
        said = _to_json(arguments) if self.manner.as_text else arguments
        return {"id": call.id, "type": "function", "function": {"name": defuse(call.name), "arguments": said}}

    def _pieces(self, text: str, mark: str) -> list[Piece]:
        pieces: list[Piece] = []
        restore, edge = re.compile(mark + r"(\d+)\."), mark + "."
        texts = list(self._specials)

        def plain(part: str, after: Special | None, before: Special | None) -> None:
            if after is not None and after.eats_right:
                part = part.lstrip()
            if before is not None and before.eats_left:
                part = part.rstrip()
            # Cut inside an imitation, so that not even a tokenizer that merges text into specials can join it again.
            for index, bit in enumerate(restore.split(part.replace(edge, ""))):
                imitated = texts[int(bit)] if index % 2 else ""
                pieces.extend(Plain(run) for run in ((imitated[:1], imitated[1:]) if imitated else (bit,)) if run)

        at, last = 0, None
        for found in self._imitation.finditer(text):
            special = self._specials[found[0]]
            plain(text[at : found.start()], last, special)
            pieces.append(special)
            at, last = found.end(), special
        plain(text[at:], last, None)
        return pieces


def _tool_as_template_sees(tool: Tool, defuse: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a tool in the form chat templates are written for."""

    def schema(value: Any) -> Any:
        """Defuse what the application wrote in a schema; templates look for the words of the standard."""
        if isinstance(value, str):
            return value if value in SCHEMA_WORDS else defuse(value)
        if isinstance(value, Mapping):
            return {schema(key): schema(item) for key, item in value.items()}
        return [schema(item) for item in value] if isinstance(value, list | tuple) else value

    body = {"name": defuse(tool.name), "description": defuse(tool.description), "parameters": schema(tool.parameters)}
    return {"type": "function", "function": body}


def _compile(source: str) -> Any:
    try:
        from jinja2.exceptions import SecurityError, TemplateSyntaxError
        from jinja2.ext import Extension
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise MissingExtraError("a chat template", extra="local") from None

    class Generation(Extension):
        """Templates mark for training what the model said, with `{% generation %}`; for a prompt the mark means nothing."""

        tags = {"generation"}  # noqa: RUF012 - jinja's own form

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            sized = [len(side) for side in (left, right) if isinstance(side, str | list | tuple)]
            numbers = [abs(side) for side in (left, right) if isinstance(side, int)]
            if operator == "**" or (sized and numbers and sized[0] * numbers[0] > _MAX_PRODUCT):
                raise SecurityError("too large")
            return super().call_binop(context, operator, left, right)

    # What the templates in model files are written against.
    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation], autoescape=False)
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_refuse, strftime_now=_now)
    try:
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise ModelFileError(
            f"the chat template of the model is broken in line {error.lineno}", hint="take another conversion of the model"
        ) from None


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    # As the template processors of the model makers do it; jinja's own escapes `<` for web pages.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _now(form: str) -> str:
    from datetime import datetime

    return datetime.now().astimezone().strftime(form)


def slices(pieces: Sequence[Piece], characters: int) -> Iterator[str]:
    """Yield the plain text in runs of at most so many characters."""
    for piece in pieces:
        if isinstance(piece, Plain):
            for at in range(0, len(piece.text), characters):
                yield piece.text[at : at + characters]


def to_tokens(pieces: Sequence[Piece], tokenize: Callable[[str], list[int]]) -> list[int]:
    """Return the ids of the pieces; `tokenize` turns plain text into ids and never into special ones."""
    tokens: list[int] = []
    for piece in pieces:
        if isinstance(piece, Special):
            tokens.append(piece.id)
        else:
            tokens.extend(tokenize(piece.text))
    return tokens
