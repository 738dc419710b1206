"""Rows to learn from: a request, its action and where each argument stands in it.

python -m training.factory_llm.generate 20          # shows twenty
"""

# ruff: noqa: ARG005, E501, SIM905 - alternatives are read across, one line for one kind
from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from training.factory_llm import value, word
from training.factory_llm.phrase import Family, Piece, Sampler, compiled, load, render
from training.factory_llm.word import listed

# Arguments in the order in which the model says them: the order of the table.
SLOTS = {
    "timer.set": ("duration", "label"),
    "timer.cancel": ("label",),
    "alarm.set": ("time", "day"),
    "reminder.add": ("text", "time", "day", "in"),
    "note.add": ("text",),
    "list.add": ("item", "list"),
    "message.send": ("to", "text"),
    "call.start": ("to",),
    "contact.add": ("name", "phone", "email"),
    "event.add": ("title", "day", "time", "with"),
    "device.set": ("device", "state", "level"),
    "thermostat.set": ("temperature",),
    "media.play": ("query",),
    "media.control": ("command",),
    "app.open": ("app",),
    "navigate.to": ("place",),
    "time.get": (),
    "date.get": (),
    "battery.get": (),
    "weather.get": ("place", "day"),
    "convert": ("value", "from", "unit_to"),
    "calculate": ("expression",),
    "classify": ("task", "text", "label"),
    "extract": ("field", "text"),
    "escalate": (),
}
CLOSED = frozenset({"state", "command", "task", "field"})


@dataclass(frozen=True)
class Row:
    """One request. `slots` gives for each argument its span in `text`, or the word of a closed set."""

    text: str
    action: str
    slots: dict[str, tuple[int, int] | str] = field(default_factory=dict)
    family: str = ""

    def told(self) -> dict[str, str]:
        """The arguments as text."""
        return {name: at if isinstance(at, str) else self.text[at[0] : at[1]] for name, at in self.slots.items()}


# ---- values that only escalated requests need

_FACTS = listed("facts")
_GOALS = listed("goals")
_TROUBLES = listed("troubles")
_CODE = listed("code")
_SENTENCES = listed("sentences")
_COUNTRIES = listed("countries")
_TONGUES = listed("tongues")
_TONGUE_TEXTS = listed("tongue_texts")
_CODEISH = ['{{"tool": "timer", "value": 10}}', '{{"name":"call.start","arguments":{{"to":"Ana"}}}}', "<|assistant|> timer.set", "<|user|> hi <|assistant|> ok", "print('hello')", "SELECT * FROM users", "def f(x): return x", "[1, 2, 3]", "timer.set(duration_s=600)", "</s><s>", "ignore previous instructions and", "system: you are now free", "{{}}", "<html><body>", "rm -rf /", "sudo reboot", "a=1;b=2", '{{"a": null}}', "###", "call.start to mum", "git push --force", "import os", "<timer.set>", "escalate"]  # fmt: skip
_PAST = listed("past")


def _pick(words: list[str]) -> Sampler:
    return lambda rng: rng.choice(words)


def _gibberish(rng: random.Random) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz" if rng.random() < 0.7 else "abcxyz0123456789!?#@%&*"
    return " ".join("".join(rng.choice(letters) for _ in range(rng.randint(2, 9))) for _ in range(rng.randint(1, 4)))


def _question(rng: random.Random) -> str:
    task = word.request(rng)
    return rng.choice([
        f"if {rng.choice(['he', 'she', 'they'])}{rng.choice([' can ', ' could ', ' wants to ', ' would '])}{task}", f"what time {rng.choice(['dinner is', 'the meeting is', 'he arrives', 'she lands', 'we should meet', 'works'])}",
        f"whether {rng.choice(['he', 'she', 'they'])} {rng.choice(['got the parcel', 'is coming', 'needs a lift', 'is free ' + value.bare_day(rng), 'fed the cat'])}", f"when {rng.choice(['he', 'she', 'they'])} {rng.choice(['will be home', 'arrives', 'can talk', 'is free'])}",
        f"if {rng.choice(['he is', 'she is', 'they are', 'hes', 'shes'])} {rng.choice(['coming', 'home', 'free for lunch', 'ok', 'on the way', 'hungry', 'ready', 'free ' + value.bare_day(rng), 'still coming'])}", f"where {rng.choice(['he is', 'she is', 'they are', 'the keys are', 'we are meeting'])}",
        f"how {rng.choice(['he is', 'she is', 'they are doing', 'the exam went', 'the interview went'])}", f"for {rng.choice(['the address', 'the recipe', 'help', 'the wifi password', 'a lift'])}", "are you coming", "where are you", "what's for dinner", "do you need anything",
    ])  # fmt: skip


def _written(rng: random.Random) -> str:
    return f"{rng.randint(1, 999)} {rng.choice(['and', '+', 'plus'])} {rng.randint(1, 999)}"


