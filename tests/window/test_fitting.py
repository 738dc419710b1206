"""From the public door: what does not fit is made to fit as the policy declares, and the answer says what became of it."""

from __future__ import annotations

import asyncio
import json
import re
from types import SimpleNamespace

import pytest

from benchmarks.window import FORM, SUMMARISED, Device, Provider, Tokenizer, conversations, cut_silently, pages, two_hundred_pages
from hybridrt.application import Application, Binding, LocalModel
from hybridrt.errors import Busy, ContextOverflowError, NoAnswerError, UnavailableError
from hybridrt.event import Finish
from hybridrt.request import Message, Text, ToolCall
from hybridrt.router import Router
from hybridrt.signals import TokenCount
from hybridrt.testing import MemoryLedger, ScriptedBackend
from hybridrt.window.fitting import SUMMARY_HEAD, Fitting

LONG = "The committee met again and agreed to postpone the vote. " * 12
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "First: " + LONG},
    {"role": "assistant", "content": "One. " + LONG},
    {"role": "user", "content": "Second: " + LONG},
    {"role": "assistant", "content": "Two. " + LONG},
    {"role": "user", "content": "And now?"},
]


@pytest.fixture
def fleet(policy_file, tmp_path):
    """Open a router: `fit` and `order` of its policy, the windows of its targets, and their backends."""

    def opened(fit: str, backends: dict, *, order: str = "device, cloud", windows: dict | None = None, model: str = "gpt-4o") -> Router:
        windows = windows or {}
        routing = f"routing:\n  - {{id: r, order: [{order}], fit: [{fit}]}}\n"
        application = Application(
            models=(LocalModel("factory", tmp_path / "none.gguf", window=windows.get("factory")),),
            policies=(policy_file(routing),),
            bindings=tuple(Binding(name, model, window=windows.get(name)) for name in ("alpha", "beta") if name in backends),
        )
        return Router.open(application, backends=backends, ledger=MemoryLedger())

    return opened


def provider(window: int, kind: type = Provider, vocabulary: str = "o200k_base", **given) -> Provider:
    return kind(Tokenizer(vocabulary), window, **given)


async def test_e7_whole_turns_go_the_oldest_first_and_each_is_listed(fleet):
    alpha = provider(500)
    async with fleet("truncate, fail", {"alpha": alpha}, windows={"alpha": 500}) as router:
        answer = await router.infer(TALK, only="off_device", max_output_tokens=100)
    assert [cut.message for cut in answer.window.cuts] == [1, 2]
    assert [(cut.role, cut.how) for cut in answer.window.cuts] == [("user", "dropped"), ("assistant", "dropped")]
    assert all(cut.tokens > 100 for cut in answer.window.cuts)
    assert [m.text for m in alpha.calls[0].messages] == [m["content"] for m in TALK[:1] + TALK[3:]]
    assert (answer.window.remedy, answer.window.tokens.kind) == ("truncate", "exact")
    assert alpha.refused == 0, "the exact count leaves nothing to find out"


async def test_e7_what_fits_goes_as_it_is_and_the_answer_says_so(fleet):
    alpha = provider(5_000)
    async with fleet("truncate, fail", {"alpha": alpha}, windows={"alpha": 5_000}) as router:
        answer = await router.infer(TALK, only="off_device")
    assert (answer.window.remedy, answer.window.cuts, answer.window.window) == ("", (), 5_000)
    assert len(alpha.calls[0].messages) == len(TALK)


async def test_e7_where_input_is_bounded_for_itself_that_bound_counts_and_not_the_window(fleet):
    talk = [{"role": role, "content": "The vote was postponed again. " * 9_000} for role in ("user", "assistant") * 3]
    talk.append({"role": "user", "content": "And now?"})
    alpha = provider(272_000)
    # The catalogue knows: a window of 400,000, of which 272,000 may be input.
    async with fleet("truncate, fail", {"alpha": alpha}, model="gpt-5") as router:
        answer = await router.infer(talk, only="off_device")
    assert (answer.window.remedy, len(answer.window.cuts), alpha.refused) == ("truncate", 2, 0)
    assert answer.window.tokens.value <= 272_000


async def test_e7_the_report_holds_no_word_of_the_request(fleet):
    alpha = provider(500)
    async with fleet("truncate, fail", {"alpha": alpha}, windows={"alpha": 500}) as router:
        answer = await router.infer(TALK, only="off_device")
    assert "committee" not in repr(answer.window)
    assert repr(answer.window).count("Cut(") == 2


