"""What an answer says of itself, from the model to the caller."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest

from hybridrt.application import Application, LocalModel
from hybridrt.certificate import Certificate
from hybridrt.confidence.features import FEATURES
from hybridrt.confidence.gather import Row, gather
from hybridrt.confidence.issued import read_issued
from hybridrt.confidence.score import Score
from hybridrt.event import Finish
from hybridrt.local.factory import actions, placeholder
from hybridrt.local.speech import FrameError, read_event, say_event
from hybridrt.request import ToolCall
from hybridrt.router import Router
from hybridrt.testing import MemoryLedger
from tests.confidence.kit import finish, issued, write
from tests.confidence.test_e12 import ASK, model, opened  # noqa: F401 - fixtures

FORM = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 6}}, "required": ["city"]}


async def right(row, answer):
    return 0.0


async def test_features_at_calibration_are_those_in_use(opened):  # noqa: F811
    score = Score(tuple(0.1 * (at + 1) for at in range(len(FEATURES))), -1.0)
    script = [ToolCall("note.add", {"text": "Paris", "day": "Monday"}), finish(-0.1, -0.7, -2.0)]
    async with opened(script=script, score=score, cloud=False) as router:
        answer = await router.infer(ASK)
        found = await gather(router, [Row(ASK)], model="factory", task="extract", judge=right)
    assert answer.confidence_by == "calibration"
    assert answer.confidence == pytest.approx(score.chance(found.labels[0].features))
    assert found.labels[0].features[FEATURES.index("grounded")] == 0.5, "Monday is not in the request"


@pytest.mark.parametrize(
    ("by", "script", "asked", "is_covered"),
    [
        ("tool", [ToolCall("timer.set", {})], ASK, True),
        ("tool", [ToolCall("message.send", {})], ASK, False),
        ("tool", ["no tool"], ASK, False),
        ("language", ["x"], "Extract the name of the city where we have met each other last summer, please.", True),
        ("language", ["x"], "Wie heißt die Stadt, in der wir uns im letzten Sommer getroffen haben, bitte?", False),
    ],
)
async def test_a_group_without_a_threshold_is_not_covered(opened, by, script, asked, is_covered):  # noqa: F811
    groups = {"timer.set": 0.5} if by == "tool" else {"en": 0.5}
    async with opened(script=[*script, finish(-0.1)], by=by, thresholds=groups, cloud=False) as router:
        answer = await router.infer(asked, task="extract")
    assert answer.certified is is_covered
    assert is_covered or answer.certificate.reason == f"no threshold for this {by}"


@pytest.mark.parametrize(("given", "reason"), [({"thresholds": {}}, "too few"), ({"thresholds": {"": 0.95}}, "below the threshold")])
async def test_why_nothing_is_promised_is_said(opened, given, reason):  # noqa: F811
    async with opened(cloud=False, **given) as router:
        answer = await router.infer(ASK)
    assert (answer.certified, answer.certificate.state) == (False, "uncertified")
    assert reason in answer.certificate.reason


async def test_a_model_that_tells_no_scores_is_never_covered(opened):  # noqa: F811
    async with opened(script=["Paris", Finish("stop")], cloud=False) as router:
        answer = await router.infer(ASK)
    assert (answer.confidence, answer.certified) == (None, False)


async def test_an_answer_of_which_nobody_knows_whether_it_is_whole_is_never_covered(opened):  # noqa: F811
    for ends in (replace(finish(-0.1), reason="unknown"), Finish("unknown", confidence=0.99, certified_error=0.01)):
        async with opened(script=["Paris", ends], cloud=False) as router:
            answer = await router.infer(ASK)
        assert (answer.finish, answer.certified, answer.is_audit) == ("unknown", False, False)


async def test_a_cloud_answer_has_no_certificate(opened):  # noqa: F811
    async with opened() as router:
        answer = await router.infer(ASK, only="ONLY_IN_CLOUD")
    assert (answer.text, answer.certificate, answer.certified, answer.is_audit) == ("Lyon", None, False, False)
    assert not await answer.feedback(correct=True)


async def test_the_answers_of_llama_cpp_carry_a_confidence_in_every_form(tmp_path):
    pytest.importorskip("llama_cpp")
    file = write(issued(placeholder(), model="small", thresholds={"": 0.0}), tmp_path / "c.json")
    (tmp_path / "hybridrt.yaml").write_text(
        f"hybridrt: 1\nmodels:\n  small: {{path: {json.dumps(str(placeholder()))}}}\ncertificates:\n  - {{file: {file.name}, model: small}}\n"
    )
    async with Router.open(tmp_path / "hybridrt.yaml", ledger=MemoryLedger()) as router:
        text = await router.infer("Where?", max_output_tokens=8)
        form = await router.infer("Where?", output=FORM, task="extract", max_output_tokens=64)
    for answer, state in ((text, "uncertified"), (form, "certified")):
        assert 0 < answer.confidence <= 1
        assert (answer.confidence_by, answer.certificate.state) == ("tokens", state)
        assert len(answer.evidence.logprobs) > 1
    assert form.evidence.max_refused > 0.1, "noise wants something else than the form, and that is seen"


async def test_the_shipped_model_says_whom_its_certificate_speaks_for():
    application = Application(models=(LocalModel("factory", actions(), backend="actions"),))
    async with Router.open(application, ledger=MemoryLedger()) as router:
        answer = await router.infer("Set a timer for ten minutes")
    assert (answer.confidence_by, answer.certificate.state) == ("model", "certified")
    assert "synthetic" in answer.certificate.population
    assert answer.certificate.n > 300
    assert not answer.certificate.satisfies(0.1), "no policy that names nobody"
    assert answer.certificate.satisfies(0.1, frozenset({answer.certificate.population}))


def test_a_certificate_crosses_the_border_of_a_process_whole():
    promised = Certificate("expired", 0.1, 0.05, 0.7, 700, "a population", "changed since the calibration: sampler")
    for certificate in (promised, Certificate("uncertified"), None):
        sent = Finish("stop", confidence=0.5, certificate=certificate)
        assert read_event(json.loads(json.dumps(say_event(sent)))) == sent
    body = say_event(Finish("stop", certificate=promised))
    for wrong in (["fine", *body[-1][1:]], ["certified", 7, *body[-1][2:]], body[-1][:3], {"state": "certified"}):
        with pytest.raises(FrameError):
            read_event([*body[:-1], wrong])


def test_a_file_says_what_was_written(tmp_path):
    made = issued(actions(), kind="actions", by="tool", thresholds={"a": 0.5}, score=Score((0.5,) * len(FEATURES), -1.0))
    found = read_issued(write(made, tmp_path / "c.json"))
    assert found.as_dict() == made.as_dict()
    assert found.score == made.score
    assert found.void_reason(made.digests, date(2026, 2, 1)) == ""
    assert len(found.id) == 64