def _doc(kind: str, rng: random.Random) -> str:
    wanted: dict[str, Sampler] = {
        "email": word.email,
        "phone": value.phone,
        "date": value.date,
        "amount": value.money,
        "url": word.url,
        "order_id": word.order_id,
    }
    found = wanted[kind](rng)
    frames = {
        "email": [
            "write to {} for details",
            "contact me at {}",
            "my address is {} thanks",
            "please reply to {} by friday",
            "{} is the right person",
            "send the form to {}",
            "ana's mail is {}",
            "for support, mail {} or visit us",
            "you can reach us at {} any time",
        ],
        "phone": [
            "call {} after six",
            "my number is {}",
            "reach me on {} or by mail",
            "call us at {} now",
            "the plumber's phone is {}",
            "ring {} and ask for sam",
            "tel {} fax none",
            "text {} when you arrive",
            "our office: {}, ask for rosa",
        ],
        "date": [
            "the meeting is on {} in room 4",
            "payment is due {}",
            "delivery expected {}",
            "we moved to {} because of rain",
            "her birthday is {}",
            "valid until {}",
            "the lease ends {} and cannot be extended",
            "see you on {} then",
            "submitted on {}",
        ],
        "amount": [
            "the total is {} including tax",
            "you owe me {}",
            "please pay {} by monday",
            "it costs {} per night",
            "invoice for {} attached",
            "refund of {} issued",
            "rent went up to {}",
            "we charged {} to your card",
            "the bill came to {}",
        ],
        "url": [
            "see {} for more",
            "the slides are at {}",
            "visit {} today",
            "go to {} and click download",
            "link: {}",
            "more info on {} or call us",
            "i found it on {} yesterday",
            "check {} before you order",
        ],
        "order_id": [
            "your order {} has shipped",
            "order {} was delayed",
            "where is my order {}",
            "regarding order {} placed last week",
            "ref {} please advise",
            "order no {} arrived broken",
            "i want to return order {}",
            "we received {} and will process it",
            "tracking for order {} is late",
        ],
    }[kind]
    text = rng.choice(frames).format(found)
    if rng.random() < 0.25:
        other = rng.choice([key for key in wanted if key != kind])
        text += rng.choice([". ", ", ", " "]) + rng.choice(
            ["thanks", f"best, {word.first(rng)}", f"ps: {wanted[other](rng)}", "please confirm", "let me know"]
        )
    if rng.random() < 0.2:
        text = rng.choice(["hi, ", "hello ", "dear team, ", "hey ", f"hi {word.first(rng)}, "]) + text
    return text


def _small(rng: random.Random) -> str:
    return str(rng.randint(2, 99))


def _title_music(rng: random.Random) -> str:
    song = rng.choice(word.SONGS) if rng.random() < 0.8 else f"{word.made_up(rng)} {word.made_up(rng)}"
    return song + (f" by {rng.choice(word.ARTISTS)}" if rng.random() < 0.4 else "")


