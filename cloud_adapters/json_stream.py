"""What every streamed wire shares whose events are JSON objects: cuts, early ends, request ids, the characters delivered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from cloud_adapters.failure import failure_in_answer
from cloud_adapters.json_text import NotJsonError, parse
from cloud_adapters.reply import request_id
from cloud_adapters.shape import wrong
from cloud_adapters.sse import EventLines
from hybridrt.backend import Call
from hybridrt.errors import BrokenStream, ProtocolError, TargetError
from hybridrt.event import Event, Text
from hybridrt.wire import ReplyHead


class JsonStream(ABC):
    """Reads a stream of JSON events. A wire says what one of them means, and what is left once the answer is whole.

    An event that is named `error`, is of type `error` or holds an `error` ends it, whatever the wire.
    """

    __slots__ = ("_delivered", "_has_ended", "_head", "_lines", "_target")

    def __init__(self, call: Call, head: ReplyHead) -> None:
        self._target = call.target.id
        self._head = head
        self._lines = EventLines(self._target)
        self._delivered = 0
        self._has_ended = False

    @abstractmethod
    def read(self, event: dict[str, Any]) -> Sequence[Event]:
        """Return what one event says; raise `TargetError` where it says that the answer failed."""

    @abstractmethod
    def closing(self) -> list[Event] | None:
        """Return what comes after the last word, or none while the answer is not whole."""

    def end_mark(self) -> Sequence[Event]:
        """Return what `[DONE]` says. Most of these wires have an end of their own, and relatives that close with it say nothing more."""
        return ()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events completed by these bytes.

        Raises:
            TargetError: the stream is an error or not this wire.
        """
        if self._has_ended:
            return
        try:
            for name, payload in self._lines.feed(data):
                yield from self._said(name, payload)
                if self._has_ended:
                    return
        except TargetError as error:
            error.request_id = request_id(self._head)
            raise

    def end(self) -> Iterator[Event]:
        """Yield what remains.

        Raises:
            BrokenStream: the stream ended before its end.
        """
        try:
            yield from self._end()
        except TargetError as error:
            error.request_id = request_id(self._head)
            raise

    def end_answer(self) -> list[Event]:
        """Close the answer; whatever follows is not read.

        Raises:
            BrokenStream: it is not whole.
        """
        events = self.closing()
        if events is None:
            raise BrokenStream(f"`{self._target}` ended the stream before the answer", delivered=self._delivered, target=self._target)
        self._has_ended = True
        return events

    def fail(self, error: object) -> NoReturn:
        """Say what an error inside the stream means: after the first word it is a broken stream, whatever its reason."""
        if self._delivered:
            raise BrokenStream(
                f"`{self._target}` reported an error in the middle of the answer", delivered=self._delivered, target=self._target
            )
        raise failure_in_answer(error, self._head, target=self._target)

    def _end(self) -> Iterator[Event]:
        if self._has_ended:
            return
        try:  # a last event without its blank line is an event; half an event is where the cut went through
            for name, payload in self._lines.rest():
                yield from self._said(name, payload)
        except ProtocolError:
            if not self._lines.seen:
                raise
        if self._has_ended:
            return
        if not self._lines.has_begun:
            raise wrong(self._target, "sent an empty reply")
        yield from self.end_answer()

    def _said(self, name: bytes, payload: bytes) -> Sequence[Event]:
        if not payload.strip():
            if name == b"error":
                self.fail(None)
            return ()  # any other event without data is none
        try:
            event = parse(payload)
        except NotJsonError:
            event = None
        if type(event) is not dict:
            if payload[:6] == b"[DONE]":
                return self.end_mark()
            raise wrong(self._target, "sent an event that is not what this wire speaks")
        if name == b"error" or event.get("type") == "error" or event.get("error"):
            self.fail(event.get("error") or event)
        events = self.read(event)
        for said in events:
            if type(said) is Text:
                self._delivered += len(said.text)
        return events
