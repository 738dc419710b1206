"""What people name in requests: open vocabularies, each with a way to make names that no list holds."""

# ruff: noqa: E501, SIM905 - alternatives are read across, one line for one kind
from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from training.factory_llm import value

WORDS = Path(__file__).parent / "words.txt"


@cache
def _lists() -> dict[str, list[str]]:
    kinds = WORDS.read_text(encoding="utf-8").split("## ")[1:]
    return {name: " ".join(rest.split()).split(" / ") for name, _, rest in (kind.partition("\n") for kind in kinds)}


def listed(kind: str) -> list[str]:
    """Return the words of a kind, from `words.txt`."""
    return _lists()[kind]


FIRST = listed("first")
LAST = listed("last")
_SYLLABLES = listed("syllables")
RELATIONS = listed("relations")
TITLES = listed("titles")
FOODS = listed("foods")
CHORES = listed("chores")
LISTS = listed("lists")
PLAIN_LISTS = listed("plain_lists")
ROOMS = listed("rooms")
THINGS = listed("things")
DIMMABLE = listed("dimmable")
APPS = listed("apps")
SONGS = listed("songs")
ARTISTS = listed("artists")
GENRES = listed("genres")
SHOWS = listed("shows")
PLACES = listed("places")
CITIES = listed("cities")
EVENTS = listed("events")
_VERBS = listed("verbs")
_TASKS = listed("tasks")
_NOTES = listed("notes")
_MESSAGES = listed("messages")
NOUNS = listed("nouns")
_LABELS = listed("labels")

_TLDS = listed("tlds")
_DOMAINS = listed("domains")