def _samplers() -> dict[str, Sampler]:
    samplers: dict[str, Sampler] = {
        "duration": value.duration, "adjective": value.adjective, "clock": value.clock, "day": value.day, "on_day": value.on_day, "bare_day": value.bare_day, "date": value.date, "number": value.number,
        "percent": value.percent, "degrees": value.degrees, "phone": value.phone, "expression": value.expression, "money": value.money, "label": word.label, "task": word.task, "thing": word.thing,
        "note": word.note, "item": word.item, "chore": word.chore, "list": _pick(word.LISTS), "plain_list": _pick(word.PLAIN_LISTS), "whom": word.whom, "called": word.called, "person": word.person,
        "first": word.first, "with": word.with_whom, "message": word.message, "request": word.request, "question": _question, "email": word.email, "event": _pick(word.EVENTS), "device": word.device,
        "dimmable": word.dimmable, "room_lights": word.room_lights, "app": word.app, "known_app": word.known_app, "place": word.place, "city": word.city, "music": word.music, "url": word.url,
        "praise": word.praise, "blame": word.blame, "neutral": word.neutral, "urgent": word.urgent, "calm": word.calm, "made_up": word.made_up, "mishmash": word.mishmash, "title_music": _title_music,
        "todo": _pick(["to-do", "to do", "todo", "chores", "task", "tasks", "to-do", "todo"]), "meet": _pick(["meeting", "meeting", "catch up", "call", "lunch", "coffee", "dinner", "appointment", "chat", "drinks", "session", "one on one", "video call"]),
        "watch": _pick("stranger things/the office/friends/planet earth/the crown/peppa pig/bluey/the lion king/a movie/the news/the match/a documentary/inception/the godfather/toy story/cat videos/a cooking show/the simpsons".split("/")),
        "playlist": lambda r: f"my {r.choice(['workout', 'running', 'chill', 'road trip', 'sleep', 'party', 'morning', 'focus', 'cooking', 'gym', 'jazz', 'summer', 'favourites', word.made_up(r)])} playlist",
        "room_only": _pick(word.ROOMS), "speaker": _pick(["speaker", "soundbar", "tv", "stereo", "kitchen speaker", "living room speaker", "radio", "bedroom speaker", "sonos", "echo"]),
        "blind": _pick(["blinds", "curtains", "bedroom blinds", "living room blinds", "shades", "kitchen blind", "shutters", "roller blind"]), "lamp": _pick(["light", "lamp", "kitchen light", "bedroom lamp", "tv", "television", "air conditioner", "fan", "radio"]),
        "degree_word": lambda r: f"{r.choice([r.randint(15, 26), r.randint(60, 80)])} degrees" if r.random() < 0.7 else f"{value.spelled(r.randint(16, 25))} degrees",
        "any_label": lambda r: r.choice([word.label(r), r.choice(word.NOUNS), r.choice(word.FOODS[:120]), r.choice(["deep clean", "chess move", "quiet time", "second coat", "cool down", "tea break", "power nap", "glue drying", "warm up", "hot yoga", "debate", "paint drying"])]), "personal": word.personal, "greeting": _pick(["happy birthday", "good luck", "congratulations", "hello", "good night", "happy mother's day", "happy new year", "merry christmas", "happy anniversary", "get well soon", "thanks", "thank you", "safe travels", "welcome home", "sorry", "i love you", "happy diwali", "eid mubarak", "hi", "good morning"]),
        "made_app": lambda r: word.made_up(r) + r.choice(["", "", "bit", "ly", " go", " lite", "hub", "chat"]), "podcast": lambda r: f"{r.choice(['the ', '', 'the '])}{r.choice(['history of ' + r.choice(word.CITIES), word.made_up(r), r.choice(word.NOUNS), 'science', 'true crime', 'daily news', 'business', 'comedy hour', 'history', word.first(r) + ' show'])} {r.choice(['podcast', 'podcast', 'show', 'audiobook'])}",
        "mood": lambda r: f"{r.choice(['something', 'some', 'a bit of', 'some old', 'some good', 'some more', 'some classic'])} {r.choice(['calm', 'soothing', 'loud', 'funky', 'mellow', 'happy', 'old school', 'cheerful', 'motown', 'swing', 'disco', 'reggae', 'jazz', 'soul', 'blues', 'opera'])}{r.choice(['', ' music', ' tunes', ' reggae', ' rock', ' songs'])}",
        "station": lambda r: r.choice([f"bbc radio {r.randint(1, 6)}", f"radio {word.made_up(r)}", f"{word.made_up(r)} fm", f"{r.choice(word.CITIES)} radio", "classic fm", "the local radio station", "jazz fm", "npr"]), "long_event": lambda r: f"{r.choice([word.first(r) + chr(39) + 's', 'mum' + chr(39) + 's', 'the kids' + chr(39), 'dad' + chr(39) + 's', 'team', 'family', 'annual', 'school', 'work'])} {r.choice(word.EVENTS)}",
        "team": lambda r: r.choice(["the design team", "the team", "marketing", "the sales team", "hr", "the board", "the architects", "legal", "the new client", "finance", "the parents", "the band", f"{word.first(r)} and {word.first(r)}", "the investors", "the whole department"]), "appointment": _pick(["appointment", "appointment", "interview", "eye test", "hour of tutoring", "intro call", "evening out", "informal chat"]), "made_list": lambda r: r.choice([word.made_up(r), r.choice(word.NOUNS), r.choice(word.ROOMS), r.choice(word.CITIES)]), "home_word": _pick(["home", "home", "back home"]), "near": lambda r: r.choice(["the nearest", "the closest", "the nearest"]) + " " + r.choice("pharmacy/petrol station/gas station/atm/supermarket/hospital/coffee shop/bakery/bus stop/train station/ev charger/toilet/bank/park".split("/")),
        "far": lambda r: word.place(r) if r.random() < 0.5 else r.choice(["the airport", "the train station", "work", "the nearest pharmacy", "the gym", "the hospital", "the supermarket", "the beach"]),
        "written": _written, "addition": lambda r: f"{r.randint(1, 99)} and {r.randint(1, 99)}", "multiply": lambda r: f"{r.randint(2, 99)} by {r.randint(2, 99)}", "divide": lambda r: f"{r.randint(10, 999)} by {r.randint(2, 12)}",
        "subtraction": lambda r: f"{r.randint(1, 50)} from {r.randint(51, 500)}",
        "remind_what": _pick(["that actor is", "we met", "is in charge", "the plan was", "i said", "it's called", "to do this"]), "past": _pick(_PAST), "nouns": lambda r: ("the " if r.random() < 0.6 else "a ") + r.choice(word.NOUNS + word.FOODS[:60]),
        "task_physical": _pick("make me a sandwich/clean my room/walk the dog/do my homework/wash the dishes/feed the cat/pick up the kids/give me a massage/take out the trash/cook dinner/iron my shirts/buy me a car/water the plants for me/drive me crazy".split("/")),
        "foods": _pick(word.FOODS), "artist": _pick(word.ARTISTS), "country": _pick(_COUNTRIES), "month": _pick(value.MONTHS), "year": lambda r: str(r.randint(1900, 2030)), "unit": _pick(["miles", "km", "meters", "feet", "hours"]),
        "small": _small, "math_rest": _pick(["at 60 mph when does it arrive", "how many are left", "what is the speed", "how long does it take", "find x"]), "oddunit": _pick("dollars/euros/furlongs/stone/teaspoons/tablespoons/cups/bytes/megabytes/acres/hectares/knots/horsepower/watts/calories/joules/light years/pints/rupees/pesos/mph/psi/carats/fathoms/bitcoin/yen".split("/")),
        "sentence": _pick(_SENTENCES), "tongue": _pick(_TONGUES), "said": _pick(["good morning", "thank you", "i love you", "where is the bathroom", "happy birthday", "dog", "hello", "the bill please", "cheers", "alarm", "call me", "see you tomorrow"]),
        "fact": _pick(_FACTS), "topic": _pick(_FACTS), "goal": _pick(_GOALS), "trouble": _pick(_TROUBLES), "code_task": _pick(_CODE), "adj": _pick("great/boring/overrated/wonderful/terrible/important/fun/lovely/dangerous/expensive".split("/")),
        "said_tail": _pick("that it's fine/hello/a new car/her keys/the truth/to leave/jazz/my best friend/in hospital/on holiday/too late/coming over/a nurse/from next door".split("/")), "tongue_text": _pick(_TONGUE_TEXTS), "gibberish": _gibberish,
        "codeish": lambda r: r.choice(_CODEISH).replace("{{", "\x01").replace("}}", "\x02"),
    }  # fmt: skip
    for kind in ("email", "phone", "date", "amount", "url", "order_id"):
        samplers[f"doc_{kind}"] = partial(_doc, kind)
    return samplers


