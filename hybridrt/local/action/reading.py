"""From what the model said to an action with its arguments: the spans become values, and code does the arithmetic."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from hybridrt.local.action.arithmetic import read_sum, value_of
from hybridrt.local.action.contact import find, read_email, read_phone
from hybridrt.local.action.fold import Folded
from hybridrt.local.action.moment import Clock, read_clock, read_day, read_duration, read_part
from hybridrt.local.action.number import read_number, shown
from hybridrt.local.action.quantity import convert, read_level, read_temperature, read_unit
from hybridrt.local.action.table import ACTIONS, ESCALATE, LABELS
from hybridrt.sealed import Sealed

_MARK = re.compile("\u27e6([^\u27e6\u27e7]+)\u27e7")


@dataclass(frozen=True, slots=True, repr=False)
class Parse(Sealed):
    """What the model said: an action, and for each slot the words of the folded request."""

    action: str
    slots: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, repr=False)
class Outcome(Sealed):
    """An action with its arguments in normal form, and its result where no application is needed for it."""

    name: str
    arguments: Mapping[str, Any]
    result: Any = None


def parse(said: str) -> Parse | None:
    """Read what the model said; none where it is no action of the table."""
    pieces = _MARK.split(said)
    if len(pieces) < 3 or pieces[0] or pieces[1] not in ACTIONS or pieces[2]:
        return None
    slots: dict[str, str] = {}
    waiting = None
    for mark, text in zip(pieces[3::2], pieces[4::2], strict=True):
        if mark.endswith(":"):
            waiting = mark[:-1]
            slots[waiting] = text.strip()
        elif mark.startswith("=") and waiting is not None and not text:
            slots[waiting] = mark[1:]
        else:
            return None
    allowed = {slot.name: slot for slot in ACTIONS[pieces[1]].slots}
    if (
        not set(slots) <= set(allowed)
        or not all(slots.values())
        or any(slot.is_required and slot.name not in slots for slot in allowed.values())
    ):
        return None
    return Parse(pieces[1], slots)


def outcome(found: Parse, folded: Folded, now: datetime) -> Outcome | None:
    """Turn a parse into an action; none where its words do not make one, and the request then escalates."""
    return _MAKERS[found.action](_Reader(found.slots, folded, now))


class _Reader:
    """The slots of one parse, as the words of the request and as values."""

    def __init__(self, slots: Mapping[str, str], folded: Folded, now: datetime) -> None:
        self.slots, self.folded, self.now = slots, folded, now

    def words(self, slot: str) -> str | None:
        """The words as written, without surrounding quotes or a full stop."""
        said = self.slots.get(slot)
        if said is None:
            return None
        at = self.place(said)
        text = said if at < 0 else self.folded.original(at, at + len(said))
        return _bare(text) or None

    def place(self, said: str) -> int:
        """Where the words stand in the folded text, as whole words where they do."""
        match = re.search(rf"(?<!\w){re.escape(said)}(?!\w)", self.folded.text)
        return match.start() if match else self.folded.text.find(said)

    def value(self, slot: str, read: Callable[[str], Any]) -> Any:
        """A value, or none where the slot is empty."""
        said = self.slots.get(slot)
        return None if said is None else read(said)

    def day(self) -> str | None:
        """The day."""
        return self.value("day", lambda text: read_day(text, self.now.date()))  # type: ignore[no-any-return]

    def clock(self, *, afternoon: bool) -> str | None:
        """The time, with the part of the day that was named beside it."""
        found: Clock | None = self.value("time", read_clock)
        if found is None:
            return None
        beside = self.slots.get("day", "")
        return found.settled(read_part(beside) or self._nearby(), afternoon=afternoon)

    def _nearby(self) -> str | None:
        said = self.slots["time"]
        at = self.place(said)
        return read_part(self.folded.text[at + len(said) : at + len(said) + 20]) if at >= 0 else None


def _bare(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] in "\"'\u201c\u2018" and text[-1] in "\"'\u201d\u2019":
        text = text[1:-1].strip()
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    return text.strip()


def _told(action: str, /, **arguments: Any) -> Outcome:
    return Outcome(action, {key: value for key, value in arguments.items() if value is not None})


def _timer_set(r: _Reader) -> Outcome | None:
    seconds = r.value("duration", read_duration)
    return None if seconds is None else _told("timer.set", duration_s=seconds, label=r.words("label"))


def _alarm_set(r: _Reader) -> Outcome | None:
    time = r.clock(afternoon=False)
    return None if time is None else _told("alarm.set", time=time, day=r.day())


def _reminder_add(r: _Reader) -> Outcome | None:
    text = r.words("text")
    return (
        None
        if text is None
        else _told("reminder.add", text=text, time=r.clock(afternoon=True), day=r.day(), in_s=r.value("in", read_duration))
    )


def _list_add(r: _Reader) -> Outcome | None:
    item = r.words("item")
    return None if item is None else _told("list.add", item=item, list=r.words("list") or "shopping")


def _message_send(r: _Reader) -> Outcome | None:
    to, text = r.words("to"), r.words("text")
    return None if to is None or text is None else _told("message.send", to=to, text=text)


def _contact_add(r: _Reader) -> Outcome | None:
    name = r.words("name")
    phone, email = r.words("phone"), r.words("email")
    if name is None or (phone is not None and read_phone(phone) is None) or (email is not None and read_email(email) is None):
        return None
    return _told("contact.add", name=name, phone=phone, email=email)


def _event_add(r: _Reader) -> Outcome | None:
    title = r.words("title")
    if title is None:
        return None
    # `with` is a word of Python and no name of an argument there.
    return _told("event.add", title=title, day=r.day(), time=r.clock(afternoon=True), **{"with": r.words("with")})


def _device_set(r: _Reader) -> Outcome | None:
    device, level = r.words("device"), r.value("level", read_level)
    if device is None or (level is None and "state" not in r.slots):
        return None  # nothing to do with it
    return _told("device.set", device=device, state=r.slots.get("state"), level=level)


def _thermostat_set(r: _Reader) -> Outcome | None:
    found = r.value("temperature", read_temperature)
    return None if found is None else Outcome("thermostat.set", {found[0]: found[1]})


def _convert(r: _Reader) -> Outcome | None:
    value, unit, other = r.value("value", read_number), r.value("from", read_unit), r.value("unit_to", read_unit)
    if value is None or unit is None or other is None or unit == other:
        return None
    said = r.slots["value"]
    at = r.place(said)
    if at > 0 and r.folded.text[at - 1] == "-" and (at == 1 or r.folded.text[at - 2] == " "):
        value = -value
    result = convert(value, unit, other)
    return None if result is None else Outcome("convert", {"value": shown(value), "from": unit, "to": other}, shown(result))


def _calculate(r: _Reader) -> Outcome | None:
    said = r.slots["expression"]
    at = r.place(said)
    expression = read_sum(said, r.folded.text[:at] if at > 0 else "")
    value = value_of(expression) if expression is not None else None
    return None if value is None else Outcome("calculate", {"expression": expression}, value)


def _classify(r: _Reader) -> Outcome | None:
    task, text, label = r.slots["task"], r.words("text"), r.slots["label"]
    if text is None or label not in LABELS[task]:
        return None
    return Outcome("classify", {"task": task, "text": text}, {"label": label})


def _extract(r: _Reader) -> Outcome | None:
    kind, text = r.slots["field"], r.words("text")
    return None if text is None else Outcome("extract", {"field": kind, "text": text}, {"values": find(kind, text, r.now.date())})


def _one(name: str, slot: str, argument: str | None = None) -> Callable[[_Reader], Outcome | None]:
    def make(r: _Reader) -> Outcome | None:
        words = r.words(slot)
        return None if words is None else Outcome(name, {argument or slot: words})

    return make


_MAKERS: dict[str, Callable[[_Reader], Outcome | None]] = {
    "timer.set": _timer_set,
    "timer.cancel": lambda r: _told("timer.cancel", label=r.words("label")),
    "alarm.set": _alarm_set,
    "reminder.add": _reminder_add,
    "note.add": _one("note.add", "text"),
    "list.add": _list_add,
    "message.send": _message_send,
    "call.start": _one("call.start", "to"),
    "contact.add": _contact_add,
    "event.add": _event_add,
    "device.set": _device_set,
    "thermostat.set": _thermostat_set,
    "media.play": _one("media.play", "query"),
    "media.control": lambda r: Outcome("media.control", {"command": r.slots["command"]}),
    "app.open": _one("app.open", "app"),
    "navigate.to": _one("navigate.to", "place"),
    "time.get": lambda r: Outcome("time.get", {}, f"{r.now:%H:%M}"),
    "date.get": lambda r: Outcome("date.get", {}, f"{r.now:%Y-%m-%d}"),
    "battery.get": lambda _: Outcome("battery.get", {}),
    "weather.get": lambda r: _told("weather.get", place=r.words("place"), day=r.day()),
    "convert": _convert,
    "calculate": _calculate,
    "classify": _classify,
    "extract": _extract,
    ESCALATE: lambda _: None,
}
