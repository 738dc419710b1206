"""The actions there are, and what each one needs to know: the contract of the factory language model."""

from __future__ import annotations

from dataclasses import dataclass

ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that a request may fill: with words of its own of some `kind`, or with one of a few `words`."""

    name: str
    kind: str = "text"
    is_required: bool = True
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One action, with its slots in the order in which the model says them."""

    name: str
    slots: tuple[Slot, ...] = ()


def _maybe(name: str, kind: str = "text") -> Slot:
    return Slot(name, kind, is_required=False)


COMMANDS = ("pause", "resume", "next", "previous", "volume_up", "volume_down", "mute")
TASKS = ("sentiment", "urgency")
LABELS = {"sentiment": ("positive", "negative", "neutral"), "urgency": ("urgent", "not_urgent")}
FIELDS = ("email", "phone", "date", "amount", "url", "order_id")

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action("timer.set", (Slot("duration", "duration"), _maybe("label"))),
        Action("timer.cancel", (_maybe("label"),)),
        Action("alarm.set", (Slot("time", "clock"), _maybe("day", "day"))),
        Action("reminder.add", (Slot("text"), _maybe("time", "clock"), _maybe("day", "day"), _maybe("in", "duration"))),
        Action("note.add", (Slot("text"),)),
        Action("list.add", (Slot("item"), _maybe("list"))),
        Action("message.send", (Slot("to"), Slot("text"))),
        Action("call.start", (Slot("to"),)),
        Action("contact.add", (Slot("name"), _maybe("phone", "phone"), _maybe("email", "email"))),
        Action("event.add", (Slot("title"), _maybe("day", "day"), _maybe("time", "clock"), _maybe("with"))),
        Action("device.set", (Slot("device"), Slot("state", is_required=False, words=("on", "off")), _maybe("level", "level"))),
        Action("thermostat.set", (Slot("temperature", "temperature"),)),
        Action("media.play", (Slot("query"),)),
        Action("media.control", (Slot("command", words=COMMANDS),)),
        Action("app.open", (Slot("app"),)),
        Action("navigate.to", (Slot("place"),)),
        Action("time.get"),
        Action("date.get"),
        Action("battery.get"),
        Action("weather.get", (_maybe("place"), _maybe("day", "day"))),
        Action("convert", (Slot("value", "number"), Slot("from", "unit"), Slot("unit_to", "unit"))),
        Action("calculate", (Slot("expression", "sum"),)),
        Action(
            "classify",
            (Slot("task", words=TASKS), Slot("text"), Slot("label", words=tuple(word for words in LABELS.values() for word in words))),
        ),
        Action("extract", (Slot("field", words=FIELDS), Slot("text"))),
        Action(ESCALATE),
    )
}


def action_mark(name: str) -> str:
    """Return the word by which the model says an action."""
    return f"\u27e6{name}\u27e7"


def slot_mark(name: str) -> str:
    """Return the word by which the model begins a slot."""
    return f"\u27e6{name}:\u27e7"


def word_mark(word: str) -> str:
    """Return the word by which the model says one of a few."""
    return f"\u27e6={word}\u27e7"