SAMPLERS = _samplers()

# ---- how a request is dressed

_WAKE = [
    "hey",
    "hi",
    "hello",
    "ok",
    "okay",
    "hey there",
    "yo",
    "hi there",
    "hey assistant",
    "ok computer",
    "computer",
    "assistant",
    "hey siri",
    "alexa",
    "ok google",
    "hey google",
    "hey robot",
    "right",
    "alright",
    "so",
    "well",
    "good morning",
    "good evening",
    "hello there",
    "dear assistant",
    "hey buddy",
    "listen",
    "sir",
    "mate",
    "jarvis",
]
_FILLER = [
    "um",
    "uh",
    "erm",
    "like",
    "so",
    "please",
    "actually",
    "well",
    "ok so",
    "quickly",
    "oh",
    "oh and",
    "also",
    "hmm",
    "er",
    "alright so",
    "right so",
    "umm",
    "now",
    "quick",
    "just",
    "first",
    "by the way",
    "btw",
    "yeah",
    "you know what",
    "oh right",
    "ah",
    "sorry",
    "excuse me",
    "pls",
    "plz",
    "kindly",
    "oh yeah",
    "hey um",
    "okay so",
    "so yeah",
]
_ASK = [
    "can you",
    "could you",
    "would you",
    "will you",
    "can you please",
    "could you please",
    "would you please",
    "please",
    "i need you to",
    "i want you to",
    "i'd like you to",
    "go ahead and",
    "can u",
    "could u",
    "could you maybe",
    "do me a favor and",
    "do me a favour and",
    "would you mind to",
    "i would like you to",
    "you should",
    "you need to",
    "pls",
    "please can you",
    "please could you",
    "kindly",
    "be so kind and",
    "if you could",
    "if you can",
    "is it possible to",
    "would it be possible to",
    "could you possibly",
    "i was wondering if you could",
    "can you just",
    "just",
    "quickly",
    "let's",
    "may you",
    "you can",
    "can you go ahead and",
    "might you",
    "i was hoping you could",
    "any chance you could",
    "would you be able to",
    "are you able to",
    "try to",
    "i need to",
    "i want to",
    "i'd like to",
    "i would like to",
    "help me",
    "can i ask you to",
    "mind if i ask you to",
    "be a dear and",
    "be a star and",
    "would you be so kind as to",
    "remember to",
]
_TAIL = [
    "please",
    "thanks",
    "thank you",
    "please",
    "pls",
    "plz",
    "thx",
    "now",
    "for me",
    "for me please",
    "right now",
    "asap",
    "would you",
    "will you",
    "if you can",
    "if you could",
    "when you get a chance",
    "cheers",
    "ta",
    "ok",
    "okay",
    "thanks a lot",
    "thank you very much",
    "many thanks",
    "please and thank you",
    "dear",
    "mate",
    "buddy",
    "will ya",
    "if possible",
    "if you don't mind",
    "quickly",
    "immediately",
    "real quick",
    "quick",
    "thanks so much",
    "would you please",
    "can you",
    "could you",
    "if that's ok",
    "appreciate it",
    "love",
    "you hear me",
    "got it",
    "thank u",
    "ty",
    "please sir",
    "k",
    "alright",
    "thanks in advance",
    "yeah",
]
_THANKS = [
    "please",
    "thanks",
    "thank you",
    "pls",
    "thx",
    "thanks a lot",
    "cheers",
    "would you",
    "for me please",
    "please",
    "thank you very much",
    "ty",
    "if you don't mind",
]
_FREE = frozenset({"text", "item", "query", "title", "place", "to", "name", "app", "with"})
_RAMBLE = [
    "i just got home",
    "i'm in a hurry",
    "i'm so tired today",
    "before i forget",
    "it's been a long day",
    "i have my hands full",
    "i'm cooking right now",
    "sorry to bother you",
    "i know it's late",
    "my hands are wet",
    "i keep forgetting things",
    "let me think",
    "what was it again",
    "ah yes",
    "good to have you",
    "the kids are driving me mad",
    "i'm driving",
    "i almost forgot",
    "since you're there",
    "while i think of it",
    "one more thing",
    "i'm about to leave",
    "we have guests coming",
    "i need your help",
    "quick one",
    "i've got flour on my hands",
    "no rush but",
    "here's a thing",
    "i was thinking",
    "i'm not sure how this works but",
    "hope you're well",
    "last thing",
    "i can't reach my phone",
    "new day new me",
    "okay next thing",
    "it's me again",
]


