"""Servers nearby, each played on loopback: what they are asked, which of their models are used, and what Ollama may not do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hybridrt.application import read_application
from hybridrt.egress.near_edge import Served, choose, is_cloud_name, is_ollama
from hybridrt.errors import ApplicationFileError, NoAnswerError, ProtocolError, TargetError, UnsupportedError
from hybridrt.router import Router
from hybridrt.target import Place, Target
from hybridrt.testing import LoopbackProvider, MemoryLedger, ScriptedBackend
from hybridrt.testing.replies import Received, Reply, fail, say

ASK = "What is the capital of France?"


def plays(lists: dict[str, object], chat: str = "Paris"):
    """A server with these lists at these paths, which answers anything else as a chat."""
    answer = say(chat)

    def script(received: Received) -> Reply:
        if received.method == "GET":
            if received.path not in lists:
                return fail(404)(received) if callable(fail(404)) else fail(404)
            return Reply(pieces=(json.dumps(lists[received.path]).encode(),))
        return answer(received) if callable(answer) else answer

    return script


def models(*names: str, owner: str) -> dict[str, object]:
    return {"/v1/models": {"object": "list", "data": [{"id": name, "object": "model", "owned_by": owner} for name in names]}}


def tag(name: str, size: int = 2_000_000_000, **more: object) -> dict[str, object]:
    return {"name": name, "model": name, "size": size, "digest": "ab" * 32, "details": {"format": "gguf"}, **more}


def ollama(*tags: dict[str, object]) -> dict[str, object]:
    return {**models(*(str(one["name"]) for one in tags), owner="library"), "/api/tags": {"models": list(tags)}}


SERVERS = {
    "llama-server": models("/models/qwen.gguf", owner="llamacpp"),
    "lm-studio": models("qwen2.5-1.5b-instruct", owner="organization_owner"),
    "vllm": models("Qwen/Qwen2.5-1.5B-Instruct", owner="vllm"),
    "ollama": ollama(tag("qwen2.5:1.5b")),
}


def application(
    folder: Path, port: int, *, adapter: str = "openai-compatible", binding: str = "", permits: str = "near_edge", discover: str = "[box]"
):
    (folder / "policy.yaml").write_text(
        "hybridrt_policy: 1\nname: near\nversion: 1.0.0\nowner: tests\nrecipients:\n  - {id: on-device, kind: local}\n"
        f'  - {{id: box, kind: near_edge, adapter: {adapter}, endpoint: "http://127.0.0.1:{port}/v1"}}\n'
        '  - {id: far, kind: cloud, adapter: openai, endpoint: "https://far.example/v1"}\n'
        f"rules:\n  - {{id: ordinary, effect: permit, when: {{sensitivity: {{at_most: internal}}}}, to: {{kind: {permits}}}}}\n"
        "routing:\n  - {id: near-first, order: [near_edge, device]}\n"
    )
    (folder / "hybridrt.yaml").write_text(f"hybridrt: 1\npolicy: policy.yaml\nnear_edge: {{discover: {discover}}}\n{binding}")
    return folder / "hybridrt.yaml"


def opened(path: Path, ledger: MemoryLedger | None = None) -> Router:
    return Router.open(path, backends={"factory": ScriptedBackend("from the device")}, ledger=ledger or MemoryLedger())


@pytest.mark.parametrize("server", SERVERS)
async def test_the_only_model_of_each_server_is_found_and_asked(tmp_path, server):
    ledger = MemoryLedger()
    async with (
        LoopbackProvider(plays(SERVERS[server])) as provider,
        opened(application(tmp_path, provider.port, adapter=server), ledger) as router,
    ):
        answer = await router.infer(ASK)
        (box,) = [target for target in router.status().targets if target.id == "box"]
    assert (answer.text, answer.target, answer.place) == ("Paris", "box", Place.NEAR_EDGE)
    asked = provider.requests[-1].json["model"]
    assert box.reason == f"serves {asked}"
    assert asked in json.dumps(SERVERS[server])
    questions = [received for received in provider.requests if received.method == "GET"]
    assert questions
    assert all(not received.body for received in questions)
    permitted = [record for record in ledger.records if record["kind"] == "attempt"]
    assert len(permitted) == len(provider.requests), "each question had a permit of its own"
    assert answer.receipt.bytes_out == len(provider.received)


async def test_the_list_is_asked_for_once_and_not_before_every_request(tmp_path):
    async with LoopbackProvider(plays(SERVERS["vllm"])) as provider, opened(application(tmp_path, provider.port)) as router:
        for _ in range(3):
            await router.infer(ASK)
    assert [received.method for received in provider.requests] == ["GET", "POST", "POST", "POST"]


async def test_nothing_is_asked_when_the_router_opens_or_decides(tmp_path):
    async with LoopbackProvider(plays(SERVERS["vllm"])) as provider, opened(application(tmp_path, provider.port)) as router:
        await router.decide(ASK)
        router.status()
    assert not provider.connections


async def test_a_request_that_may_not_leave_asks_no_server_anything(tmp_path):
    async with LoopbackProvider(plays(SERVERS["vllm"])) as provider, opened(application(tmp_path, provider.port)) as router:
        assert (await router.infer("my password is hunter2hunter2")).text == "from the device"
    assert not provider.connections


# --- Ollama, which passes some requests on to a cloud ---

OFFLOADS = {
    "by its name": ollama(tag("gpt-oss:120b-cloud", 384)),
    "by a plain cloud tag": ollama(tag("kimi-k2:cloud", 384)),
    "by where it really is": ollama(tag("mine:latest", remote_model="gpt-oss:120b", remote_host="https://ollama.com")),
    "because it has no weights here": ollama(tag("copied:latest", 384)),
    "because its size is not said": ollama({"name": "odd:latest"}),
    "because the list that would tell is not there": models("qwen:latest", owner="library"),
}


@pytest.mark.parametrize("how", OFFLOADS)
@pytest.mark.parametrize("adapter", ["ollama", "openai-compatible"])
async def test_a_model_that_may_run_in_a_cloud_is_never_sent_a_word(tmp_path, how, adapter):
    async with (
        LoopbackProvider(plays(OFFLOADS[how])) as provider,
        opened(application(tmp_path, provider.port, adapter=adapter)) as router,
    ):
        answer = await router.infer(ASK)
        (box,) = [target for target in router.status().targets if target.id == "box"]
    assert answer.text == "from the device"
    assert b"France" not in provider.received
    assert not box.usable
    assert box.reason


async def test_the_local_one_of_ollamas_models_is_used_by_its_name(tmp_path):
    lists = ollama(tag("llama3.2:latest"), tag("gpt-oss:120b-cloud", 384))
    for named, found in (("llama3.2", "llama3.2:latest"), ("gpt-oss:120b-cloud", None), ("", "llama3.2:latest")):
        binding = f"recipients: {{box: {{model: '{named}'}}}}\n" if named else ""
        async with (
            LoopbackProvider(plays(lists)) as provider,
            opened(application(tmp_path, provider.port, adapter="ollama", binding=binding)) as router,
        ):
            answer = await router.infer(ASK)
        assert (answer.target == "box") is (found is not None)
        assert [r.json["model"] for r in provider.requests if r.method == "POST"] == ([found] if found else [])


async def test_an_ollama_that_is_bound_without_discovery_is_verified_all_the_same(tmp_path):
    binding = "recipients: {box: {model: 'gpt-oss:120b-cloud'}}\n"
    async with LoopbackProvider(plays(OFFLOADS["by its name"])) as provider:
        path = application(tmp_path, provider.port, adapter="ollama", binding=binding)
        path.write_text("hybridrt: 1\npolicy: policy.yaml\n" + binding)
        async with opened(path) as router:
            assert (await router.infer(ASK)).text == "from the device"
    assert b"France" not in provider.received


def by_hand(folder: Path, port: int, model: str, **more: str) -> Path:
    """An application file that binds the server with a model and lists nobody to discover."""
    path = application(folder, port, **more)
    path.write_text(f"hybridrt: 1\npolicy: policy.yaml\nrecipients: {{box: {{model: '{model}'}}}}\n")
    return path


HIDDEN = {
    "by where it really is": ollama(tag("mine:latest", remote_model="gpt-oss:120b", remote_host="https://ollama.com")),
    "made by somebody, with another model of theirs": {
        **models("ana/mine:latest", owner="ana"),
        "/api/tags": {"models": [tag("ana/mine:latest", 384)]},
    },
    "by a server that shows only its own list": {"/api/tags": {"models": [tag("mine:latest", 384)]}},
}


@pytest.mark.parametrize("how", HIDDEN)
async def test_an_ollama_at_any_port_is_known_without_discovery_and_its_cloud_is_sent_no_word(tmp_path, how):
    name = "ana/mine" if "somebody" in how else "mine"
    async with (
        LoopbackProvider(plays(HIDDEN[how])) as provider,
        opened(by_hand(tmp_path, provider.port, name)) as router,
    ):
        answer = await router.infer(ASK)
    assert answer.text == "from the device"
    assert b"France" not in provider.received


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "kimi-k2:cloud", "GPT-OSS:120B-CLOUD"])
async def test_a_binding_by_the_name_of_a_cloud_model_is_refused_when_the_router_opens(tmp_path, name):
    async with (
        LoopbackProvider(plays(models(name, owner="me"))) as provider,
        opened(by_hand(tmp_path, provider.port, name)) as router,
    ):
        (box,) = [target for target in router.status().targets if target.id == "box"]
        assert (await router.infer(ASK)).text == "from the device"
    assert not box.usable
    assert "cloud" in box.reason
    assert not provider.connections


BY_HAND = {
    "a server without any list": {},
    "one that answers everything with something": {"/v1/models": {"error": "unexpected"}, "/api/tags": {"error": "unexpected"}},
    "one that lists its file and takes any name": models("/models/qwen.gguf", owner="llamacpp"),
    "one that lists the maker in the name": models("Qwen/chat", owner="Qwen"),
    "an ollama": ollama(tag("chat:latest")),
}


@pytest.mark.parametrize("what", BY_HAND)
async def test_what_is_bound_by_hand_answers_and_is_asked_for_its_list_once(tmp_path, what):
    async with LoopbackProvider(plays(BY_HAND[what])) as provider, opened(by_hand(tmp_path, provider.port, "chat")) as router:
        for _ in range(2):
            assert (await router.infer(ASK)).text == "Paris"
    asked = [received.json["model"] for received in provider.requests if received.method == "POST"]
    assert asked == ["chat:latest" if what == "an ollama" else "chat"] * 2
    assert len(provider.requests) <= 4


# --- servers that are not there, or odd ---

ODD = {
    "several models": models("a", "b", owner="vllm"),
    "no model": models(owner="vllm"),
    "no list": {"/v1/models": {"data": "many"}},
    "another JSON": {"/v1/models": [1, 2]},
    "rows of another kind": {"/v1/models": {"data": [1, {"id": 5}, None]}},
}


@pytest.mark.parametrize("what", ODD)
async def test_an_odd_server_is_passed_over_and_the_status_says_why(tmp_path, what):
    async with LoopbackProvider(plays(ODD[what])) as provider, opened(application(tmp_path, provider.port)) as router:
        assert (await router.infer(ASK)).text == "from the device"
        (box,) = [target for target in router.status().targets if target.id == "box"]
    assert not box.usable
    assert b"France" not in provider.received


async def test_no_server_at_all_leaves_the_device(tmp_path):
    async with LoopbackProvider() as provider:
        port = provider.port
    async with opened(application(tmp_path, port)) as router:
        assert (await router.infer(ASK)).text == "from the device"


async def test_a_server_that_comes_back_is_asked_again(tmp_path):
    async with LoopbackProvider(plays({})) as provider, opened(application(tmp_path, provider.port)) as router:
        assert (await router.infer(ASK)).text == "from the device"
        provider.always(plays(SERVERS["vllm"]))
        assert (await router.infer(ASK)).text == "Paris"


async def test_probing_finds_the_model_before_the_first_request(tmp_path):
    ledger = MemoryLedger()
    async with LoopbackProvider(plays(SERVERS["lm-studio"])) as provider, opened(application(tmp_path, provider.port), ledger) as router:
        (box,) = [target for target in (await router.probe()).targets if target.id == "box"]
        assert (box.usable, box.reason) == (True, "serves qwen2.5-1.5b-instruct")
        await router.infer(ASK)
    assert [received.method for received in provider.requests] == ["GET", "POST"]
    assert [record["kind"] for record in ledger.records][:3] == ["decision", "attempt", "attempt_ended"]


async def test_probing_asks_nobody_whom_the_policy_does_not_allow(tmp_path):
    async with (
        LoopbackProvider(plays(SERVERS["vllm"])) as provider,
        opened(application(tmp_path, provider.port, permits="cloud")) as router,
    ):
        await router.probe()
        with pytest.raises(NoAnswerError):
            await router.infer(ASK, only="off_device")
    assert not provider.connections


async def test_only_what_stands_nearby_is_asked_for_its_models(tmp_path):
    async with opened(application(tmp_path, 9, discover="[far]")) as router:
        (far,) = [target for target in router.status().targets if target.id == "far"]
    assert not far.usable
    assert "only a `near_edge` recipient" in far.reason


@pytest.mark.parametrize(
    "line", ["near_edge: {}", "near_edge: [box]", "near_edge: {discover: box}", "near_edge: {find: [box]}", "near_edge: {discover: [5]}"]
)
def test_a_wrong_near_edge_has_its_line(tmp_path, line):
    (tmp_path / "hybridrt.yaml").write_text(f"hybridrt: 1\n{line}\n")
    with pytest.raises(ApplicationFileError) as caught:
        read_application(tmp_path / "hybridrt.yaml")
    assert caught.value.line == 2


# --- the choice, as a table ---

BOX = Target("box", Place.NEAR_EDGE, "", endpoint="http://127.0.0.1:1/v1")
CHOICES = [
    ([Served("a")], "", "a"),
    ([Served("a"), Served("b")], "b", "b"),
    ([Served("a"), Served("b")], "", None),
    ([Served("a:latest", is_local=True)], "a", "a:latest"),
    ([Served("a", is_local=False)], "a", None),
    ([Served("a-cloud")], "", None),
    ([Served("a-cloud"), Served("b")], "", "b"),
    ([], "", None),
    ([Served("a")], "c", None),
]


@pytest.mark.parametrize(("served", "wanted", "found"), CHOICES)
def test_the_bound_model_or_else_the_only_local_one_is_chosen(served, wanted, found):
    from dataclasses import replace

    target = replace(BOX, model=wanted)
    if found is None:
        with pytest.raises(UnsupportedError):
            choose(served, target)
    else:
        assert choose(served, target) == found


def test_ollama_is_known_by_its_port_and_its_name():
    from dataclasses import replace

    assert is_ollama(replace(BOX, endpoint="http://192.168.1.4:11434/v1"))
    assert is_ollama(replace(BOX, adapter="ollama"))
    assert not is_ollama(BOX)
    assert [is_cloud_name(name) for name in ("a-cloud", "a:cloud", "a:1b", "cloudy")] == [True, True, False, False]
    assert issubclass(ProtocolError, TargetError)
