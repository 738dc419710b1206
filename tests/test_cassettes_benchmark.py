"""The replay of recorded traffic: what it counts, and that it notices what is wrong."""

import base64
import gzip
import importlib.util
import json
import subprocess
import sys
import zlib

import pytest
import yaml

from benchmarks import cassettes
from benchmarks.cassettes import ROOT, SMALL_SET, Exchange, adapter_name, exchanges, make_adapter, replay, reply_loss, request_loss, wire_of
from benchmarks.recorded import CHAT, GEMINI, UnsayableError
from cloud_adapters.gemini import Gemini
from cloud_adapters.openai_chat import OpenAICompatible
from hybridrt.event import Text
from hybridrt.wire import ReplyHead

FOUND = list(exchanges(SMALL_SET))


def test_the_small_set_is_replayed_whole():
    tally = replay(FOUND)
    report = tally.report()
    assert tally.losses == []
    assert (report["share"], report["replayed"]) == (1.0, report["of"])
    assert report["of"] >= 20
    assert report["of"] + report["unsayable"]["exchanges"] == len(FOUND)
    assert sum(each["of"] for each in report["providers"].values()) == report["of"]


def test_it_prints_one_object_last():
    ran = subprocess.run([sys.executable, "-m", "benchmarks.cassettes"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(ran.stdout.splitlines()[-1])["share"] == 1.0
    assert ran.stderr == ""


def test_a_folder_that_is_not_there_is_said():
    assert cassettes.main(["/nowhere/at/all"]) == 2


def exchange(url="https://api.example.com/v1/chat/completions", asked=None, *, body=b"", media="application/json", method="POST"):
    return Exchange("acme", "one 0", method, url, asked, ReplyHead(200, {"content-type": media}), body)


ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "presence_penalty": 1, "stream": True}
STREAM = b"".join(
    b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": each}, "finish_reason": end}]}).encode() + b"\n\n"
    for each, end in (("Hel", None), ("lo.", "stop"))
)


class Forgetful(OpenAICompatible):
    def body(self, call):
        said = super().body(call)
        del said["temperature"]
        return said


class Elsewhere(OpenAICompatible):
    path = "/chat"


class Deaf(OpenAICompatible):
    """It loses words where the bytes are cut."""

    def decoder(self, call, head):
        decoder = super().decoder(call, head)
        feed = decoder.feed

        class Lossy:
            end = decoder.end
            fed = 0

            def feed(self, data):
                self.fed += 1
                events = list(feed(data))
                return events if self.fed == 1 else [each for each in events if not isinstance(each, Text)]

        return Lossy()


class Mute(OpenAICompatible):
    """It leaves words out however the bytes come."""

    def decoder(self, call, head):
        decoder = super().decoder(call, head)

        class Silent:
            end = decoder.end

            def feed(self, data):
                return [each for each in decoder.feed(data) if not isinstance(each, Text) or each.text != "lo."]

        return Silent()


def test_a_field_that_build_forgets_is_a_loss():
    call = CHAT.call("", ASKED)
    assert request_loss(OpenAICompatible(), CHAT, exchange(asked=ASKED), call) is None
    assert request_loss(Forgetful(), CHAT, exchange(asked=ASKED), call) == "build: differs in temperature"
    assert "path" in request_loss(Elsewhere(), CHAT, exchange(asked=ASKED), call)


@pytest.mark.parametrize(("adapter", "loss"), [(Deaf, "byte by byte"), (Mute, "other words")])
def test_words_that_feed_loses_are_a_loss(adapter, loss):
    one = exchange(asked=ASKED, body=STREAM, media="text/event-stream")
    call = CHAT.call("", ASKED)
    assert reply_loss(OpenAICompatible(), call, CHAT, one) == (None, "stop")
    assert loss in reply_loss(adapter(), call, CHAT, one)[0]


def test_a_reply_that_is_not_the_wire_is_a_loss():
    one = exchange(asked=ASKED, body=b'{"what": "ever"}')
    assert "ProtocolError" in reply_loss(OpenAICompatible(), CHAT.call("", ASKED), CHAT, one)[0]


@pytest.mark.parametrize("recorded", FOUND, ids=lambda each: each.name)
def test_every_text_of_a_recorded_request_matters(recorded):
    """A request in which one word differs from the recorded one is a loss: nothing of it is normalised away."""
    wire = wire_of(recorded)
    adapter = make_adapter(adapter_name(wire, recorded.url))
    try:
        call = wire.call(recorded.url, recorded.asked)
    except UnsayableError:
        return
    turns = "contents" if wire is GEMINI else "messages"
    text = json.dumps(recorded.asked[turns])
    at = text.index('"', text.index('"text": "') + 8 if '"text": "' in text else text.index('"content": "') + 11) + 1
    changed = {**recorded.asked, turns: json.loads(text[:at] + "kumquat " + text[at:])}
    one = Exchange(recorded.provider, recorded.name, "POST", recorded.url, changed, recorded.head, recorded.body)
    assert request_loss(adapter, wire, recorded, call) is None
    assert request_loss(adapter, wire, one, call).startswith("build: differs in")


def test_what_no_call_can_ask_for_is_counted_apart():
    search = {**ASKED, "web_search_options": {"size": "low"}}
    tally = replay(
        [exchange(asked=search, body=STREAM, media="text/event-stream"), exchange(asked=ASKED, body=STREAM, media="text/event-stream")]
    )
    report = tally.report()
    assert (report["of"], report["replayed"], report["unsayable"]["exchanges"], report["share_of_all"]) == (1, 1, 1, 0.5)
    assert report["options_left_out"] == {"presence_penalty": 1}


ODD = {
    "a turn without a role": exchange(asked={"model": "m", "messages": [{"content": "hi"}]}, body=STREAM, media="text/event-stream"),
    "turns that are none": exchange(asked={"model": "m", "messages": 7}, body=STREAM, media="text/event-stream"),
    "a reply of another shape": exchange(asked=ASKED, body=b'{"choices": [{"message": {"content": "a"}}, 7]}'[:-5] + b"}]}"),
    "a reply that is no text": exchange(asked=ASKED, body=b"data: \xff", media="text/event-stream"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_recording_of_an_unknown_shape_is_one_loss_and_the_others_go_on(odd):
    good = exchange(asked=ASKED, body=STREAM, media="text/event-stream")
    tally = replay([odd, good])
    assert (tally.of.total(), tally.replayed.total(), len(tally.losses)) == (2, 1, 1)


OTHERS = [
    ("POST", "https://api.cohere.com/v2/embed", "embeddings"),
    ("POST", "https://api.cohere.com/v1/tokenize", "token counts"),
    ("GET", "https://www.example.com/cat.png", "fetches by the client"),
    ("POST", "https://api.openai.com/v1/files", "files and stores at the service"),
    ("GET", "https://api.openai.com/v1/responses/resp_1", "kept responses"),
    ("POST", "https://api.example.com/v1/something", "other"),
]


GOOD = """\
- request: {method: POST, uri: "https://api.openai.com/v1/chat/completions", body: '{"model":"m","messages":[{"role":"user","content":"x"}]}'}
  response:
    status: {code: 200}
    headers: {content-type: [application/json]}
    body: {string: '{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'}
"""


PACKED = GOOD[: GOOD.index("    body:")] + "    body: {string: !!binary H4sIAAAAAAAAA6tWKkpNTFGyUkpLzClOVaoFAA==}\n"


BROKEN = {
    "YAML": "interactions: [",
    "empty": "{}",
    "nothing": "",
    "packed": "interactions:\n" + PACKED,
    "no list": "interactions: 7",
    "null": "interactions:",
    "a list of something else": "interactions: [7]",
    "a tag of a program": "interactions: !!python/object/apply:os.getcwd []",
    "no status": "interactions:\n" + GOOD.replace("status: {code: 200}", "status: fine"),
    "no address": "interactions:\n" + GOOD.replace("https://api.openai.com", "https://[api.openai.com"),
    "base64 that is none": "interactions:\n" + GOOD[: GOOD.index("    body:")] + "    body: {base64_string: A}\n",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_recording_that_cannot_be_read_is_one_loss_and_the_others_go_on(tmp_path, broken):
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "a.yaml").write_text(broken, encoding="utf-8")
    (tmp_path / "acme" / "b.yaml").write_text("interactions:\n" + GOOD, encoding="utf-8")
    tally = replay(exchanges(tmp_path))
    assert (tally.replayed.total(), tally.of.total()) == (1, 2)
    assert len(tally.losses) == 1
    assert tally.losses[0].startswith("acme/a.yaml")


SAID = {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
AS_JSON = json.dumps(SAID).encode()
ASKED_PLAINLY = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
# A body in each form in which recorders keep one, under the header that says how it was packed on its way.
FORMS = {
    "text": ({"body": {"string": AS_JSON.decode()}}, ""),
    "text, unpacked, and the header left": ({"body": {"string": AS_JSON.decode()}}, "br"),
    "bytes": ({"body": {"string": AS_JSON}}, ""),
    "bytes, unpacked, and the header left": ({"body": {"string": AS_JSON}}, "zstd"),
    "bare text": ({"body": AS_JSON.decode()}, ""),
    "JSON already parsed": ({"parsed_body": SAID}, "gzip"),
    "JSON already parsed, as the body": ({"body": SAID}, ""),
    "base64": ({"body": {"base64_string": base64.b64encode(AS_JSON).decode()}}, ""),
    "an older recorder": ({"content": AS_JSON.decode()}, ""),
    "gzip": ({"body": {"string": gzip.compress(AS_JSON)}}, "gzip"),
    "gzip, and no header": ({"body": {"string": gzip.compress(AS_JSON)}}, ""),
    "deflate": ({"body": {"string": zlib.compress(AS_JSON)}}, "deflate"),
    "raw deflate": ({"body": {"string": zlib.compress(AS_JSON, wbits=-15)}}, "deflate"),
}


def written(tmp_path, request, response):
    asked = {"method": "POST", "uri": "https://api.openai.com/v1/chat/completions", **request}
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "a.yaml").write_text(
        yaml.safe_dump({"interactions": [{"request": asked, "response": response}]}), encoding="utf-8"
    )
    return replay(exchanges(tmp_path))


@pytest.mark.parametrize(("said", "packing"), FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    "status", [{"status": {"code": 200}}, {"status": 200}, {"status_code": 200}], ids=["an object", "a number", "older"]
)
def test_a_body_is_read_in_every_form_in_which_it_is_kept(tmp_path, said, packing, status):
    headers = {"content-type": ["application/json"], "content-encoding": packing}
    tally = written(tmp_path, {"body": json.dumps(ASKED_PLAINLY)}, {**status, "headers": headers, **said})
    assert (tally.losses, tally.replayed.total(), dict(tally.ended)) == ([], 1, {"stop": 1})


@pytest.mark.parametrize(
    "body",
    [
        ASKED_PLAINLY,
        json.dumps(ASKED_PLAINLY).encode(),
        {"string": json.dumps(ASKED_PLAINLY)},
        gzip.compress(json.dumps(ASKED_PLAINLY).encode()),
    ],
    ids=["parsed", "bytes", "in an object", "packed"],
)
def test_a_request_is_read_in_every_form_in_which_it_is_kept(tmp_path, body):
    assert written(tmp_path, {"body": body}, {"status": {"code": 200}, "body": {"string": AS_JSON}}).replayed.total() == 1


def test_what_is_packed_and_cannot_be_unpacked_here_is_a_loss_with_its_reason(tmp_path):
    packed = {"body": {"string": cassettes.ZSTD + b"\xff\x00"}}
    tally = written(tmp_path, {"body": json.dumps(ASKED_PLAINLY)}, {"status": {"code": 200}, **packed})
    assert (tally.replayed.total(), tally.of.total(), len(tally.losses)) == (0, 1, 1)
    assert importlib.util.find_spec("zstandard") or "packed with zstd" in tally.losses[0]


def test_a_reply_that_was_not_recorded_says_nothing_of_the_adapters():
    tally = replay([exchange(asked=ASKED), exchange(asked=ASKED, body=STREAM, media="text/event-stream")])
    assert (tally.of.total(), tally.left_out) == (1, {"replies that were not recorded": 1})


TOOL = {"type": "function", "function": {"name": "now"}}


@pytest.mark.parametrize(
    "options", [{"response_format": 7}, {"tools": 7}, {"stop": 7}, {"reasoning": "x"}, {"tool_choice": 7, "tools": [TOOL]}]
)
def test_an_option_of_another_shape_is_at_most_one_loss(options):
    good = exchange(asked=ASKED, body=STREAM, media="text/event-stream")
    tally = replay([exchange(asked={**ASKED, **options}, body=STREAM, media="text/event-stream"), good])
    assert tally.of.total() == 2
    assert tally.replayed.total() + len(tally.losses) == 2


CUT = {
    "within an event": STREAM[: STREAM.index(b"lo.")],
    "within a character": b'data: {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}\n\ndata: {"choices": [{"delta": {"content": "\xf0\x9f',
}


@pytest.mark.parametrize("body", CUT.values(), ids=CUT)
def test_a_stream_that_was_cut_has_every_word_up_to_there(body):
    tally = replay([exchange(asked=ASKED, body=body, media="text/event-stream")])
    assert (tally.losses, dict(tally.ended)) == ([], {"BrokenStream": 1})


def test_of_several_answers_the_first_is_compared():
    both = [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]
    body = b"".join(b"data: " + json.dumps({"choices": [each]}).encode() + b"\n\n" for each in both)
    tally = replay([exchange(asked={**ASKED, "n": 2}, body=body, media="text/event-stream")])
    assert (tally.losses, tally.replayed.total()) == ([], 1)


@pytest.mark.parametrize(("method", "url", "name"), OTHERS)
def test_other_wires_are_left_out_by_name(method, url, name):
    assert wire_of(exchange(url, {"model": "m"}, method=method)) == name
    assert replay([exchange(url, {"model": "m"}, method=method)]).left_out == {name: 1}


NAMES = [
    ("https://generativelanguage.googleapis.com/v1beta/models/m:generateContent", "gemini"),
    ("https://h.example/v1/projects/p/locations/l/publishers/google/models/m:streamGenerateContent", "vertex"),
    ("https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse", "bedrock"),
    ("https://r.openai.azure.com/openai/deployments/m/chat/completions", "azure-openai-deployment"),
    ("https://r.cognitiveservices.azure.com/openai/deployments/m/chat/completions", "azure-openai-deployment"),
    ("https://r.openai.azure.com/openai/v1/chat/completions", "azure-openai"),
    ("https://api.mistral.ai/v1/chat/completions", "mistral"),
    ("http://localhost:8080/v1/chat/completions", "openai-compatible"),
]


@pytest.mark.parametrize(("url", "name"), NAMES)
def test_every_service_is_said_by_the_adapter_a_policy_would_name(url, name):
    assert adapter_name(wire_of(exchange(url, {})), url) == name


def test_a_wire_without_an_adapter_is_named():
    assert make_adapter("no-such-adapter") is None
    assert isinstance(make_adapter("gemini"), Gemini)


VECTORS = {"data": [{"index": 0, "embedding": [1.0, 2.0]}, {"index": 1, "embedding": [3.0, 4.0]}], "usage": {"prompt_tokens": 2}}
TWO = {"model": "m", "input": ["tea", "milk"], "encoding_format": "base64", "dimensions": 2}
COUNTED = {"model": "claude", "messages": [{"role": "user", "content": "hi"}], "tool_choice": {"type": "auto"}}
QUESTIONS = {
    "openai": ("https://api.openai.com/v1/embeddings", TWO, VECTORS),
    "mistral": ("https://api.mistral.ai/v1/embeddings", TWO, VECTORS),
    "gemini": (
        "https://generativelanguage.googleapis.com/v1beta/models/g:batchEmbedContents",
        {"requests": [{"model": "models/g", "content": {"parts": [{"text": "tea"}]}, "taskType": "RETRIEVAL_QUERY"}]},
        {"embeddings": [{"values": [1.0]}]},
    ),
    "vertex": (
        "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/g:predict",
        {"instances": [{"content": "tea", "task_type": "RETRIEVAL_QUERY"}]},
        {"predictions": [{"embeddings": {"values": [1.0]}}]},
    ),
    "titan": (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.titan-embed-text-v2%3A0/invoke",
        {"inputText": "tea", "dimensions": 256},
        {"embedding": [1.0], "inputTextTokenCount": 1},
    ),
    "cohere on bedrock": (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/cohere.embed-english-v3/invoke",
        {"texts": ["tea", "milk"], "input_type": "search_query"},
        {"embeddings": [[1.0], [2.0]]},
    ),
    "anthropic's count": ("https://api.anthropic.com/v1/messages/count_tokens?beta=true", COUNTED, {"input_tokens": 9}),
    "responses' count": ("https://api.openai.com/v1/responses/input_tokens", {"model": "m", "input": "hi"}, {"input_tokens": 9}),
    "gemini's count": (
        "https://generativelanguage.googleapis.com/v1beta/models/g:countTokens",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        {"totalTokens": 9},
    ),
    "bedrock's count": (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/count-tokens",
        {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "system": []}}},
        {"inputTokens": 9},
    ),
}


@pytest.mark.parametrize(("url", "asked", "said"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_is_replayed_and_another_number_is_noticed(url, asked, said):
    tally = replay([exchange(url, asked, body=json.dumps(said).encode())])
    assert (tally.losses, tally.report()["share"], tally.report()["of"]) == ([], 1.0, 1)
    assert replay([exchange(url, asked, body=b"{}")]).report()["share"] == 0.0


def test_a_question_in_other_words_is_noticed():
    url, asked, said = QUESTIONS["openai"]

    class Forgets(OpenAICompatible):
        def embed_body(self, call):
            return {**super().embed_body(call), "input": ["tea"]}

    tally = cassettes.Tally()
    cassettes._replay_question(tally, exchange(url, asked, body=json.dumps(said).encode()), cassettes.question_of(url))
    assert tally.losses == []
    question = cassettes.question_of(url)
    call = question.call(url, asked)
    way = cassettes.embedding(Forgets(), call.target)[0]
    assert cassettes._asked_otherwise(way, question, exchange(url, asked), call) == "build: another question"


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://api.openai.com/v1/embeddings", {"model": "m", "input": [[1, 2, 3]]}),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/model/m/count-tokens", {"input": {"invokeModel": {"body": "e30="}}}),
    ],
)
def test_a_question_that_is_none_of_ours_is_counted_apart(url, asked):
    report = replay([exchange(url, asked, body=b"{}")]).report()
    assert (report["of"], report["unsayable"]["exchanges"]) == (0, 1)