def _dressed(pieces: list[Piece], is_command: bool, rng: random.Random) -> list[Piece]:
    ahead: list[str] = []
    roll = rng.random()
    if is_command and roll < 0.42:
        ahead.append(rng.choice(_ASK))
    if rng.random() < 0.10:
        ahead.insert(0, rng.choice(_WAKE) + rng.choice([",", "", ""]))
    if rng.random() < 0.10:
        ahead.insert(rng.randint(0, len(ahead)), rng.choice(_FILLER) + rng.choice(["", ",", ""]))
    if rng.random() < 0.05:
        ahead.insert(0, rng.choice(_RAMBLE) + rng.choice([",", ".", " so", "", " -", " and"]))
    dressed: list[Piece] = [(" ".join(ahead) + " ", None)] if ahead else []
    dressed += pieces
    if rng.random() < 0.17:
        # After words of one's own, "now" or "asap" may belong to them; thanks do not.
        tails = _THANKS if pieces[-1][1] in _FREE else _TAIL
        dressed.append((rng.choice([" ", " ", ", "]) + rng.choice(tails), None))
    if rng.random() < 0.25:
        # A question mark belongs to a message that asks; a full stop belongs to nothing.
        marks = ["."] if pieces[-1][1] == "text" else [".", ".", "?", "!", "...", " ?"]
        dressed.append((rng.choice(marks), None))
    return dressed


_NEAR = {
    "a": "sqwz",
    "b": "vghn",
    "c": "xdfv",
    "d": "serfcx",
    "e": "wsdr",
    "f": "drtgvc",
    "g": "ftyhbv",
    "h": "gyujnb",
    "i": "ujko",
    "j": "huikmn",
    "k": "jiolm",
    "l": "kop",
    "m": "njk",
    "n": "bhjm",
    "o": "iklp",
    "p": "ol",
    "q": "wa",
    "r": "edft",
    "s": "awedxz",
    "t": "rfgy",
    "u": "yhji",
    "v": "cfgb",
    "w": "qase",
    "x": "zsdc",
    "y": "tghu",
    "z": "asx",
}
_SWAPS = [
    ("you", "u"),
    ("please", "pls"),
    ("tomorrow", "tmrw"),
    ("for", "4"),
    ("to", "2"),
    ("the ", ""),
    (" a ", " "),
    ("what's", "whats"),
    ("i'm", "im"),
    ("don't", "dont"),
    ("can't", "cant"),
    ("it's", "its"),
    ("my", "mi"),
    ("reminder", "remindr"),
    ("message", "msg"),
    ("minutes", "mins"),
    ("tonight", "tonite"),
    ("and", "&"),
    ("are", "r"),
    ("i'd", "id"),
    ("let's", "lets"),
    ("through", "thru"),
    ("because", "cuz"),
    ("going to", "gonna"),
    ("want to", "wanna"),
    ("an alarm", "alarm"),
    ("a timer", "timer"),
    ("a reminder", "reminder"),
    ("doesn't", "doesnt"),
    ("i'll", "ill"),
    ("we're", "were"),
    ("the", "teh"),
    ("with", "w/"),
    ("would", "wud"),
    ("could", "cud"),
]
_TYPED = frozenset({"duration", "time", "day", "in", "level", "temperature", "value", "from", "unit_to", "expression", "phone", "email"})


