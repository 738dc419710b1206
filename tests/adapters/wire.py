"""What adapter tests share: calls, heads of replies, and an outcome as plain values."""

from __future__ import annotations

import json

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.request import Message, Text
from hybridrt.target import Place, Target
from hybridrt.testing.outcome import joined
from hybridrt.wire import ReplyHead

TARGET = Target("acme-eu", Place.CLOUD, "model-9", adapter="openai", endpoint="https://api.example.com/v1")
SSE = ReplyHead(200, {"content-type": "text/event-stream; charset=utf-8"})
JSON = ReplyHead(200, {"content-type": "application/json"})


def a_call(*messages, **options):
    messages = messages or (Message("user", (Text("hello"),)),)
    return Call(target=TARGET, messages=tuple(messages), deadline=Deadline(0.0, None), **options)


def plain(outcome):
    """Events and error of a reply as plain values: what must be the same however the bytes were cut."""
    events, error = outcome
    if error is None:
        return joined(events), None
    said = {name: value for name, value in vars(error).items() if name != "__notes__"}
    return joined(events), (type(error), str(error), said)


def event(value):
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def delta(finish=None, **fields):
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


DONE = b"data: [DONE]\n\n"