def made_up(rng: random.Random) -> str:
    """Return a word that no list holds."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 3)))


def first(rng: random.Random) -> str:
    """Return a first name, with a capital mostly."""
    name = rng.choice(FIRST) if rng.random() < 0.7 else made_up(rng)
    return name.title()


def person(rng: random.Random) -> str:
    """Return the name of a person."""
    roll = rng.random()
    if roll < 0.68:
        return first(rng)
    if roll < 0.88:
        last = rng.choice(LAST) if rng.random() < 0.7 else made_up(rng)
        return f"{first(rng)} {last.title()}"
    if roll < 0.97:
        name = first(rng) if rng.random() < 0.4 else rng.choice(LAST).title()
        return f"{rng.choice(TITLES).capitalize()} {name}"
    return f"{first(rng)} from {rng.choice(['work', 'school', 'accounting', 'the gym', 'hr', 'next door', 'yoga', 'sales', 'church', 'marketing'])}"


def whom(rng: random.Random) -> str:
    """Return somebody to call or write to."""
    return person(rng) if rng.random() < 0.66 else rng.choice(RELATIONS)


def called(rng: random.Random) -> str:
    """Return somebody to call: a business too."""
    roll = rng.random()
    if roll < 0.88:
        return whom(rng)
    if roll < 0.95:
        return rng.choice(["pizza hut", "domino's", "the red lion", "luigi's restaurant", "city hospital", "the apple store", "sunshine nursery", f"{first(rng)}'s mobile", f"{first(rng)}'s mom", f"{made_up(rng).title()} restaurant", f"{first(rng)}'s office", f"{first(rng)} at work", f"{first(rng)} on his mobile", "costco", f"{first(rng)}'s school"])  # fmt: skip
    return value.phone(rng)


def with_whom(rng: random.Random) -> str:
    """Return who takes part in something."""
    roll = rng.random()
    if roll < 0.85:
        return whom(rng)
    return f"{first(rng)} and {first(rng)}"


def item(rng: random.Random) -> str:
    """Return what a list holds."""
    roll = rng.random()
    if roll < 0.78:
        return rng.choice(FOODS)
    if roll < 0.84:
        return f"{rng.choice(['a ', '', '', 'two ', '3 ', 'new '])}{rng.choice(NOUNS)}"
    if roll < 0.92:
        return made_up(rng) + rng.choice(["", " cheese", " sauce", "s", " tea", " cream", " juice"])
    return f"{rng.choice(FOODS)} and {rng.choice(FOODS)}"


def chore(rng: random.Random) -> str:
    """Return something to do."""
    return rng.choice(CHORES) if rng.random() < 0.5 else task(rng)


def task(rng: random.Random) -> str:
    """Return something to be reminded of, as a verb phrase."""
    roll = rng.random()
    if roll < 0.5:
        text = rng.choice(_TASKS)
    elif roll < 0.72:
        text = f"{rng.choice(_VERBS)} {whom(rng)}"
        if rng.random() < 0.4:
            text += rng.choice([" about the ", " about the ", " for the ", " regarding the "]) + rng.choice(NOUNS + EVENTS)
    elif roll < 0.86:
        text = f"{rng.choice('buy get order find return sell fix pack clean bring check print sign paint repair collect move wrap measure rent lend water store'.split())} {rng.choice(['the ', 'a ', 'my ', 'the ', 'some '])}{rng.choice(NOUNS + FOODS)}"  # fmt: skip
    elif roll < 0.92:
        text = f"buy {rng.choice(FOODS)} and {rng.choice(FOODS)}"
    else:
        text = f"{rng.choice('go to prepare for sign up for get ready for leave for cancel book plan'.split(' ') if False else ['go to', 'prepare for', 'sign up for', 'get ready for', 'leave for', 'cancel', 'book', 'plan'])} {rng.choice(['the ', 'the ', 'my '])}{rng.choice(EVENTS)}"  # fmt: skip
    if rng.random() < 0.12:
        text += rng.choice(
            [
                " before the meeting",
                " on the way home",
                " after work",
                " when i get home",
                " before bed",
                " before it rains",
                " for the party",
                " at the pharmacy",
                " from the store",
                " for school",
            ]
        )
    return text


def thing(rng: random.Random) -> str:
    """Return something to be reminded of, as a noun."""
    roll = rng.random()
    if roll < 0.6:
        return ("the " if rng.random() < 0.5 else "my ") + rng.choice(EVENTS)
    return "the " + rng.choice(NOUNS)


def note(rng: random.Random) -> str:
    """Return what a note says."""
    roll = rng.random()
    if roll < 0.5:
        return rng.choice(_NOTES)
    if roll < 0.65:
        return task(rng)
    if roll < 0.8:
        return f"the {rng.choice(NOUNS)} {rng.choice(['is in the', 'belongs in the', 'goes in the', 'is under the', 'was moved to the', 'stays in the'])} {rng.choice(ROOMS)}"
    if roll < 0.9:
        return f"{first(rng)} {rng.choice(['likes', 'hates', 'wants', 'needs', 'borrowed', 'is allergic to', 'prefers', 'recommended', 'has', 'lost'])} {rng.choice(['', 'the ', 'a '])}{rng.choice(NOUNS + FOODS)}"  # fmt: skip
    return f"{rng.choice(NOUNS)} {rng.choice(['costs', 'number is', 'code is', 'is', 'arrived', 'broke', 'needs'])} {rng.randint(2, 999)}"


_PERSONAL = listed("personal")


def personal(rng: random.Random) -> str:
    """Return what somebody notes of their own life."""
    roll = rng.random()
    if roll < 0.5:
        return rng.choice(_PERSONAL)
    if roll < 0.65:
        return f"i {rng.choice(['lent', 'gave', 'sold', 'showed', 'sent', 'promised'])} {rng.choice(['my', 'the', 'a'])} {rng.choice(NOUNS)} to {whom(rng)}"
    if roll < 0.8:
        return f"my {rng.choice([*NOUNS, 'seat', 'room', 'bus', 'code', 'size', 'number', 'gate', 'desk', 'table'])} is {rng.choice(['number ', '', 'in the ', 'at '])}{rng.choice([str(rng.randint(2, 900)), rng.choice(ROOMS), made_up(rng)])}"
    return f"{whom(rng)} {rng.choice(['prefers', 'said', 'wants', 'recommended', 'asked for', 'is away until', 'lives near', 'likes'])} {rng.choice(['the ' + rng.choice(NOUNS), rng.choice(FOODS), made_up(rng), value.on_day(rng), rng.choice(CITIES)])}"


_QUESTIONS = ("are ", "where ", "what ", "when ", "did ", "can ", "could ", "how ", "is ", "do ", "will ")


def message(rng: random.Random) -> str:
    """Return what a message says."""
    text = _message(rng)
    return text + "?" if text.startswith(_QUESTIONS) and rng.random() < 0.4 else text


def _message(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.62:
        return rng.choice(_MESSAGES)
    if roll < 0.72:
        return f"i'll be {rng.choice(['there', 'home', 'back', 'late', 'ready', 'done'])} {rng.choice(['in ' + value.duration(rng), 'at ' + value.clock(rng), 'by ' + value.clock(rng), value.bare_day(rng)])}"
    if roll < 0.82:
        return f"{rng.choice(['can you', 'could you', 'please', 'dont forget to', 'you need to', 'remember to', 'i forgot to', 'i have to', 'we should'])} {task(rng)}"
    if roll < 0.9:
        return f"the {rng.choice(NOUNS + EVENTS)} {rng.choice(['is ready', 'is cancelled', 'arrived', 'was great', 'is on the table', 'starts at ' + value.clock(rng), 'is broken', 'is here', 'moved to ' + value.on_day(rng)])}"
    return f"{rng.choice(_MESSAGES)} {rng.choice(['and', 'but', 'so'])} {rng.choice(_MESSAGES)}"


def request(rng: random.Random) -> str:
    """Return what somebody is told to do: "tell Ana to ..."."""
    return (
        rng.choice(
            [
                "pick up bread",
                "call me",
                "call me back",
                "come home",
                "bring wine",
                "hurry up",
                "meet me at the station",
                "send me the file",
                "feed the cat",
                "wait for me",
                "buy milk",
                "check the oven",
            ]
        )
        if rng.random() < 0.5
        else task(rng)
    )


def label(rng: random.Random) -> str:
    """Return what a timer is for, with no article."""
    text = rng.choice(_LABELS) if rng.random() < 0.88 else made_up(rng)
    return text.removeprefix("the ")


def device(rng: random.Random) -> str:
    """Return a device, with its room mostly and no article."""
    roll = rng.random()
    if roll < 0.48:
        return f"{rng.choice(ROOMS)} {rng.choice(THINGS[:60])}"
    if roll < 0.90:
        return rng.choice(THINGS)
    if roll < 0.95:
        return f"{first(rng)}'s {rng.choice(THINGS[:40])}"
    return f"{made_up(rng)} {rng.choice(THINGS[:30])}"


def room_lights(rng: random.Random) -> str:
    """Return "lights in the kitchen"."""
    return f"{rng.choice(['lights', 'light', 'lamp', 'fan', 'tv', 'heater', 'lamps', 'radio', 'ac', 'speaker'])} {rng.choice(['in the', 'in the', 'in my', 'on the'])} {rng.choice(ROOMS)}"


def dimmable(rng: random.Random) -> str:
    """Return a device with a level."""
    roll = rng.random()
    if roll < 0.6:
        return f"{rng.choice(ROOMS)} {rng.choice(DIMMABLE)}"
    if roll < 0.9:
        return rng.choice(DIMMABLE)
    return f"{rng.choice([first(rng) + chr(39) + 's', made_up(rng)])} {rng.choice(DIMMABLE)}"


def app(rng: random.Random) -> str:
    """Return the name of an application."""
    return rng.choice(APPS) if rng.random() < 0.85 else made_up(rng) + rng.choice(["", "", " app", " pro", "ly"])


def known_app(rng: random.Random) -> str:
    """Return the name of an application that everybody knows."""
    return rng.choice(APPS)


def place(rng: random.Random) -> str:
    """Return where to go, with its article."""
    roll = rng.random()
    if roll < 0.6:
        return rng.choice(PLACES)
    if roll < 0.75:
        return rng.choice(CITIES).title()
    if roll < 0.88:
        name = rng.choice([made_up(rng), rng.choice(LAST), rng.choice(FIRST)]).title()
        return f"{rng.randint(1, 400)} {name} {rng.choice(['street', 'road', 'avenue', 'lane', 'drive', 'st', 'rd', 'way', 'square', 'boulevard'])}"
    return rng.choice([f"{first(rng)}'s house", f"{first(rng)}'s place", f"{made_up(rng)} station", f"the {made_up(rng)} hotel", f"the nearest {rng.choice('bakery bank pharmacy hospital cinema supermarket florist barber dentist laundromat'.split())}", f"the closest {rng.choice('bakery bank pharmacy hospital cinema supermarket florist barber dentist park'.split())}", f"{made_up(rng)} park", f"a {rng.choice('thai indian greek mexican turkish vegan chinese lebanese'.split())} restaurant"])  # fmt: skip


def city(rng: random.Random) -> str:
    """Return a city."""
    return (rng.choice(CITIES) if rng.random() < 0.85 else made_up(rng)).title()


def music(rng: random.Random) -> str:
    """Return what to play."""
    roll = rng.random()
    artist = rng.choice(ARTISTS) if rng.random() < 0.85 else f"{made_up(rng)} {made_up(rng)}"
    song = rng.choice(SONGS) if rng.random() < 0.85 else f"{made_up(rng)} {rng.choice(NOUNS)}"
    if rng.random() < 0.5:
        artist, song = artist.title(), song.capitalize() if rng.random() < 0.5 else song.title()
    if roll < 0.2:
        return artist
    if roll < 0.28:
        return f"{rng.choice(['some', 'some', 'songs by', 'music by', 'something by', 'the best of', 'anything by', 'a song by', 'some songs by'])} {artist}"
    if roll < 0.45:
        return song
    if roll < 0.62:
        return f"{song} {rng.choice(['by', 'by', 'by', 'from'])} {artist}"
    if roll < 0.75:
        return rng.choice(GENRES)
    if roll < 0.85:
        return f"some {rng.choice(GENRES).removeprefix('something ')}"
    if roll < 0.97:
        return rng.choice(SHOWS)
    return rng.choice(
        [
            "some music",
            "music",
            "a song",
            "some tunes",
            f"my {made_up(rng)} playlist",
            f"the {made_up(rng)} album",
            "the radio",
            "a podcast",
        ]
    )


def email(rng: random.Random) -> str:
    """Return an address."""
    name, last = rng.choice(FIRST).replace("-", ""), rng.choice(LAST).replace("'", "")
    local = rng.choice(
        [
            name,
            f"{name}.{last}",
            f"{name}{rng.randint(1, 99)}",
            f"{name[0]}{last}",
            f"{name}_{last}",
            made_up(rng),
            f"{last}.{name}",
            "info",
            "support",
            "hello",
        ]
    )
    domain = rng.choice(_DOMAINS) if rng.random() < 0.6 else f"{made_up(rng)}.{rng.choice(_TLDS)}"
    return f"{local}@{domain}"


def url(rng: random.Random) -> str:
    """Return a web address."""
    host = f"{rng.choice([made_up(rng), 'example', 'shop-' + made_up(rng), 'docs.' + made_up(rng)])}.{rng.choice(_TLDS)}"
    path = rng.choice(
        ["", "", "/" + made_up(rng), f"/order/{rng.randint(10, 9999)}", "/help", f"/a/{made_up(rng)}?id={rng.randint(1, 99)}"]
    )
    return rng.choice(["https://", "https://www.", "http://", "www.", ""]) + host + path


def order_id(rng: random.Random) -> str:
    """Return the number of an order."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(4, 9)))
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.randint(1, 3)))
    return rng.choice(
        [
            f"#{digits}",
            f"{letters}-{digits}",
            f"{letters}{digits}",
            digits,
            f"ORD-{digits}",
            f"{digits[:3]}-{digits[3:]}{rng.randint(10, 99)}",
            f"#{letters}{digits}",
            f"{letters}-{digits[:3]}-{rng.randint(10, 99)}",
        ]
    )


