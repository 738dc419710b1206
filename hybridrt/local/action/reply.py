"""The sentence that says what was understood. Its words are ours and its values those of the action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hybridrt.local.action.quantity import NAMES
from hybridrt.local.action.reading import Outcome


def reply(found: Outcome) -> str:
    """Return one sentence about an action."""
    return _SENTENCES[found.name](found.arguments, found.result)


def duration(seconds: int) -> str:
    """Return a duration in words: "1 hour 30 minutes"."""
    parts = []
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(parts)


def _when(a: Mapping[str, Any]) -> str:
    day = a.get("day", "")
    shown = day.capitalize() if day and day not in ("today", "tomorrow") else day
    return "".join(
        (
            f" {'on ' if day not in ('today', 'tomorrow') else ''}{shown}" if day else "",
            f" at {a['time']}" if "time" in a else "",
            f" in {duration(a['in_s'])}" if "in_s" in a else "",
        )
    )


def _device(a: Mapping[str, Any]) -> str:
    to = [word for word in (a.get("state"), f"{a['level']} %" if "level" in a else None) if word]
    return f"{a['device']}: {', '.join(to)}."


def _thermostat(a: Mapping[str, Any]) -> str:
    return f"Heating to {a['celsius']} \u00b0C." if "celsius" in a else f"Heating to {a['fahrenheit']} \u00b0F."


def _number(value: float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


_COMMANDS = {
    "pause": "Paused.",
    "resume": "Going on.",
    "next": "Next one.",
    "previous": "The one before.",
    "volume_up": "Louder.",
    "volume_down": "Quieter.",
    "mute": "Muted.",
}
_FIELDS = {
    "email": "e-mail address",
    "phone": "phone number",
    "date": "date",
    "amount": "amount",
    "url": "web address",
    "order_id": "order number",
}


def _extracted(a: Mapping[str, Any], result: Any) -> str:
    values = result["values"]
    return f"{_FIELDS[a['field']].capitalize()}: {', '.join(values)}." if values else f"There is no {_FIELDS[a['field']]} in it."


_SENTENCES: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "timer.set": lambda a, _: f"Timer{' for ' + a['label'] if 'label' in a else ''}: {duration(a['duration_s'])}.",
    "timer.cancel": lambda a, _: f"Timer for {a['label']} cancelled." if "label" in a else "Timer cancelled.",
    "alarm.set": lambda a, _: f"Alarm{_when(a)}.",
    "reminder.add": lambda a, _: f"Reminder{_when(a)}: {a['text']}.",
    "note.add": lambda a, _: f"Noted: {a['text']}.",
    "list.add": lambda a, _: f"Added to the {a['list']} list: {a['item']}.",
    "message.send": lambda a, _: f"Message to {a['to']}: {a['text']}",
    "call.start": lambda a, _: f"Calling {a['to']}.",
    "contact.add": lambda a, _: f"Contact: {', '.join(a[key] for key in ('name', 'phone', 'email') if key in a)}.",
    "event.add": lambda a, _: f"In the calendar: {a['title']}{' with ' + a['with'] if 'with' in a else ''}{_when(a)}.",
    "device.set": lambda a, _: _device(a),
    "thermostat.set": lambda a, _: _thermostat(a),
    "media.play": lambda a, _: f"Playing {a['query']}.",
    "media.control": lambda a, _: _COMMANDS[a["command"]],
    "app.open": lambda a, _: f"Opening {a['app']}.",
    "navigate.to": lambda a, _: f"On the way to {a['place']}.",
    "time.get": lambda _, result: f"It is {result}.",
    "date.get": lambda _, result: f"It is {result}.",
    "battery.get": lambda *_: "Looking at the battery.",
    "weather.get": lambda a, _: f"Looking up the weather{' in ' + a['place'] if 'place' in a else ''}{_when(a)}.",
    "convert": lambda a, result: f"{_number(a['value'])} {NAMES[a['from']]} are {_number(result)} {NAMES[a['to']]}.",
    "calculate": lambda a, result: f"{a['expression']} = {_number(result)}.",
    "classify": lambda _, result: f"{result['label'].replace('_', ' ').capitalize()}.",
    "extract": _extracted,
}
