"""Whatever a caller or a hand-edited file holds ends in a typed error or a correct answer, never in a library's traceback."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from hybridrt.application import Application, Binding, EngineLimits, LocalModel, read_application
from hybridrt.errors import (
    ApplicationFileError,
    ClosedError,
    ContextOverflowError,
    HybridrtError,
    InvalidRequestError,
    MissingError,
    MissingKeyError,
    MissingModelError,
    NoAnswerError,
)
from hybridrt.local.factory import placeholder
from hybridrt.request import Image, Message, Request, Text, ToolCall, make_request
from hybridrt.router import Router
from hybridrt.testing import MemoryLedger, ScriptedBackend

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55")

CYCLE: dict = {"type": "object"}
CYCLE["properties"] = CYCLE
DEEP: dict = {}
for _ in range(200):
    DEEP = {"properties": {"a": DEEP}}


class Raises:
    """A model class that cannot say its own schema."""

    model_validate = None

    @classmethod
    def model_json_schema(cls):
        raise ValueError("hello")


WRONG_REQUESTS = {
    "nothing": (None, {}, "prompt"),
    "an empty text": ("", {}, "messages"),
    "white space": (" \n\t", {}, "messages"),
    "an empty list": ([], {}, "messages"),
    "a number": (42, {}, "prompt"),
    "bytes": (b"hello", {}, "prompt"),
    "a message that is text": (["hello"], {}, "messages"),
    "a message without role": ([{"content": "hi"}], {}, "messages"),
    "an unknown role": ([{"role": "wizard", "content": "hi"}], {}, "messages"),
    "a message without content": ([{"role": "user"}], {}, "messages"),
    "content that is a number": ([{"role": "user", "content": 7}], {}, "messages"),
    "a part of an unknown type": ([{"role": "user", "content": [{"type": "audio"}]}], {}, "messages"),
    "a picture by address": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}],
        {},
        "messages",
    ),
    "half a surrogate pair": ("caf\ud83d", {}, "messages"),
    "half a surrogate pair in a turn": ([{"role": "user", "content": "\udc00"}], {}, "messages"),
    "a tool call whose arguments are no JSON": (
        [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
        {},
        "messages",
    ),
    "an unknown option": ("hi", {"temprature": 1}, "temprature"),
    "a negative limit": ("hi", {"max_output_tokens": 0}, "max_output_tokens"),
    "a limit that is true": ("hi", {"max_output_tokens": True}, "max_output_tokens"),
    "a deadline before now": ("hi", {"deadline_s": -1}, "deadline_s"),
    "a deadline that is no number": ("hi", {"deadline_s": float("nan")}, "deadline_s"),
    "a temperature that is text": ("hi", {"temperature": "warm"}, "temperature"),
    "labels that are one text": ("hi", {"labels": "health"}, "labels"),
    "an unknown place": ("hi", {"only": "moon"}, "only"),
    "a tool without a name": ("hi", {"tools": [{"parameters": {}}]}, "tools"),
    "an output that is a number": ("hi", {"output": 3}, "output"),
    "a deadline past all time": ("hi", {"deadline_s": 10**400}, "deadline_s"),
    "a temperature past all numbers": ("hi", {"temperature": 10**400}, "temperature"),
    "tools that are a number": ("hi", {"tools": 5}, "tools"),
    "an only that is a list": ("hi", {"only": []}, "only"),
    "a schema that holds itself": ("hi", {"output": CYCLE}, "output"),
    "parameters that are too deep": ("hi", {"tools": [{"name": "f", "parameters": DEEP}]}, "tools"),
    "arguments that are no JSON": ([Message("assistant", (), (ToolCall("f", {"a": {1, 2}}),))], {}, "messages"),
    "parts that are a number": (Message("user", 5), {}, "messages"),
    "a ready request with another word for the device": (Request((Message("user", (Text("hi"),)),), only="local"), {}, "only"),
    "a ready request of a wizard": (Request((Message("wizard", (Text("hi"),)),)), {}, "messages"),
    "words that are bytes": (Request((Message("user", (Text(b"hello"),)),)), {}, "prompt"),
    "a ready request without messages": (Request(()), {}, "messages"),
    "an output whose schema raises": ("hi", {"output": Raises}, "prompt"),
    "a picture that is none": ("hi", {"image": b"not a picture"}, "image"),
    "a picture that is not there": ("hi", {"image": "/no/such/picture.png"}, "image"),
    "a data URL that does not decode": ("hi", {"image": "data:image/png;base64,!!!"}, "image"),
}


@pytest.mark.parametrize("what", WRONG_REQUESTS)
@pytest.mark.parametrize("door", ["infer", "decide"])
async def test_a_wrong_request_is_a_typed_error_at_every_door(open_router, what, door):
    prompt, options, _ = WRONG_REQUESTS[what]
    async with open_router(backends={"factory": ScriptedBackend("x")}) as router:
        with pytest.raises(InvalidRequestError):
            await getattr(router, door)(prompt, **options)


@pytest.mark.parametrize("what", WRONG_REQUESTS)
def test_a_wrong_request_is_refused_with_the_name_of_the_field(what):
    prompt, options, field = WRONG_REQUESTS[what]
    with pytest.raises(InvalidRequestError) as caught:
        make_request(prompt, options)
    assert caught.value.field == field
    assert "hello" not in str(caught.value)


@pytest.mark.parametrize("parts", ["hello", ("hello",), ["hello"], (Text("hello"),)])
def test_words_may_stand_in_a_message_as_they_are(parts):
    assert make_request(Message("user", parts), {}).messages[0].text == "hello"
    assert make_request([Message("user", parts)], {}).messages[0].text == "hello"


def test_a_picture_may_be_given_in_every_form_the_package_has_for_it():
    assert make_request("what is it?", {"image": Image("image/png", PNG)}).has_images
    assert make_request(Message("user", ("what is it?", Image("image/png", PNG))), {}).has_images
    with pytest.raises(InvalidRequestError, match="by URL"):
        make_request("what is it?", {"image": "https://x.example/a.png"})


def test_a_misspelt_option_is_answered_with_the_nearest_one():
    with pytest.raises(InvalidRequestError) as caught:
        make_request("hi", {"temprature": 1})
    assert "temperature" in caught.value.hint


@pytest.mark.parametrize("declared", [{"purpose": "codding"}, {"labels": ["helth"]}, {"sensitivity": "secret"}, {"consent": "yes"}])
async def test_a_declared_word_that_the_policy_does_not_know_is_refused_with_the_nearest(open_router, declared):
    async with open_router(backends={"factory": ScriptedBackend("x")}) as router:
        with pytest.raises(InvalidRequestError) as caught:
            await router.decide("hi", **declared)
    assert caught.value.field in declared
    assert caught.value.hint


async def test_a_nul_reaches_the_model_as_it_is(open_router):
    device = ScriptedBackend("ok")
    async with open_router(backends={"factory": device}) as router:
        await router.infer("one\x00two")
    assert device.calls[0].messages[0].text == "one\x00two"


async def test_the_shipped_model_takes_no_action_from_text_with_control_characters_and_reads_past_marks_of_direction(tmp_path):
    async with Router.open(Application(ledger=tmp_path / "l.jsonl")) as router:
        with pytest.raises(NoAnswerError):
            await router.infer("set a\x00timer for\x1bten minutes", only="device")
        answer = await router.infer("set a timer \u202efor ten minutes\ufeff", only="device")
    assert answer.tool_calls[0].arguments == {"duration_s": 600}


async def test_a_picture_for_a_text_model_is_refused_with_the_reason(tmp_path):
    async with Router.open(Application(ledger=tmp_path / "l.jsonl")) as router:
        with pytest.raises(NoAnswerError) as caught:
            await router.infer("what is this?", image=PNG)
    assert "pictures" in caught.value.decision.explain()


async def test_ten_megabytes_of_text_are_too_long_for_the_device_and_the_loop_keeps_turning(tmp_path):
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    async with Router.open(Application(ledger=tmp_path / "l.jsonl")) as router:
        ticking = asyncio.create_task(tick())
        with pytest.raises(ContextOverflowError) as caught:
            await router.infer("the river rose again and " * 400_000)
        ticking.cancel()
    assert caught.value.needed > caught.value.window > 0
    assert turns > 20, "the scan gave way to other work"


async def test_a_closed_router_says_so():
    router = Router.open(Application(), backends={"factory": ScriptedBackend("x")}, ledger=MemoryLedger())
    await router.close()
    await router.close()
    with pytest.raises(ClosedError):
        await router.infer("hi")


# --- what is missing ---


async def test_a_missing_model_file_is_named_with_what_to_do(tmp_path, policy_file):
    application = Application(policies=(policy_file(),), models=(LocalModel("chat", tmp_path / "no.gguf"),))
    async with Router.open(application, ledger=MemoryLedger()) as router:
        with pytest.raises(MissingModelError) as caught:
            await router.infer("hi")
        assert not router.status().targets[0].usable
    assert caught.value.model == "chat"
    assert caught.value.hint
    assert caught.value.decision is not None


async def test_a_missing_key_is_named_with_the_command_that_helps(policy_file):
    application = Application(policies=(policy_file(),), bindings=(Binding("alpha", "m", key="env:HYBRIDRT_TEST_NO_SUCH_KEY"),))
    async with Router.open(application, backends={"factory": ScriptedBackend("x")}, ledger=MemoryLedger()) as router:
        assert (await router.infer("hi")).target == "factory"
        with pytest.raises(MissingKeyError) as caught:
            await router.infer("hi", only="off_device")
    assert caught.value.source == "env:HYBRIDRT_TEST_NO_SUCH_KEY"
    assert "export HYBRIDRT_TEST_NO_SUCH_KEY" in caught.value.hint


async def test_an_adapter_that_is_not_installed_leaves_the_plan_with_the_reason(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(
        "hybridrt_policy: 1\nname: p\nversion: 1.0.0\nowner: o\nrecipients:\n  - {id: on-device, kind: local}\n"
        '  - {id: odd, kind: cloud, adapter: not-installed, endpoint: "https://odd.example"}\n'
        "rules:\n  - {id: all, effect: permit, when: always, to: {kind: cloud}}\n"
    )
    application = Application(policies=(path,), bindings=(Binding("odd", "m"),))
    async with Router.open(application, backends={"factory": ScriptedBackend("x")}, ledger=MemoryLedger()) as router:
        decision = await router.decide("hi there, how are you?")
    assert "odd" in decision.ruling.may_reach
    assert [target.id for target in decision.plan] == ["factory"]
    assert "not-installed" in decision.explain()


def test_without_the_local_extra_the_error_says_how_to_install_it(tmp_path):
    code = (
        "import sys, asyncio\n"
        "sys.modules['llama_cpp'] = None  # as if it were not installed\n"
        "from hybridrt import Router\n"
        "from hybridrt.errors import MissingExtraError\n"
        "async def main():\n"
        "    async with Router.open() as router:\n"
        "        try:\n"
        "            await router.infer('hi')\n"
        "        except MissingExtraError as error:\n"
        "            print(error.hint)\n"
        "asyncio.run(main())\n"
    )
    import os

    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == 'pip install "hybridrt[local]"', done.stderr


async def test_a_key_written_where_its_source_belongs_is_not_shown(policy_file):
    application = Application(policies=(policy_file(),), bindings=(Binding("alpha", "m", key="sk-plain-key"),))
    async with Router.open(application, backends={"factory": ScriptedBackend("x")}, ledger=MemoryLedger()) as router:
        assert "sk-plain-key" not in repr(router.status())
        with pytest.raises(MissingKeyError) as caught:
            await router.infer("hi", only="off_device")
    assert "sk-plain-key" not in str(caught.value) + caught.value.hint + caught.value.source


async def test_a_model_and_a_recipient_of_one_name_are_told_apart_and_the_recipient_is_left_out(policy_file, tmp_path):
    application = Application(
        policies=(policy_file(),), models=(LocalModel("alpha", tmp_path / "a.gguf"),), bindings=(Binding("alpha", "m"),)
    )
    async with Router.open(application, backends={"alpha": ScriptedBackend("x")}, ledger=MemoryLedger()) as router:
        assert [(target.id, str(target.place)) for target in (await router.decide("hi")).plan] == [("alpha", "device")]
        assert any("same name" in target.reason for target in router.status().targets)


@pytest.mark.parametrize("policies", [[], [5], ["no-such-pack"]])
async def test_policies_that_are_none_close_the_cloud(policies):
    async with Router.open(Application(), policies=policies, backends={"factory": ScriptedBackend("x")}, ledger=MemoryLedger()) as router:
        assert (await router.infer("hi")).target == "factory"
        assert router.status().problems


async def test_one_policy_may_be_given_by_itself():
    async with Router.open(
        Application(), policies="device-only", backends={"factory": ScriptedBackend("x")}, ledger=MemoryLedger()
    ) as router:
        assert router.status().policy == "device-only"


def test_an_error_survives_the_way_to_another_process():
    import pickle

    error = ContextOverflowError("too long", needed=9, window=4, target="factory")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made one line above
    assert (type(copy), str(copy), copy.needed, copy.window, copy.hint) == (type(error), str(error), 9, 4, error.hint)


# --- the application file ---

WRONG_FILES = {
    "empty": ("", 1, 1),
    "no YAML": ("hybridrt: [1", 2, None),
    "no version": ("policy: private-first\n", 1, 1),
    "a version of the future": ("hybridrt: 2\n", 1, 11),
    "an unknown key": ("hybridrt: 1\npolcy: private-first\n", 2, 1),
    "a key in the file": ("hybridrt: 1\nrecipients:\n  openai: {model: m, key: sk-verysecret}\n", 3, None),
    "a recipient without model": ("hybridrt: 1\nrecipients:\n  openai: {key: env:X}\n", 3, None),
    "an empty model": ("hybridrt: 1\nrecipients:\n  openai: {model: ''}\n", 3, 19),
    "an empty model for vectors": ("hybridrt: 1\nrecipients:\n  openai: {model: m, embed: ' '}\n", 3, 29),
    "half a price": ("hybridrt: 1\nrecipients:\n  openai: {model: m, input_usd_per_mtok: 1}\n", 3, None),
    "a model without path": ("hybridrt: 1\nmodels:\n  chat: {window: 1}\n", 3, None),
    "a window that is text": ("hybridrt: 1\nmodels:\n  chat: {path: a.gguf, window: big}\n", 3, None),
    "a list of models": ("hybridrt: 1\nmodels: [a]\n", 2, None),
    "a tab": ("hybridrt: 1\n\tpolicy: x\n", 2, 1),
    "an anchor": ("hybridrt: 1\nmodels: &a {}\n", 2, None),
    "a duplicate": ("hybridrt: 1\nhybridrt: 1\n", 2, 1),
    "a window of nothing": ("hybridrt: 1\nmodels:\n  chat: {path: a.gguf, window: 0}\n", 3, 32),
    "no thread": ("hybridrt: 1\nmodels:\n  chat: {path: a.gguf, threads: 0}\n", 3, 33),
    "no thread in a process of its own": ("hybridrt: 1\nmodels:\n  chat: {isolation: process, path: a.gguf, threads: 0}\n", 3, 53),
    "more threads than there are": ("hybridrt: 1\nmodels:\n  chat: {path: a.gguf, threads: 1025}\n", 3, 33),
    "a recipient that reads nothing": ("hybridrt: 1\nrecipients:\n  openai: {model: m, window: 0}\n", 3, 30),
    "a recipient that says nothing": ("hybridrt: 1\nrecipients:\n  openai: {model: m, max_output_tokens: 0}\n", 3, 41),
    "a price below nothing": (
        "hybridrt: 1\nrecipients:\n  openai: {model: m, input_usd_per_mtok: -1, output_usd_per_mtok: 1}\n",
        3,
        42,
    ),
    "nowhere to wait": ("hybridrt: 1\nengine: {queue: 0}\n", 2, 17),
    "no answer at once": ("hybridrt: 1\nengine: {slots: 0}\n", 2, 17),
    "no memory": ("hybridrt: 1\nengine: {memory_mb: 0}\n", 2, 21),
    "half a second": ("hybridrt: 1\nengine: {keep_alive_s: 0.5}\n", 2, 24),
    "less than no memory for prompts": ("hybridrt: 1\nengine: {prefix_mb: -1}\n", 2, 21),
    "nobody to discover": ("hybridrt: 1\nnear_edge: {discover: []}\n", 2, 23),
    "somebody to discover twice": ("hybridrt: 1\nnear_edge: {discover: [box, lan, box]}\n", 2, 34),
}


@pytest.mark.parametrize("what", WRONG_FILES)
def test_a_wrong_application_file_is_an_error_with_its_place_and_a_remedy(tmp_path, what):
    text, line, column = WRONG_FILES[what]
    path = tmp_path / "hybridrt.yaml"
    path.write_text(text)
    with pytest.raises(ApplicationFileError) as caught:
        read_application(path)
    assert caught.value.line == line
    assert column is None or caught.value.column == column
    assert caught.value.hint or "must be" in caught.value.what
    assert "verysecret" not in str(caught.value) + caught.value.hint


UNUSABLE_MODELS = {
    "a name that no file system takes": LocalModel("chat", Path("b" * 5000)),
    "a window of nothing": LocalModel("chat", placeholder(), window=0),
    "no thread": LocalModel("chat", placeholder(), threads=0),
    "a backend that is not installed": LocalModel("chat", placeholder(), backend="nope"),
}


@pytest.mark.parametrize("what", UNUSABLE_MODELS)
async def test_a_model_that_cannot_be_made_leaves_the_router_open_and_the_status_says_why(what):
    async with Router.open(Application(models=(UNUSABLE_MODELS[what],)), ledger=MemoryLedger()) as router:
        (chat,) = router.status().targets
        with pytest.raises(MissingError):
            await router.infer("hi")
    assert not chat.usable
    assert chat.reason


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\xef\xbb\xbfhybridrt: 1\n", b"\x80\x81", b"a: " * 100_000])
def test_a_file_that_is_no_text_is_an_error_with_its_place(tmp_path, data):
    path = tmp_path / "hybridrt.yaml"
    path.write_bytes(data)
    with pytest.raises(ApplicationFileError):
        read_application(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ApplicationFileError):
        read_application(tmp_path / "no.yaml")


def test_a_whole_application_file_is_read(tmp_path):
    path = tmp_path / "hybridrt.yaml"
    path.write_text(
        "hybridrt: 1\npolicy: [private-first, ./mine.yaml]\nledger: logs/l.jsonl\nengine: {queue: 4, slots: 2, keep_alive_s: 60, memory_mb: 4000, prefix_mb: 100}\n"
        "models:\n  chat: {path: m/chat.gguf, window: 4096, threads: 2}\n"
        "recipients:\n  openai:\n    model: some-model\n    key: env:OPENAI_API_KEY\n    window: 128000\n"
        "    max_output_tokens: 4096\n    modalities: [text, image]\n    input_usd_per_mtok: 0.25\n    output_usd_per_mtok: 2\n"
    )
    application = read_application(path)
    assert application.policies == ("private-first", tmp_path / "mine.yaml")
    assert application.models == (LocalModel("chat", tmp_path / "m/chat.gguf", window=4096, threads=2),)
    assert application.bindings[0].key == "env:OPENAI_API_KEY"
    assert application.bindings[0].price.output_usd_per_mtok == 2
    assert (application.ledger, application.queue) == (tmp_path / "logs/l.jsonl", 4)
    assert application.engine == EngineLimits(slots=2, keep_alive_s=60, memory_bytes=4_000_000_000, prefix_bytes=100_000_000)


# --- the command line ---


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "hi", "--policy", "no-such-policy.yaml", "--only", "off_device"],
        ["decide", "hi", "--purpose", "nonsense"],
        ["ask", "", "--max-tokens", "4"],
        ["ask", "caf\udce9", "--max-tokens", "4"],
        ["doctor", "--app", "no-such-file.yaml"],
        ["ask", "hi", "--image", "no-such-picture.png"],
    ],
)
def test_a_command_that_fails_says_why_in_words_and_ends_with_one(tmp_path: Path, arguments):
    import os

    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "hybridrt.cli.main", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip() or done.stdout.strip()


def test_errors_have_a_code_a_hint_and_a_place_in_the_drawn_tree():
    import hybridrt.errors as module

    drawn = module.__doc__
    family = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, HybridrtError)]
    for error in family:
        assert error is HybridrtError or f"+ {error.__name__} " in drawn.replace("\n", " \n"), error.__name__
        assert error.code