def mishmash(rng: random.Random) -> str:
    """Return words of no meaning, which can only be copied."""
    return " ".join(
        rng.choice(
            [
                made_up(rng),
                rng.choice(NOUNS),
                rng.choice(FOODS),
                rng.choice(FIRST),
                str(rng.randint(1, 99)),
                rng.choice("the a of and to for is with it my".split()),
            ]
        )
        for _ in range(rng.randint(1, 6))
    )


PRAISE = listed("praise")
BLAME = listed("blame")
NEUTRAL = listed("neutral")
URGENT = listed("urgent")
CALM = listed("calm")


def praise(rng: random.Random) -> str:
    """Return something said with joy."""
    return _said(
        rng,
        PRAISE,
        [
            "great",
            "lovely",
            "wonderful",
            "amazing",
            "excellent",
            "superb",
            "delightful",
            "fantastic",
            "perfect",
            "charming",
            "awesome",
            "brilliant",
            "really good",
            "so much fun",
        ],
    )


def blame(rng: random.Random) -> str:
    """Return something said in anger."""
    return _said(
        rng,
        BLAME,
        [
            "awful",
            "terrible",
            "boring",
            "horrible",
            "disgusting",
            "broken",
            "useless",
            "a disaster",
            "dreadful",
            "painfully slow",
            "way too loud",
            "disappointing",
            "really bad",
            "a scam",
        ],
    )


