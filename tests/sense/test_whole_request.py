"""Nothing of a request leaves unread: what an adapter writes stands in the texts that were sensed, wherever it was put."""

import asyncio
import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_adapters.openai_chat import OpenAIChat
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import MaskError
from hybridrt.mask import mask
from hybridrt.request import make_request
from hybridrt.sense import Senses
from hybridrt.sense.texts import texts
from hybridrt.target import Place, Target

SENSES = Senses()
TARGET = Target("cloud", Place.CLOUD, "a-model", adapter="openai", endpoint="https://api.example.com/v1")
MARK = re.compile(r"canary\d+|9\d{8}")
CARD = 4111111111111111
KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
SECRET = "Tr0ub4dor&3xx"


def body_of(request, messages=None):
    call = Call(
        TARGET,
        request.messages if messages is None else messages,
        Deadline(0.0, None),
        tools=request.tools,
        output=request.output,
        max_output_tokens=request.max_output_tokens,
        temperature=request.temperature,
        seed=request.seed,
        stop=request.stop,
    )
    return json.loads(OpenAIChat().build(call, None).body)


def atoms(value):
    """Every key and scalar of a JSON value; of the JSON inside its strings too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from atoms(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from atoms(inner)
    else:
        yield str(value)
        if isinstance(value, str) and value.startswith("{"):
            yield from atoms(json.loads(value))


def build(draw):
    """A request in which every word and number of the caller is a mark of its own."""
    numbers = itertools.count()

    def word():
        return f"canary{next(numbers)}"

    def number():
        return 900_000_000 + next(numbers)

    def data(depth=0):
        kind = draw(
            st.sampled_from(("word", "number", "float", "bool", "none", "list", "mapping") if depth < 4 else ("word", "number", "none"))
        )
        if kind in ("list", "mapping"):
            size = draw(st.integers(0, 3))
            return [data(depth + 1) for _ in range(size)] if kind == "list" else {word(): data(depth + 1) for _ in range(size)}
        return {"word": word, "number": number, "float": lambda: number() + 0.5, "bool": lambda: True, "none": lambda: None}[kind]()

    def form():
        return {word(): data() for _ in range(draw(st.integers(0, 3)))}

    turns = [{"role": "user", "content": [{"type": "text", "text": word()} for _ in range(draw(st.integers(1, 3)))]}]
    for _ in range(draw(st.integers(0, 2))):
        id_ = word()
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [{"id": id_, "name": word(), "arguments": form()}]},
            {"role": "tool", "content": word(), "tool_call_id": draw(st.sampled_from((id_, word())))},
        ]
    options = {
        "tools": [
            {"name": word(), "description": word(), "parameters": {"type": "object", "properties": form()}}
            for _ in range(draw(st.integers(0, 2)))
        ],
        "stop": [word()],
        "seed": number(),
        "max_output_tokens": number(),
    }
    if draw(st.booleans()):
        options["output"] = {"title": word(), "type": "object", "properties": form()}
    return make_request(turns, options)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_word_and_number_that_leaves_was_among_the_sensed_texts(data):
    request = build(data.draw)
    sensed = "\n".join(text.text for text in texts(request))
    leaves = {mark for atom in atoms(body_of(request)) for mark in MARK.findall(atom)}
    assert leaves
    assert leaves <= set(MARK.findall(sensed))


def called(**call):
    return [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [{"name": "f", "arguments": {}, **call}]},
    ]


def tool(**fields):
    return {"tools": [{"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}, **fields}]}


def schema(**properties):
    return {"type": "object", "properties": properties}


FIXED = {
    "the name of a tool": ("go", tool(name=KEY)),
    "the name of a property": ("go", tool(parameters=schema(**{KEY: {"type": "string"}}))),
    "a number in a schema": ("go", tool(parameters=schema(card={"enum": [CARD]}))),
    "a default": ("go", tool(parameters=schema(password={"default": SECRET}))),
    "a default further in": ("go", tool(parameters=schema(password={"anyOf": [{"const": SECRET}]}))),
    "the title of the output": ("go", {"output": {"title": KEY, **schema()}}),
    "a property of the output": ("go", {"output": schema(**{KEY: {"type": "string"}})}),
    "a number of the output": ("go", {"output": schema(card={"const": CARD})}),
    "the name of a call": (called(name=KEY), {}),
    "the id of a call": (called(id=KEY), {}),
    "the id of a result": ([{"role": "user", "content": "go"}, {"role": "tool", "content": "x", "tool_call_id": KEY}], {}),
    "a key of an argument that is true": (called(arguments={KEY: True}), {}),
    "a key of an argument that is nothing": (called(arguments={KEY: None}), {}),
    "a key of an empty list": (called(arguments={KEY: []}), {}),
    "a key of a list": (called(arguments={KEY: [1]}), {}),
    "a key of a mapping": (called(arguments={KEY: {"a": 1}}), {}),
    "a number as a key": (called(arguments={"cards": {str(CARD): {"a": 1}}}), {}),
    "the seed": ("go", {"seed": CARD}),
}


@pytest.mark.parametrize("where", FIXED)
async def test_a_secret_where_no_mark_can_stand_is_found_and_cannot_be_masked(where):
    prompt, options = FIXED[where]
    request = make_request(prompt, options)
    assert any(secret in json.dumps(body_of(request)) for secret in (KEY, str(CARD), SECRET)), "it leaves"
    privacy = (await SENSES.sense(request)).privacy
    assert privacy.sensitivity == "confidential"
    with pytest.raises(MaskError):
        mask(request.messages, privacy, frozenset({"credential", "payment_card"}))


@pytest.mark.parametrize(
    "arguments",
    [
        {"password": {"value": SECRET}},
        {"password": {"new": {"value": SECRET}}},
        {"password": [SECRET]},
        {"user": {"password": SECRET}},
        {"card": {"number": CARD}},
        {"pay": [[{"n": CARD}]]},
    ],
)
async def test_an_argument_is_known_by_all_its_keys_and_is_masked(arguments):
    request = make_request(called(arguments=arguments), {})
    privacy = (await SENSES.sense(request)).privacy
    assert privacy.sensitivity == "confidential"
    masked = mask(request.messages, privacy, frozenset({"credential", "payment_card"}))
    left = json.dumps(body_of(request, masked.messages))
    assert SECRET not in left
    assert str(CARD) not in left


async def test_names_ids_and_numbers_say_nothing_about_the_language():
    turns = [*called(name="hole_wetter", id="toolu_01A09q90qw90lq917835lq9", arguments={"ort": "Wien", "wann": "2026-05-01T10:00:00Z"})]
    turns.append({"role": "tool", "content": "It is sunny today.", "tool_call_id": "toolu_01A09q90qw90lq917835lq9"})
    options = tool(name="hole_wetter", description="Get the weather of a city", parameters=schema(ort={"type": "string", "maxLength": 80}))
    signals = await SENSES.sense(make_request(turns, options))
    assert (signals.language, signals.privacy.sensitivity) == ("en", "public")


async def test_words_of_another_language_in_an_argument_or_a_key_are_still_seen():
    for arguments in (
        {"q": "meine Tochter ist sehr krank und hat Angst"},
        {"meine Tochter ist sehr krank": True},
        {"q": "我女儿得了白血病"},
    ):
        assert (await SENSES.sense(make_request(called(arguments=arguments), {}))).privacy.sensitivity == "unknown"


HARMLESS = schema(
    password={"type": "string", "title": "Password", "description": "8-20 characters, 1 digit", "minLength": 8, "maxLength": 128},
    token={"type": "string", "description": "The token to use", "pattern": "^[a-z0-9]{20}$", "maxLength": 4096},
    email={"type": "string", "format": "email"},
    created_at={"type": "string", "format": "date-time"},
    secret_name={"type": "string", "enum": ["first", "second"]},
)


async def test_a_schema_that_only_describes_a_password_holds_none():
    for options in ({"output": HARMLESS}, tool(name="log_in", description="Logs a user in", parameters=HARMLESS)):
        assert (await SENSES.sense(make_request("Log me in", options))).privacy.sensitivity == "public"


# What is split

SPLIT = (
    ("payment_card", "4111 1111 1111 1111"),
    ("payment_card", "4111111111111111"),
    ("contact", "j4ne.doe@example.com"),
    ("government_id", "123-45-6789"),
    ("credential", KEY),
    ("credential", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibiI6IkphbmUifQ.dBjftJeZ4CVPmB92K27uhbUJU1p1r"),
)


def both(first, second):
    yield [{"role": "user", "content": [{"type": "text", "text": first}, {"type": "text", "text": second}]}]
    yield [{"role": "user", "content": first}, {"role": "assistant", "content": second}, {"role": "user", "content": "thanks"}]


@pytest.mark.parametrize(("label", "value"), SPLIT)
def test_what_is_split_over_two_parts_or_two_messages_is_found_and_masked(label, value):
    for at in range(3, len(value) - 3, 5):
        for turns in both(f"So it is {value[:at]}", f"{value[at:]} and that is all"):
            request = make_request(turns, {})
            privacy = asyncio.run(SENSES.sense(request)).privacy
            assert privacy.labels[label] == "present", at
            masked = mask(request.messages, privacy, frozenset({label}))
            left = "".join(message.text for message in masked.messages)
            assert value[:at] not in left.replace("So it is ", "")
            assert value[at:] not in left
            assert "So it is" in left
            assert "and that is all" in left


def test_a_value_over_many_parts_is_found_and_masked():
    parts = [{"type": "text", "text": piece} for piece in ("Pay with ", "4111 ", "1111 ", "1111 ", "1111", " please")]
    request = make_request([{"role": "user", "content": parts}], {})
    privacy = asyncio.run(SENSES.sense(request)).privacy
    assert mask(request.messages, privacy, {"payment_card"}).messages[0].text == "Pay with [CARD][CARD][CARD][CARD] please"


def test_a_key_that_is_cut_by_a_border_is_masked_to_its_end():
    key = (
        "-----BEGIN PRIVATE KEY-----\n"
        + "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA4x9Zq7Lw1mT0"] * 28)
        + "\n-----END PRIVATE KEY-----"
    )
    for at in (20, 100, 900):
        for turns in both(f"Use\n{key[:at]}", f"{key[at:]}\nplease"):
            request = make_request(turns, {})
            privacy = asyncio.run(SENSES.sense(request)).privacy
            left = "".join(message.text for message in mask(request.messages, privacy, {"credential"}).messages)
            assert "MIIE" not in left
            assert "END" not in left
            assert "please" in left


def test_a_password_named_in_the_part_before_is_found():
    for turns in both("my password is", "hunter2 ok"):
        request = make_request(turns, {})
        privacy = asyncio.run(SENSES.sense(request)).privacy
        assert "hunter2" not in "".join(message.text for message in mask(request.messages, privacy, {"credential"}).messages)


@pytest.mark.parametrize(
    ("first", "second", "after"),
    [
        ("Reply to jane@example.com", "hello there", "hello there"),
        ("my card is 4111111111111111", "12 apples", "12 apples"),
        ("call +44 20 7946 0958", "5 times", "5 times"),
        ("mail", "jane@example.com", "[EMAIL]"),
        ("my password is hunter2", "So it is", "So it is"),
    ],
)
def test_what_is_whole_by_itself_takes_no_word_along_from_the_next_message(first, second, after):
    _, turns = both(first, second)
    request = make_request(turns, {})
    privacy = asyncio.run(SENSES.sense(request)).privacy
    masked = mask(request.messages, privacy, {"contact", "payment_card", "credential"})
    assert masked.messages[1].text == after
    assert len(privacy.findings) == 1


def test_a_short_share_of_a_split_value_is_masked_there_and_nowhere_else():
    parts = [{"type": "text", "text": "Write to mail"}, {"type": "text", "text": "@example.com, my mail."}]
    request = make_request([{"role": "user", "content": parts}], {})
    privacy = asyncio.run(SENSES.sense(request)).privacy
    masked = mask(request.messages, privacy, {"contact"})
    assert masked.messages[0].text == "Write to [EMAIL][EMAIL], my mail."
    assert "mail" not in masked.hidden["contact"]


async def test_an_ordinary_conversation_stays_public():
    turns = []
    for asked, said in (
        ("What is the capital of Australia?", "Canberra. It has 450000 people."),
        ("I have a question", "Depression is treated with therapy. What would you like to know?"),
        ("How many apples are 12 and 30?", "42"),
        ("4", "111"),
        ("Who wrote this poem? My teacher says", "Cancer ward is a novel by Solzhenitsyn."),
    ):
        turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    turns.append({"role": "user", "content": "Thanks, call it a day"})
    assert (await SENSES.sense(make_request(turns, {}))).privacy.sensitivity == "public"