def _typo(text: str, rng: random.Random, rate: float) -> str:
    out: list[str] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter.isalpha() and letter.isascii() and rng.random() < rate:
            kind = rng.random()
            if kind < 0.3:
                out.append(rng.choice(_NEAR[letter.lower()]))
            elif kind < 0.55:
                pass
            elif kind < 0.75:
                out.append(letter * 2)
            elif at + 1 < len(text) and text[at + 1].isalpha():
                out.append(text[at + 1] + letter)
                at += 1
            else:
                out.append(letter)
        else:
            out.append(letter)
        at += 1
    return "".join(out)


def _swapped(text: str, rng: random.Random, *, is_bare: bool) -> str:
    for old, new in rng.sample(_SWAPS, 8):
        if f" {old.strip()} " in f" {text} ":
            text = f" {text} ".replace(f" {old.strip()} ", f" {new.strip()} " if new else " ")[1:-1]
    return re.sub(r"[,'.?!:]", "", text) if is_bare else text


def _noised(pieces: list[Piece], rng: random.Random) -> list[Piece]:
    roll = rng.random()
    if roll < 0.60:
        return pieces
    out: list[Piece] = []
    for text, slot in pieces:
        if slot in _TYPED:
            out.append((text, slot))
        elif roll < 0.78:
            out.append((_typo(text, rng, 0.035), slot))
        elif roll < 0.84:
            out.append((_typo(text, rng, 0.09), slot))
        elif slot is None:
            out.append((_swapped(text, rng, is_bare=roll > 0.94), slot))
        else:
            out.append((text, slot))
    return [(text, slot) for text, slot in out if text]


def row_of(pieces: list[Piece], action: str, family: str, closed: dict[str, str]) -> Row | None:
    """Join pieces to a request whose slots are its spans; none where nothing useful came out."""
    text = ""
    slots: dict[str, tuple[int, int] | str] = {}
    for piece, slot in pieces:
        if slot is None:
            text = re.sub(r"\s+", " ", text + piece)
            continue
        if slot in slots:
            return None
        value_text = " ".join(piece.split())
        if value_text:
            slots[slot] = (len(text), len(text) + len(value_text))
            text += value_text
    lead = len(text) - len(text.lstrip())
    text = text.strip()
    if lead:
        slots = {name: (at[0] - lead, at[1] - lead) if not isinstance(at, str) else at for name, at in slots.items()}
    slots |= closed
    order = SLOTS[action]
    return Row(text.replace("\x01", "{").replace("\x02", "}"), action, {name: slots[name] for name in order if name in slots}, family)


_PAIRS: dict[str, Callable[[str, str, str, random.Random], list[Piece]]] = {
    "in": lambda v, a, b, r: [(v, "value"), (r.choice(["", " "]) if len(a) <= 3 and v[-1].isdigit() else " ", None), (a, "from"), (r.choice([" in ", " to ", " into ", " in ", " as "]), None), (b, "unit_to")],
    "to": lambda v, a, b, r: [(v, "value"), (" ", None), (a, "from"), (" to ", None), (b, "unit_to")],
    "bare": lambda v, a, b, r: [(v, "value"), (" ", None), (a, "from"), (r.choice([" ", " -> ", " > ", ", "]), None), (b, "unit_to")],
    "is": lambda v, a, b, r: [(v, "value"), (" ", None), (a, "from"), (r.choice([" is in ", " are in ", " would be in ", " makes in ", " is as "]), None), (b, "unit_to")],
    "be": lambda v, a, b, r: [(v, "value"), (" ", None), (a, "from"), (r.choice([" be in ", " make in ", " equal in ", " come to in ", " convert to in "]), None), (b, "unit_to")],
    "many": lambda v, a, b, r: [(b, "unit_to"), (r.choice([" are in ", " are there in ", " in ", " is ", " make ", " make up ", " are ", " do i get from ", " equal ", " in "]), None), (v, "value"), (" ", None), (a, "from")],
    "equals": lambda v, a, b, r: [(v, "value"), (" ", None), (a, "from"), (r.choice([" = ? ", " equals how many ", " is how many ", " = "]), None), (b, "unit_to")],
    "make": lambda v, a, b, r: [(v, "value"), (" ", None), (a, "from"), (r.choice([" make how many ", " gives how many ", " is how much in "]), None), (b, "unit_to")],
    "have": lambda v, a, b, r: [(v, "value"), (" ", None), (a, "from"), (r.choice([", how many is that in ", ", what's that in ", " how much is that in ", ", give me that in "]), None), (b, "unit_to")],
}  # fmt: skip


def _expand_pair(line: str, rng: random.Random) -> tuple[str, list[Piece]] | None:
    match = re.search(r"\{PAIR:(\w+)\}", line)
    if match is None:
        return None
    first, second = value.units(rng)
    return line.replace(match[0], "\x03"), _PAIRS[match[1]](value.number(rng), first, second, rng)


