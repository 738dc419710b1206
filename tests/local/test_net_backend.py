"""Nets behind a router: from the public door to the label, and every way in which one is not asked."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import hybridrt
from hybridrt.application import Application, LocalModel, read_application
from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.errors import (
    ApplicationFileError,
    Busy,
    ContextOverflowError,
    DeadlineError,
    InvalidRequestError,
    MissingExtraError,
    ModelFileError,
    NoAnswerError,
    PictureError,
    RefusedByPolicy,
    UnavailableError,
    UnsupportedError,
)
from hybridrt.event import Finish, Text
from hybridrt.local.net_backend import NetBackend
from hybridrt.request import make_request
from hybridrt.router import Router
from hybridrt.target import Place, Target
from hybridrt.testing import MemoryLedger, ScriptedBackend
from tests.local.nets import byte_net, colour_net, encoder, png
from tests.local.test_picture import bomb

RED = png((255, 0, 0))


def router_over(*paths: Path, **given) -> Router:
    models = tuple(LocalModel(path.stem, path, backend="onnx") for path in paths)
    return Router.open(Application(models=models), ledger=MemoryLedger(), **given)


def a_seven(side: int = 300) -> Image.Image:
    picture = Image.new("RGB", (side, side), (235, 232, 220))
    ImageDraw.Draw(picture).text((side // 3, side // 8), "7", fill=(30, 30, 90), font=ImageFont.load_default(side // 2))
    return picture


FORMS = {
    "a path": lambda folder: save(folder / "scan.png"),
    "a path as text": lambda folder: str(save(folder / "scan.png")),
    "bytes": lambda folder: save(folder / "scan.png").read_bytes(),
    "a PIL image": lambda _: a_seven(),
    "an array": lambda _: np.asarray(a_seven()),
    "a grey array": lambda _: np.asarray(a_seven().convert("L")),
    "a data URL": lambda folder: data_url(save(folder / "scan.png").read_bytes()),
}


def save(path: Path) -> Path:
    a_seven().save(path)
    return path


def data_url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("form", FORMS)
async def test_the_factory_reader_reads_a_digit_in_every_form_with_no_file_and_no_network(tmp_path, form):
    async with Router.open(ledger=MemoryLedger()) as router:
        answer = await router.infer(image=FORMS[form](tmp_path), task="classify")
    assert (answer.text, answer.target, answer.place, answer.receipt.bytes_out) == ("7", "digits", Place.DEVICE, 0)
    assert answer.labels[0] == ("7", answer.confidence)
    assert answer.confidence > 0.8


async def test_unknown_is_an_answer(tmp_path):
    async with Router.open(ledger=MemoryLedger()) as router:
        answer = await router.infer(image=Image.new("RGB", (50, 50), "white"))
    assert (answer.text, answer.finish) == ("unknown", "stop")


async def test_several_pictures_are_labelled_in_their_order(tmp_path):
    pictures = [hybridrt.Image("image/png", png(colour)) for colour in ((0, 255, 0), (255, 0, 0))]
    async with router_over(colour_net(tmp_path)) as router:
        answer = await router.infer([{"role": "user", "content": pictures}], task="classify")
    assert answer.text == "green\nred"
    assert [row["label"] for row in answer.parsed] == ["green", "red"]


async def test_a_stream_of_a_label_ends_like_every_stream(tmp_path):
    async with router_over(colour_net(tmp_path)) as router, aclosing(router.stream(image=RED)) as events:
        kinds = [type(event).__name__ async for event in events]
    assert kinds == ["Route", "Text", "Done"]


# --- who is asked ---

REFUSED = {
    "words alone": ({"prompt": "What is the capital of France?"}, "it reads pictures only"),
    "words beside the picture": ({"prompt": "What is this?", "image": RED, "task": "classify"}, "it reads pictures only"),
    "another task": ({"image": RED, "task": "caption"}, "does nothing but classify"),
    "another model": ({"image": RED, "model": "other"}, "named another model"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_net_that_is_not_meant_is_refused_by_name_of_the_reason(tmp_path, what):
    options, reason = REFUSED[what]
    async with router_over(colour_net(tmp_path)) as router:
        with pytest.raises(RefusedByPolicy) as caught:
            await router.infer(**options)
        assert (await router.infer(image=RED)).text == "red"
    assert reason in caught.value.decision.explain()


async def test_a_picture_with_no_net_is_a_typed_refusal(tmp_path):
    async with router_over(byte_net(tmp_path)) as router:
        with pytest.raises(RefusedByPolicy) as caught:
            await router.infer(image=RED, task="classify")
    assert "it reads no pictures" in caught.value.decision.explain()


async def test_a_question_about_a_picture_goes_past_the_net_to_a_model_that_can_talk(tmp_path, policy_file):
    from hybridrt.application import Binding

    talker = ScriptedBackend("a red square")
    application = Application(
        policies=(policy_file("declared: {settles_unknown: [sensitivity, labels]}\nrouting:\n  - {id: r, order: [device, cloud]}\n"),),
        models=(LocalModel("colours", colour_net(tmp_path), backend="onnx"),),
        bindings=(Binding("alpha", "m", modalities=frozenset({"text", "image"})),),
    )
    async with Router.open(application, backends={"alpha": talker}, ledger=MemoryLedger()) as router:
        said = {"sensitivity": "public", "labels": []}
        assert (await router.infer("What is this?", image=RED, **said)).target == "alpha"
        assert (await router.infer(image=RED, task="classify", **said)).target == "colours"


async def test_a_net_is_asked_for_by_its_name_without_a_task(tmp_path):
    async with router_over(byte_net(tmp_path), colour_net(tmp_path)) as router:
        assert (await router.infer("aaa", model="letters")).text == "a"
        assert (await router.infer("bbb", task="classify")).text == "b"


# --- what comes with a request that a net cannot serve ---


async def test_tools_forms_and_conversations_are_refused_and_not_dropped(tmp_path):
    async with router_over(byte_net(tmp_path)) as router:
        for options in ({"output": {"type": "object"}}, {"tools": [{"name": "t", "parameters": {}}]}):
            with pytest.raises(UnsupportedError):
                await router.infer("a", task="classify", **options)
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
        for messages in (turns, [{"role": "system", "content": "be kind"}, turns[0]], [{"role": "system", "content": "a"}]):
            with pytest.raises(UnsupportedError):
                await router.infer(messages, task="classify")


async def test_a_bomb_is_a_typed_error_with_numbers_and_the_next_picture_is_read():
    async with Router.open(ledger=MemoryLedger()) as router:
        with pytest.raises(PictureError) as caught:
            await router.infer(image=bomb(30_000, 30_000))
        assert caught.value.pixels == 900_000_000
        assert (await router.infer(image=a_seven())).text == "7"


async def test_no_word_of_a_text_stands_in_its_errors(tmp_path):
    secret = "canary" * 20
    async with router_over(byte_net(tmp_path)) as router:
        with pytest.raises(ContextOverflowError) as caught:
            await router.infer(secret, task="classify")
    assert "canary" not in f"{caught.value}{caught.value.hint}{vars(caught.value)}"


# --- vectors ---


async def test_embed_returns_a_vector_per_text_and_says_where_they_were_made(tmp_path):
    async with router_over(encoder(tmp_path), byte_net(tmp_path)) as router:
        found = await router.embed(["one", "two", "one"])
        alone = await router.embed("one")
    assert found.vectors.shape == (3, 5)
    assert found.vectors.dtype == np.float32
    assert (found.target, found.place, found.receipt.bytes_out, len(found)) == ("vectors", Place.DEVICE, 0, 3)
    assert np.allclose(found.vectors[0], found.vectors[2])
    assert np.allclose(alone.vectors[0], found.vectors[0], atol=1e-6)
    assert "one" not in repr(found)
    with pytest.raises(ValueError, match="read-only"):
        found.vectors[0, 0] = 1


async def test_a_text_that_is_too_long_for_vectors_is_an_error_and_nothing_is_cut(tmp_path):
    async with router_over(encoder(tmp_path)) as router:
        with pytest.raises(ContextOverflowError) as caught:
            await router.embed(["fits", "x" * 33])
    assert (caught.value.needed, caught.value.window) == (33, 32)


@pytest.mark.parametrize("texts", [[], 5, None, ["a", 5], [b"x"], [""]])
async def test_what_is_no_text_makes_no_vectors(tmp_path, texts):
    async with router_over(encoder(tmp_path)) as router:
        with pytest.raises(InvalidRequestError):
            await router.embed(texts)


async def test_options_that_have_no_place_are_refused(tmp_path):
    async with router_over(encoder(tmp_path)) as router:
        for option in ({"temperature": 1.0}, {"task": "x"}, {"tools": []}):
            with pytest.raises(InvalidRequestError):
                await router.embed("a", **option)
        with pytest.raises(RefusedByPolicy):
            await router.embed("a", only="off_device")


async def test_without_an_encoder_embed_is_refused_with_the_reason():
    async with Router.open(ledger=MemoryLedger()) as router:
        with pytest.raises(NoAnswerError) as caught:
            await router.embed("a")
    assert "it makes no vectors" in caught.value.decision.explain()


def test_embed_without_await(tmp_path):
    models = (LocalModel("vectors", encoder(tmp_path), backend="onnx"),)
    with hybridrt.sync.Router.open(Application(models=models), ledger=MemoryLedger()) as router:
        assert router.embed(["a", "b"]).vectors.shape == (2, 5)


# --- loading, waiting, closing ---


def call(path: Path, deadline_s: float | None = None, **options) -> Call:
    request = make_request(None if "image" in options else "a", {**options})
    return Call(Target(path.stem, Place.DEVICE, path.stem), request.messages, Deadline.start(deadline_s))


async def answered(backend: NetBackend, asked: Call) -> list:
    async with aclosing(backend.answer(asked)) as events:
        return [event async for event in events]


async def test_a_net_loads_on_first_use_off_the_loop_and_once(tmp_path):
    path = colour_net(tmp_path)
    backend = NetBackend(path, queue_limit=4)
    assert (backend.note, backend.fault) == ("", "")
    answers = await asyncio.gather(*(answered(backend, call(path, image=RED)) for _ in range(4)))
    assert all(events[0] == Text("red") and isinstance(events[-1], Finish) for events in answers)
    assert backend.note == "3 nodes on CPUExecutionProvider"
    await backend.close()
    with pytest.raises(UnavailableError):
        await answered(backend, call(path, image=RED))


async def test_a_net_that_cannot_be_loaded_is_tried_again_when_asked_again(tmp_path):
    path = colour_net(tmp_path)
    good = path.read_bytes()
    path.write_bytes(b"")
    backend = NetBackend(path, queue_limit=4)
    with pytest.raises(ModelFileError):
        await answered(backend, call(path, image=RED))
    assert "digest" in backend.fault
    path.write_bytes(good)
    assert (await answered(backend, call(path, image=RED)))[0] == Text("red")
    assert backend.fault == ""
    await backend.close()


async def test_more_requests_than_may_wait_hear_that_it_is_busy(tmp_path):
    path = colour_net(tmp_path)
    backend = NetBackend(path, queue_limit=1)
    await backend.start()
    results = await asyncio.gather(*(answered(backend, call(path, image=RED)) for _ in range(6)), return_exceptions=True)
    busy = [result for result in results if isinstance(result, Busy)]
    assert busy
    assert all(error.retry_after_s is not None for error in busy)
    assert len(busy) + sum(isinstance(result, list) for result in results) == 6
    assert (await answered(backend, call(path, image=RED)))[0] == Text("red")
    await backend.close()


async def test_the_deadline_covers_the_loading(tmp_path):
    async with router_over(colour_net(tmp_path)) as router:
        with pytest.raises(DeadlineError):
            await router.infer(image=RED, deadline_s=0.000001)


async def test_cancelling_leaves_the_net_usable(tmp_path):
    path = colour_net(tmp_path)
    backend = NetBackend(path, queue_limit=4)
    for _ in range(5):
        task = asyncio.create_task(answered(backend, call(path, image=RED)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await answered(backend, call(path, image=RED)))[0] == Text("red")
    await backend.close()


# --- the application file and the status ---


async def test_the_application_file_names_nets_processors_and_power(tmp_path):
    colour_net(tmp_path)
    byte_net(tmp_path)
    (tmp_path / "hybridrt.yaml").write_text(
        "hybridrt: 1\nmodels:\n  colours: {path: colours.onnx, providers: [cuda, cpu]}\n  letters: {path: letters.onnx, power: saving}\n"
    )
    async with Router.open(tmp_path / "hybridrt.yaml", ledger=MemoryLedger()) as router:
        assert (await router.infer(image=RED)).text == "red"
        notes = {target.id: target.reason for target in router.status().targets}
        assert notes["colours"] == "3 nodes on CPUExecutionProvider; nothing on CUDAExecutionProvider, which was asked for"
        assert notes["letters"] == ""
        probed = {target.id: (target.usable, target.reason) for target in (await router.probe()).targets}
        assert probed["letters"] == (True, "2 nodes on CPUExecutionProvider")


@pytest.mark.parametrize(
    "line", ["{path: a.onnx, power: loud}", "{path: a.onnx, power: saving, providers: [cpu]}", "{path: a.gguf, power: saving}"]
)
def test_a_wrong_word_about_where_a_net_runs_has_its_line(tmp_path, line):
    (tmp_path / "hybridrt.yaml").write_text(f"hybridrt: 1\nmodels:\n  a: {line}\n")
    with pytest.raises(ApplicationFileError) as caught:
        read_application(tmp_path / "hybridrt.yaml")
    assert caught.value.line == 3


async def test_a_wrong_manifest_keeps_the_net_out_and_the_status_says_why(tmp_path):
    path = colour_net(tmp_path, temperature=-1)
    async with router_over(path) as router:
        (target,) = router.status().targets
        assert not target.usable
        assert "colours.json:" in target.reason


async def test_a_net_that_fails_its_golden_case_shows_in_the_probed_status(tmp_path):
    path = colour_net(tmp_path, golden={"tolerance": 0.001, "cases": [{"input": [0.0] * 12, "output": [5, 0, 0]}]})
    async with router_over(path) as router:
        assert router.status().targets[0].usable
        (target,) = (await router.probe()).targets
    assert not target.usable
    assert "golden case 1" in target.reason


def test_without_the_extra_a_picture_is_refused_with_the_command(tmp_path):
    # A process in which onnxruntime cannot be found, as where the extra is not installed.
    script = (
        "import sys, asyncio\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'onnxruntime': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "from hybridrt import Router\n"
        "from hybridrt.testing import MemoryLedger\n"
        "from hybridrt.errors import MissingExtraError\n"
        "async def main():\n"
        "    async with Router.open(ledger=MemoryLedger()) as router:\n"
        "        try: await router.infer(image=sys.argv[1])\n"
        "        except MissingExtraError as error: print(error.extra, error.hint)\n"
        "asyncio.run(main())\n"
    )
    out = subprocess.run([sys.executable, "-c", script, str(save(tmp_path / "x.png"))], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == 'local pip install "hybridrt[local]"'
    assert issubclass(MissingExtraError, ImportError)


def ask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "HOME": str(folder), "LOCALAPPDATA": str(folder)}
    command = [sys.executable, "-m", "hybridrt.cli.main", "ask", *arguments]
    return subprocess.run(command, env=environment, input="", capture_output=True, text=True, check=True, timeout=120)


def test_ask_prints_the_label_and_how_sure(tmp_path):
    picture = str(save(tmp_path / "digit.png"))
    told = ask(tmp_path, "--image", picture)
    assert told.stdout.strip() == "7"
    assert "sure]" in told.stderr
    row = json.loads(ask(tmp_path, "--image", picture, "--json").stdout)
    assert (row["labels"][0]["label"], row["text"], row["place"], row["bytes_out"]) == ("7", "7", "device", 0)
    Image.new("L", (30, 30), 255).save(picture)
    assert ask(tmp_path, "--image", picture).stdout.strip() == "unknown"
