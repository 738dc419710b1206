"""Requests of real people, from two public sets, as what not to take and as actions without arguments.

The texts stay outside of the repository: CLINC150 `clinc/oos-eval` (CC-BY-3.0) and SNIPS `sonos/nlu-benchmark` (CC0-1.0), as JSON lines
with `source`, `label` and `prompt`. Training works without them.
"""

# ruff: noqa: E501 - patterns and lists are read across
from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

from training.factory_llm.generate import Row

# Intents that are neither clearly out of the table nor clearly one of its actions.
_UNCLEAR = frozenset(
    [
        "reminder",
        "calendar",
        "calendar_update",
        "schedule_meeting",
        "directions",
        "smart_home",
        "change_volume",
        "calculator",
        "measurement_conversion",
        "text",
        "timer",
        "alarm",
        "reminder_update",
        "todo_list_update",
        "shopping_list_update",
        "make_call",
        "play_music",
        "next_song",
        "time",
        "date",
        "weather",
        "GetWeather",
        "PlayMusic",
        "code",
        "current_location",
        "share_location",
        "how_busy",
        "oil_change_when",
    ]
)
# Words that speak of an action of the table: such a text may be one although its intent is not.
_TABLE = re.compile(
    r"\b(batter|contact|note|open|launch|navigat|turn o|light|lamp|alarm|timer|remind|list|volume|thermostat|heat|degrees|call|text|message|calendar|convert|miles|music|song|mute|weather|directions)",
    re.IGNORECASE,
)
_ACTIONS = {
    "timer": (
        "timer.set",
        r"\d|\b(one|two|three|five|ten|fifteen|twenty|thirty|forty|hour|half)\b",
        r"left|remaining|cancel|stop|done|how (much|long)|change",
    ),
    "alarm": ("alarm.set", r"\d|\b(six|seven|eight|nine|five|ten|noon)\b", r"another|cancel|delete|off|every|two alarms|snooze| both "),
    "reminder_update": ("reminder.add", r"remind", r"delete|remove|cancel|another|my reminders"),
    "shopping_list_update": ("list.add", r"\b(add|put|include)\b", r"remove|delete|off|don't|already|clear|take|erase|new list"),
    "todo_list_update": ("list.add", r"\b(add|put|include)\b", r"remove|delete|off|don't|clear|take|erase|new list"),
    "make_call": ("call.start", r"\b(call|phone|dial|ring)\b", r"\b(and|someone|later|a call)\b"),
    "play_music": ("media.play", r"\bplay|put on|hear", r"shuffle|add|what|queue"),
    "next_song": ("media.control", r"next|skip|change", r"add|what|previous"),
    "time": ("time.get", r"time", r"\b(in|zone|for)\b"),
    "date": ("date.get", r"date|day", r"\b(in|from|for)\b|tomorrow"),
    "weather": ("weather.get", r"weather|rain|snow|forecast|temperature|hot|cold|umbrella", r"humidity|wind"),
    "GetWeather": ("weather.get", r"weather|rain|snow|forecast|temperature|hot|cold|storm|cloud|sunny|warm", r"humidity|wind"),
    "PlayMusic": ("media.play", r"\bplay|put on|hear|listen", r"\badd\b|shuffle"),
}


def read(path: Path) -> tuple[list[Row], list[Row]]:
    """Return rows to learn from, and a tenth to look at; rows of an action carry no arguments."""
    learn: list[Row] = []
    look: list[Row] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line:
            continue
        entry = json.loads(line)
        row = _row(entry["prompt"], entry["label"])
        if row is not None:
            (look if zlib.crc32(row.text.encode()) % 10 == 0 else learn).append(row)
    return learn, look


def _row(prompt: str, label: str) -> Row | None:
    text = " ".join(prompt.split())[:200]
    if not text:
        return None
    if (known := _ACTIONS.get(label)) is not None:
        action, needs, refuses = known
        is_sure = re.search(needs, text, re.IGNORECASE) and not re.search(refuses, text, re.IGNORECASE)
        return Row(text, action, {}, f"public/{label}") if is_sure else None
    if label in _UNCLEAR or (
        label in ("oos", "SearchCreativeWork") and (_TABLE.search(text) or re.search(r"\bplay|hear|listen|put on", text, re.IGNORECASE))
    ):
        return None
    return Row(text, "escalate", {}, f"public/{label}")
