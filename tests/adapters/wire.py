"""What adapter tests share: calls, and reading a reply whole or cut anywhere."""

from __future__ import annotations

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import TargetError
from hybridrt.request import Message, Text
from hybridrt.target import Place, Target
from hybridrt.wire import ReplyHead

TARGET = Target("acme-eu", Place.CLOUD, "model-9", adapter="openai", endpoint="https://api.example.com/v1")
SSE = ReplyHead(200, {"content-type": "text/event-stream; charset=utf-8"})
JSON = ReplyHead(200, {"content-type": "application/json"})


def a_call(*messages, **options):
    messages = messages or (Message("user", (Text("hello"),)),)
    return Call(target=TARGET, messages=tuple(messages), deadline=Deadline(0.0, None), **options)


def read(adapter, call, head, pieces):
    """The events and the error, if any, of a reply that comes in these pieces."""
    events = []
    try:
        decoder = adapter.decoder(call, head)
        for piece in pieces:
            events.extend(iter_safely(decoder.feed(piece), events))
        events.extend(iter_safely(decoder.end(), events))
    except TargetError as error:
        return events, error
    return events, None


def iter_safely(produced, events):
    """Keep what came before an error."""
    for event in produced:
        events.append(event)
    return ()


def shown(result):
    """Events and error as plain values, for comparing."""
    events, error = result
    return [as_tuple(event) for event in joined(events)], error and (
        type(error).__name__,
        str(error),
        {k: v for k, v in vars(error).items() if k != "__notes__"},
    )


def as_tuple(event):
    return (type(event).__name__, *(getattr(event, name) for name in event.__dataclass_fields__))


def joined(events):
    return events


def every_cut(data):
    """The same bytes one by one, and in two pieces at every place."""
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(len(data) + 1):
        yield [data[:at], data[at:]]