async def test_e7_can_fail_a_fitting_that_lists_nothing_and_one_that_cuts_text_are_caught(fleet):
    messages = tuple(Message(turn["role"], (Text(turn["content"]),)) for turn in TALK)
    alpha = provider(500)
    async with fleet("truncate, fail", {"alpha": alpha}, windows={"alpha": 500}) as router:
        answer = await router.infer(messages, only="off_device")
    assert cut_silently(messages, answer, alpha.calls, None) == ""
    unlisted = SimpleNamespace(window=SimpleNamespace(cuts=answer.window.cuts[:1], remedy="truncate"))
    assert cut_silently(messages, unlisted, alpha.calls, None)
    shortened = SimpleNamespace(messages=(*alpha.calls[0].messages[:-1], Message("user", (Text("And"),))), max_output_tokens=None)
    assert cut_silently(messages, answer, [shortened], None)
    assert cut_silently(messages, answer, alpha.calls, 50), "a limit of the answer that was lost"


async def test_e7_without_a_remedy_a_request_that_is_too_long_is_an_error_with_numbers_and_nothing_is_sent(fleet):
    alpha = provider(200)
    async with fleet("escalate, fail", {"alpha": alpha}, windows={"alpha": 200}) as router:
        with pytest.raises(ContextOverflowError) as caught:
            await router.infer(TALK, only="off_device", max_output_tokens=50)
    assert caught.value.window == 200
    assert caught.value.needed == alpha.tokenizer.count(tuple(Message(t["role"], (Text(t["content"]),)) for t in TALK)) + 50
    assert not alpha.calls
    assert not alpha.refused


async def test_a_long_request_goes_to_the_next_target_with_a_sufficient_window_before_anything_is_left_out(fleet):
    device, alpha, beta = provider(256, Device), provider(400), provider(9_000)
    windows = {"factory": 256, "alpha": 400, "beta": 9_000}
    async with fleet("escalate, truncate, fail", {"factory": device, "alpha": alpha, "beta": beta}, windows=windows) as router:
        answer = await router.infer(TALK)
    assert (answer.target, answer.window.remedy) == ("beta", "")
    assert not device.calls
    assert not alpha.calls
    assert [attempt.outcome for attempt in answer.attempts] == ["too_long", "too_long", "answered"]


async def test_where_no_window_is_sufficient_the_next_remedy_is_taken_where_the_request_is(fleet):
    device, alpha = provider(256, Device), provider(300)
    windows = {"factory": 256, "alpha": 300}
    async with fleet("escalate, truncate, fail", {"factory": device, "alpha": alpha}, windows=windows) as router:
        answer = await router.infer(TALK)
    assert (answer.target, answer.window.remedy) == ("factory", "truncate")
    assert not alpha.calls


@pytest.mark.parametrize("says_numbers", [True, False])
async def test_a_provider_that_refuses_what_was_thought_to_fit_is_given_less(fleet, says_numbers):
    alpha = provider(400, says_numbers=says_numbers)
    async with fleet("truncate, fail", {"alpha": alpha}, model="unknown") as router:
        answer = await router.infer(TALK, only="off_device")
    assert alpha.refused >= 1, "nobody said how large its window is"
    assert answer.window.remedy == "truncate"
    assert cut_silently(tuple(Message(t["role"], (Text(t["content"]),)) for t in TALK), answer, alpha.calls[-1:], None) == ""
    assert len(answer.attempts) == alpha.refused + 1, "each attempt is on record"


async def test_a_call_of_a_tool_goes_with_its_results(fleet):
    alpha = provider(500)
    call = ToolCall("look_up", {"what": "x"}, "c1")
    talk = [
        Message("user", (Text("First: " + LONG),)),
        Message("assistant", (), (call,)),
        Message("tool", (Text(LONG),), (), "c1"),
        Message("assistant", (Text(LONG),)),
        Message("user", (Text("And now?"),)),
    ]
    async with fleet("truncate, fail", {"alpha": alpha}, windows={"alpha": 500}) as router:
        answer = await router.infer(talk, only="off_device")
    assert [cut.message for cut in answer.window.cuts] == [0, 1, 2, 3]


class Writer(Device):
    """A model on the device that says what it is asked in short."""

    async def answer(self, call):
        self.calls.append(call)
        yield Text("They met and postponed the vote." if SUMMARISED in call.messages[-1].text else "Here.")
        yield Finish("stop")