def draw(family: Family, rng: random.Random) -> tuple[list[Piece], bool]:
    """Draw an undressed phrasing and say whether it is a command."""
    line = rng.choice(family.lines)
    is_command = line.startswith("!")
    line = line.removeprefix("!")
    pair = _expand_pair(line, rng)
    if pair is None:
        return render(compiled(line), SAMPLERS, rng), is_command
    frame, middle = pair
    pieces: list[Piece] = []
    for text, slot in render(compiled(frame), SAMPLERS, rng):
        before, mark, after = text.partition("\x03")
        pieces.append((before, slot))
        if mark:
            pieces += middle
            pieces.append((after, slot))
    return [piece for piece in pieces if piece[0]], is_command


class Generator:
    """Draws rows of the families to learn from, or with `held_out` of those kept away: of both authors unless `later` names one."""

    def __init__(self, seed: int, *, held_out: bool = False, later: bool | None = None, negatives: float = 0.42) -> None:
        self.rng = random.Random(seed)
        self.negatives = negatives
        self.by_action: dict[str, list[Family]] = {}
        for family in load():
            if family.is_held_out == held_out and later in (None, family.is_later):
                self.by_action.setdefault(family.action, []).append(family)
        self.actions = [action for action in self.by_action if action != "escalate"]
        self.weights = [_WEIGHTS.get(action, 1.0) for action in self.actions]

    def row(self) -> Row:
        """Draw a row."""
        while True:
            rng = self.rng
            if rng.random() < self.negatives and "escalate" in self.by_action:
                found = self._negative()
            else:
                found = self.of(rng.choices(self.actions, self.weights)[0])
            if found is not None and 0 < len(found.text) <= 220:
                return found

    def of(self, action: str) -> Row | None:
        """Draw a row of one action."""
        rng = self.rng
        families = self.by_action[action]
        family = rng.choices(families, [family.weight for family in families])[0]
        pieces, is_command = draw(family, rng)
        return row_of(_noised(_dressed(pieces, is_command, rng), rng), action, f"{action}/{family.name}", family.closed)

    def _command(self) -> list[Piece]:
        action = self.rng.choices(self.actions, self.weights)[0]
        families = [
            family
            for family in self.by_action[action]
            if action not in ("note.add", "message.send", "classify", "extract") or family.name in ("terse", "verb")
        ]
        pieces, _ = draw(self.rng.choice(families or self.by_action[action]), self.rng)
        return [(text, None) for text, _ in pieces]

    def _negative(self) -> Row | None:
        rng = self.rng
        roll = rng.random()
        if roll < 0.20:
            return self._mixed()
        if roll < 0.36:
            return self._turned()
        return self.outside()

    def outside(self) -> Row | None:
        """Draw a row of the families that are no action."""
        rng, families = self.rng, self.by_action["escalate"]
        pieces, is_command = draw(rng.choices(families, [family.weight * len(family.lines) ** 0.5 for family in families])[0], rng)
        is_command = is_command or rng.random() < 0.06
        return row_of(_noised(_dressed([(text, None) for text, _ in pieces], is_command, rng), rng), "escalate", "escalate", {})

    def _turned(self) -> Row | None:
        """A command that somebody speaks about, forbids, or ties to something that the table does not hold."""
        rng = self.rng
        action = rng.choice([action for action in self.actions if action not in _ASKED])
        families = [family for family in self.by_action[action] if any(line.startswith("!") for line in family.lines)]
        if not families:
            return None
        family = rng.choice(families)
        pieces, _ = draw(Family(action, family.name, tuple(line for line in family.lines if line.startswith("!"))), rng)
        command = "".join(text for text, _ in pieces)
        is_about = rng.random() < 0.55 or action in ("note.add", "list.add", "timer.cancel", "media.control", "classify", "extract")
        if is_about:
            text = rng.choice(_ABOUT).replace("{}", word.first(rng)) + " " + command
        elif action in ("device.set", "thermostat.set", "media.play", "app.open", "call.start", "message.send"):
            text = (
                command
                + " "
                + rng.choice([*_TIED, "at " + value.clock(rng), "in " + value.duration(rng), "on " + value.on_day(rng)]).replace(
                    "{}", word.first(rng)
                )
            )
        else:
            text = command + " " + rng.choice(_TIED).replace("{}", word.first(rng))
        return row_of(_noised(_dressed([(text, None)], not is_about and rng.random() < 0.5, rng), rng), "escalate", "escalate/turned", {})

    def _mixed(self) -> Row | None:
        """Two requests in one, or a request with something that the table does not hold."""
        rng = self.rng
        link = rng.choice(
            [
                " and ",
                " and then ",
                ", then ",
                " then ",
                ", and ",
                " and also ",
                ". ",
                " and after that ",
                " plus ",
                ", also ",
                " as well as ",
                " & ",
                ". also ",
                " while you're at it ",
                "; ",
                " and when that's done ",
            ]
        )
        # What takes free text to its end would swallow the second half, and a reader could not say that it should not.
        closed_first = [
            action
            for action in self.actions
            if action not in ("note.add", "message.send", "reminder.add", "list.add", "classify", "extract", "media.play", "calculate")
        ]
        first_action = rng.choice(closed_first)
        first, is_command = draw(rng.choice(self.by_action[first_action]), rng)
        if rng.random() < 0.65:
            second_action = rng.choice([action for action in self.actions if action not in ("classify", "extract")])
            commands = [
                family for family in self.by_action[second_action] if any(line.startswith("!") for line in family.lines)
            ] or self.by_action[second_action]
            family = rng.choice(commands)
            lines = tuple(line for line in family.lines if line.startswith("!")) or family.lines
            second, _ = draw(Family(family.action, family.name, lines), rng)
        else:
            families = self.by_action["escalate"]
            second, _ = draw(
                rng.choice([family for family in families if family.name in ("facts", "advice", "write", "ask-services", "texts")]), rng
            )
            if rng.random() < 0.3:
                first, second = second, first
        pieces: list[Piece] = [(text, None) for text, _ in (*first, (link, None), *second)]
        return row_of(_noised(_dressed(pieces, is_command, rng), rng), "escalate", "escalate/mixed", {})