def _said(rng: random.Random, whole: list[str], words: list[str]) -> str:
    roll = rng.random()
    if roll < 0.55:
        return rng.choice(whole)
    subject = rng.choice(
        [
            "the food",
            "the film",
            "this phone",
            "the hotel",
            "the concert",
            "my new laptop",
            "the book",
            "the service",
            "the app",
            "the trip",
            "the class",
            "our waiter",
            "the " + rng.choice(NOUNS),
            "the coffee",
            "the update",
            "her speech",
            "the new office",
        ]
    )
    text = f"{subject} {rng.choice(['was', 'is', 'was really', 'is just', 'was absolutely', 'turned out'])} {rng.choice(words)}"
    return text if roll < 0.85 else f"{text}{rng.choice([', ', ' and ', ' '])}{rng.choice(whole)}"


def neutral(rng: random.Random) -> str:
    """Return something said without feeling."""
    return rng.choice(NEUTRAL)


def urgent(rng: random.Random) -> str:
    """Return something that cannot wait."""
    return (
        rng.choice(URGENT)
        if rng.random() < 0.8
        else f"{rng.choice(URGENT)} {rng.choice(['please hurry', 'asap', 'this is urgent', 'now', 'immediately'])}"
    )


def calm(rng: random.Random) -> str:
    """Return something that can wait."""
    return rng.choice(CALM)