async def test_e7_the_oldest_turns_are_said_in_short_on_the_device_and_marked_as_derived(fleet):
    writer, alpha = provider(4_096, Writer), provider(600)
    windows = {"factory": 4_096, "alpha": 600}
    async with fleet("compact, fail", {"factory": writer, "alpha": alpha}, order="cloud, device", windows=windows) as router:
        answer = await router.infer(TALK)
    assert (answer.target, answer.window.remedy, answer.window.derived) == ("alpha", "compact", True)
    assert {cut.how for cut in answer.window.cuts} == {"summarised"}
    sent = alpha.calls[0].messages
    assert sent[0].text == "Be brief.", "the system prompt stays as it is"
    assert sent[1].text == SUMMARY_HEAD + "They met and postponed the vote."
    assert sent[-1].text == "And now?"
    assert len(writer.calls) == 1


async def test_a_conversation_longer_than_the_window_of_the_helper_is_said_in_short_chunk_by_chunk(fleet):
    writer, alpha = provider(300, Writer), provider(600)
    windows = {"factory": 300, "alpha": 600}
    async with fleet("compact, fail", {"factory": writer, "alpha": alpha}, order="cloud, device", windows=windows) as router:
        answer = await router.infer(TALK)
    assert answer.window.remedy == "compact"
    assert len(writer.calls) > 1
    assert all(writer.tokenizer.count(call.messages) + call.max_output_tokens <= 300 for call in writer.calls)


@pytest.mark.parametrize("fault", [UnavailableError("down"), Busy("full")])
async def test_without_a_working_helper_the_next_remedy_is_taken(fleet, fault):
    alpha = provider(500)
    async with fleet(
        "compact, truncate, fail",
        {"factory": ScriptedBackend(fault), "alpha": alpha},
        order="cloud, device",
        windows={"factory": 4_096, "alpha": 500},
    ) as router:
        answer = await router.infer(TALK)
    assert answer.window.remedy == "truncate"


class Reader(Device):
    """A model on the device that answers about each chunk what a test says."""

    say = staticmethod(lambda text: "seen")

    async def answer(self, call):
        tokens = self.tokenizer.count(call.messages)
        if tokens + (call.max_output_tokens or 1) > self.window:
            raise ContextOverflowError("too long", needed=tokens + 1, window=self.window)
        self.calls.append(call)
        await asyncio.sleep(0)
        said = self.say(call.messages[-1].text)
        yield Text(said) if said else Text("")
        yield Finish("stop" if said else "escalate")


def reader(window: int, say) -> Reader:
    made = provider(window, Reader)
    made.say = say
    return made


PAGES = "Is it good or bad?\n\n" + "\n\n".join(f"Paragraph {number}. {LONG}" for number in range(20))


async def test_e7_a_long_text_is_read_in_chunks_every_word_of_it(fleet):
    device = reader(400, lambda text: "bad" if "Paragraph 3." in text else "good")
    async with fleet("map_reduce, fail", {"factory": device}, windows={"factory": 400}) as router:
        answer = await router.infer(PAGES, only="device")
    assert (answer.text, answer.window.remedy, answer.window.chunks, answer.window.unread) == ("good", "map_reduce", len(device.calls), 0)
    assert [(cut.message, cut.how) for cut in answer.window.cuts] == [(0, "chunked")]
    read = "".join(call.messages[-1].text for call in device.calls)
    assert all(word in read for word in PAGES.split())
    assert all(call.messages[-1].text.startswith("Is it good or bad?") for call in device.calls)
    assert answer.window.derived
    assert not answer.certified


async def test_chunks_that_were_not_read_are_counted(fleet):
    device = reader(400, lambda text: "" if "Paragraph 3." in text else "good")
    async with fleet("map_reduce, fail", {"factory": device}, windows={"factory": 400}) as router:
        answer = await router.infer(PAGES, only="device")
    assert answer.window.unread >= 1
    assert answer.text == "good"


async def test_a_chunk_of_whose_answer_nobody_knows_whether_it_is_whole_was_not_read(fleet):
    class Unclear(Reader):
        async def answer(self, call):
            async for event in super().answer(call):
                is_unclear = isinstance(event, Finish) and "Paragraph 3." in call.messages[-1].text
                yield Finish("unknown") if is_unclear else event

    device = provider(400, Unclear)
    device.say = lambda _: "good"
    async with fleet("map_reduce, fail", {"factory": device}, windows={"factory": 400}) as router:
        answer = await router.infer(PAGES, only="device")
    assert (answer.text, answer.window.unread) == ("good", 1)


async def test_free_text_is_reduced_by_the_model_itself(fleet):
    device = reader(
        600, lambda text: "One answer of all the parts." if "Make one answer" in text else f"A partial answer about {len(text)} letters."
    )
    async with fleet("map_reduce, fail", {"factory": device}, windows={"factory": 600}) as router:
        answer = await router.infer("What happens in this text?\n\n" + PAGES, only="device")
    assert answer.text == "One answer of all the parts."