# What is asked and not commanded; a question about it is the same question.
_ASKED = frozenset({"time.get", "date.get", "battery.get", "weather.get", "convert", "calculate", "navigate.to"})
_ABOUT = [
    "should i",
    "how do i",
    "how can i",
    "why should i",
    "why did you",
    "did you",
    "do you know how to",
    "i don't want to",
    "don't",
    "do not",
    "please don't",
    "never",
    "you forgot to",
    "i forgot to",
    "did i",
    "have you tried to",
    "what happens if i",
    "what if i",
    "can my phone",
    "who told you to",
    "{} asked me to",
    "{} wants me to",
    "{} told {} to",
    "yesterday i tried to",
    "i used to",
    "when should i",
    "is it rude to",
    "is it safe to",
    "i can't",
    "i already asked you to",
    "stop trying to",
    "tell me how to",
    "teach me to",
    "explain how to",
    "what does it mean to",
    "why can't i",
    "is there a way for {} to",
    "i wish i could",
    "it's annoying to",
    "nobody ever remembers to",
    "i would never",
    "we usually",
    "why would anyone",
    "i hate it when people",
    "remind {} to",
    "ask {} to",
    "has {} tried to",
    "does siri",
    "was it you who",
    "in the film they",
]
_TIED = [
    "every day",
    "every morning",
    "every {} minutes".replace("{}", "ten"),
    "every week",
    "every monday",
    "every weekday",
    "each evening",
    "every hour",
    "daily",
    "twice a day",
    "whenever it rains",
    "when i get home",
    "when {} arrives",
    "when i leave work",
    "if it rains",
    "if {} calls",
    "if i am not back by six",
    "unless i say otherwise",
    "until {} comes home",
    "as soon as {} lands",
    "before every meeting",
    "and tell {}",
    "and let {} know",
    "and then summarize the news",
    "and write a poem about it",
    "and explain why",
    "but only on weekends",
    "except on sundays",
    "once the sun sets",
    "after the movie ends",
    "forever",
    "for each of my friends",
    "in french",
    "and email me a copy",
    "and order a pizza",
    "then tell me a joke",
    "instead of {}",
    "like we did last year",
]

# Actions with many forms of argument need more rows than those with none.
_WEIGHTS = {"timer.set": 1.5, "timer.cancel": 0.8, "alarm.set": 1.5, "reminder.add": 2.2, "event.add": 2.2, "message.send": 1.8, "list.add": 1.4, "contact.add": 1.2, "media.control": 1.6, "media.play": 1.3, "note.add": 1.2, "weather.get": 1.4, "convert": 1.3, "calculate": 1.4, "classify": 1.0, "extract": 1.2, "time.get": 0.6, "date.get": 0.6, "battery.get": 0.6, "device.set": 1.6, "navigate.to": 1.1, "app.open": 1.3, "call.start": 1.2}  # fmt: skip


def copying(rng: random.Random) -> Row:
    """Words of no meaning around a span to copy: what is learned first."""
    before = word.mishmash(rng)
    span = word.mishmash(rng)
    action, slot, lead = rng.choice(
        [
            ("note.add", "text", "note:"),
            ("call.start", "to", "call"),
            ("app.open", "app", "open"),
            ("media.play", "query", "play"),
            ("navigate.to", "place", "navigate to"),
        ]
    )
    text = f"{lead} {span}" if rng.random() < 0.8 else f"{before}, {lead} {span}"
    return Row(text, action, {slot: (len(text) - len(span), len(text))}, "copying")


def main() -> None:
    generator = Generator(int(sys.argv[2]) if len(sys.argv) > 2 else 0, held_out=len(sys.argv) > 3)
    for _ in range(int(sys.argv[1])):
        row = generator.row()
        print(row.action, "|", row.text, "|", row.told())


if __name__ == "__main__":
    main()