async def test_forms_are_merged_by_code(fleet):
    device = reader(500, lambda text: json.dumps({"numbers": [int(word[:-1]) for word in text.split() if word[:-1].isdigit()]}))
    form = {"type": "object", "properties": {"numbers": {"type": "array", "items": {"type": "integer"}}}, "required": ["numbers"]}
    async with fleet("map_reduce, fail", {"factory": device}, windows={"factory": 500}) as router:
        answer = await router.infer(PAGES, only="device", output=form)
    assert answer.parsed == {"numbers": list(range(20))}


async def test_only_the_device_reads_in_chunks(fleet):
    alpha = provider(400)
    async with fleet("map_reduce, fail", {"alpha": alpha}, windows={"alpha": 400}) as router:
        with pytest.raises(ContextOverflowError):
            await router.infer(PAGES, only="off_device")
    assert not alpha.calls


async def test_two_hundred_pages_are_read_and_what_was_planted_is_found():
    found = await two_hundred_pages()
    for name in ("window_4096", "factory_model"):
        assert found[name]["remedy"] == "map_reduce"
        assert found[name]["found"] >= 0.95
        assert found[name]["wrong"] <= 0.01 * found["planted"]


async def test_a_reader_that_skips_half_of_each_chunk_is_seen(fleet):
    text, planted = pages(3, count=100)
    found = re.compile(r"[\w.]+@[\w.]+\w")
    device = reader(4_096, lambda said: json.dumps({"emails": found.findall(said[: len(said) // 2])}))
    async with fleet("map_reduce, fail", {"factory": device}, windows={"factory": 4_096}) as router:
        answer = await router.infer(f"Extract the email addresses from the text below:\n\n{text}", only="device", output=FORM)
    assert len(set(answer.parsed["emails"]) & set(planted)) < 0.95 * len(planted)


async def test_no_context_error_and_no_silent_cut_in_random_conversations():
    found = await conversations(300, seed=11)
    assert found["conversations"] == 300
    assert found["context_errors"] == found["silent_cuts"] == 0
    assert min(found["truncate"], found["compact"], found["answered_whole"]) > 0


async def test_counts_are_told_for_each_target_and_nothing_is_sent(fleet):
    device, alpha, beta = provider(4_096, Device), provider(4_096), provider(4_096)
    async with fleet("fail", {"factory": device, "alpha": alpha, "beta": beta}) as router:
        counts = await router.count(TALK)
    kinds = {name: (count.kind, count.source) for name, count in counts.items()}
    assert kinds == {"factory": ("exact", "model"), "alpha": ("exact", "tiktoken"), "beta": ("exact", "tiktoken")}
    assert not device.calls + alpha.calls + beta.calls


class Asked(Provider):
    """A service that counts when it is asked."""

    questions = 0

    async def count(self, call):
        self.questions += 1
        return 4_711


async def test_a_service_is_asked_for_a_count_only_where_the_caller_says_so(fleet):
    alpha = provider(4_096, Asked)
    async with fleet("fail", {"alpha": alpha}) as router:
        await router.count("How long is this?")
        assert alpha.questions == 0
        counts = await router.count("How long is this?", ask=True)
    assert alpha.questions == 1
    assert counts["alpha"] == TokenCount(4_711, "exact")
    assert counts["alpha"].source == "provider"


async def test_where_nobody_fits_the_error_names_every_attempt(fleet):
    device, alpha = provider(100, Device), provider(120)
    windows = {"factory": 100, "alpha": 120}
    async with fleet("escalate, fail", {"factory": device, "alpha": alpha}, windows=windows) as router:
        with pytest.raises((NoAnswerError, ContextOverflowError)):
            await router.infer(TALK, max_output_tokens=50)
    assert not device.calls + alpha.calls


async def test_status_tells_which_edges_and_remedies_cannot_work(fleet):
    windows = {"factory": 64_000, "alpha": 4_000}
    async with fleet("escalate, fail", {"factory": ScriptedBackend("x"), "alpha": ScriptedBackend("y")}, windows=windows) as router:
        assert any("`alpha` (window 4000) stands behind `factory`" in remark for remark in router.status().remarks)
        assert not router.status().problems, "it closes nothing"


async def test_a_fitting_learns_nothing_from_its_own_refusal():
    fitting = Fitting(None, {}, (), SimpleNamespace(fit=("truncate",), escalate=frozenset()))
    assert not fitting.takes_again(SimpleNamespace(id="a"), ContextOverflowError("x", needed=1, window=1))
