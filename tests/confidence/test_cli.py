"""`hybridrt calibrate answers`: what counts as a label, what is written, and what is wrong with a file of rows."""

from __future__ import annotations

import json
import sys

import pytest

from hybridrt.application import Application, Binding, CertificateFile, read_application
from hybridrt.cli.main import main
from hybridrt.confidence.binding import bind
from hybridrt.confidence.compare import COMPARISONS, agreement
from hybridrt.confidence.gather import Row, gather
from hybridrt.confidence.issued import read_issued
from hybridrt.confidence.use import take_up
from hybridrt.decision import Decision
from hybridrt.errors import ApplicationFileError, FileError
from hybridrt.event import Finish
from hybridrt.local.factory import actions
from hybridrt.request import ToolCall
from hybridrt.router import Router
from hybridrt.testing import MemoryLedger, ScriptedBackend
from tests.confidence.kit import finish, issued, write

TIMER = {"name": "timer.set", "arguments": {"duration_s": 600}}
ROWS = [
    {"prompt": "set a timer for ten minutes", "answer": TIMER},
    {"prompt": "ten minute timer please", "answer": TIMER},
    {"prompt": "what is the meaning of life", "answer": {"name": "escalate", "arguments": {}}},
    {"prompt": "set a timer for twenty minutes", "answer": TIMER},
]


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(list(arguments))
    except SystemExit as ended:
        code = int(ended.code or 0)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def rows_file(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return str(path)


def test_a_certificate_is_written_and_read_back(tmp_path, capsys):
    written = tmp_path / "c.json"
    arguments = ["--task", "actions", "--labels", rows_file(tmp_path, ROWS * 12), "--compare", "json", "--population", "a test"]
    code, out, _ = run(capsys, "calibrate", "answers", *arguments, "-o", str(written), "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["rows"], told["gated"], told["passed_on"]) == (48, 0, 12), "what the model gives back is no answer"
    assert told["n"] + told["tuning_n"] == 36
    assert 0.2 < told["error"] < 0.5
    assert (told["state"], told["impossible"] > 0.1) == ("uncertified", True)
    found = read_issued(written)
    assert (found.task, found.model, found.population, found.alpha, found.delta) == ("actions", "factory", "a test", 0.1, 0.05)
    assert dict(found.digests) == bind(actions(), "actions")
    assert found.score is None, "the model has a confidence of its own"
    code, out, _ = run(capsys, "calibrate", "answers", *arguments, "-o", str(written))
    assert "UNCERTIFIED" in out
    assert "any method must pass on at least" in out


def test_enough_right_answers_are_certified(tmp_path, capsys):
    written = tmp_path / "c.json"
    rows = rows_file(tmp_path, ROWS[:2] * 20)
    _, out, _ = run(capsys, "calibrate", "answers", "--task", "actions", "--labels", rows, "--compare", "json", "-o", str(written))
    assert "CERTIFIED: with probability 95%, at most 10% of the answers it covers are wrong" in out
    assert json.loads(written.read_text())["state"] == "certified"


def test_a_request_of_the_shell_says_its_task_and_is_covered(tmp_path, policy_file, capsys):
    write(issued(actions(), kind="actions", task="actions"), tmp_path / "c.json")
    app = tmp_path / "hybridrt.yaml"
    app.write_text("hybridrt: 1\npolicy: policy.yaml\ncertificates: [{file: c.json, model: factory}]\n", encoding="utf-8")
    policy_file("routing:\n  - {id: sure, order: [device], escalate: {unless: {certified: 0.10}}}\n")
    for given, is_covered in (["--task", "actions"], True), ([], False):
        code, out, err = run(capsys, "ask", "--app", str(app), "--json", *given, "set a timer for ten minutes")
        assert (code, json.loads(out)["certified"]) == (0, is_covered), err


TIMERS = [
    {"prompt": f"set a timer for {n} minutes", "answer": {"name": "timer.set", "arguments": {"duration_s": 60 * n}}} for n in range(2, 52)
]


@pytest.mark.parametrize(
    ("rows", "options", "said", "unsaid"),
    [
        (TIMERS, ["--delta", "0.001", "--alpha", "0.2"], "CERTIFIED: with probability 99.9%, at most 20% of", "repeat"),
        (TIMERS, ["--alpha", "0.005"], "at most 0.5% are allowed", "0%,"),
        (ROWS[:1] * 50, [], "49 of them repeat another", "UNCERTIFIED"),
        (ROWS[:1], [], "too few labels to tell: even without a single error 29 are needed", "wrong too often"),
        (ROWS[2:3], [], "UNCERTIFIED: there was no answer of this model to judge", "wrong without a threshold"),
    ],
)
def test_what_is_printed_is_true_at_the_edges(tmp_path, capsys, *, rows, options, said, unsaid):
    arguments = ["--task", "actions", "--labels", rows_file(tmp_path, rows), "--compare", "json", "-o", str(tmp_path / "c.json"), *options]
    code, out, _ = run(capsys, "calibrate", "answers", *arguments)
    assert code == 0
    assert said in out
    assert unsaid not in out
    _, shown, _ = run(capsys, "calibrate", "show", str(tmp_path / "c.json"))
    assert ("it covers no answer" in shown) == ("UNCERTIFIED" in out)


def test_a_judge_is_any_command_that_prints_a_number(tmp_path, capsys):
    judge = tmp_path / "judge.py"
    judge.write_text("import json, sys\nrow = json.load(sys.stdin)\nprint(0.25 if 'life' in row['prompt'] else 1)\n")
    arguments = [
        "--task",
        "t",
        "--labels",
        rows_file(tmp_path, [{"prompt": row["prompt"]} for row in ROWS]),
        "-o",
        str(tmp_path / "c.json"),
    ]
    _, out, _ = run(capsys, "calibrate", "answers", *arguments, "--compare", "judge", "--judge", f"{sys.executable} {judge}", "--json")
    assert json.loads(out)["error"] == 0.0
    judge.write_text("print('fine')\n")
    code, _, err = run(capsys, "calibrate", "answers", *arguments, "--compare", "judge", "--judge", f"{sys.executable} {judge}")
    assert code == 1
    assert "the judge gave no number" in err
    assert run(capsys, "calibrate", "answers", *arguments, "--compare", "judge")[0] == 2


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("{", "no JSON"),
        ("[]", "a row is an object"),
        ({"answer": "x"}, "a row has a `prompt`"),
        ({"prompt": "", "answer": "x"}, "a row has a `prompt`"),
        ({"prompt": "x"}, "a row has no `answer`"),
        ({"prompt": "x", "answer": "y", "reply": "z"}, "a row has no `reply`"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path, capsys, row, what):
    rows = rows_file(tmp_path, [ROWS[0], row])
    code, _, err = run(capsys, "calibrate", "answers", "--task", "t", "--labels", rows, "-o", str(tmp_path / "c.json"))
    assert code == 1
    assert "rows.jsonl:2" in err
    assert what in err


def test_how_a_certificate_stands_is_shown(tmp_path, capsys):
    path = write(issued(actions(), kind="actions", task="actions"), tmp_path / "c.json")
    _, out, _ = run(capsys, "calibrate", "show", str(path))
    assert out.startswith("CERTIFIED\nfactory, task actions, for the application's own requests, until 2999-01-01\n")
    counts = {"audit": {"n": 400, "loss": 120.0}}
    told = {"hybridrt_watch": 1, "certificate": read_issued(path).id, "counts": counts, "violated_by": "audit"}
    (tmp_path / "c.counts.json").write_text(json.dumps(told))
    found = json.loads(run(capsys, "calibrate", "show", str(path), "--json")[1])
    assert (found["state"], found["reason"]) == ("violated", "more errors in use than it promised, by audit")
    assert (found["heard"]["audit"]["n"], found["heard"]["audit"]["wrong"]) == (400, 120.0)
    assert 0.2 < found["heard"]["audit"]["at_least"] < 0.3
    write(issued(actions(), kind="actions", digests={}), path)
    assert json.loads(run(capsys, "calibrate", "show", str(path), "--json")[1])["state"] == "expired"
    assert run(capsys, "calibrate", "show", str(tmp_path / "none.json"))[0] == 1


# ---- what counts as a label


GATED = """\
routing:
  - {id: hard, when: {complexity: {at_least: hard}}, order: [cloud, device]}
  - {id: rest, order: [device, cloud]}
"""


async def test_only_answers_that_would_be_served_here_become_labels(open_router):
    hard = (
        "Prove that every continuous function on a compact metric space is uniformly continuous, then derive the modulus for x^2 on [0, 3]."
    )
    cloud = ScriptedBackend("4")
    here = ScriptedBackend(["4", finish(-0.5)], Finish("escalate"), ["5", finish(-2.0)])

    async def judge(row, answer):
        return COMPARISONS["exact"](answer, row.wanted)

    async with open_router(added=GATED, backends={"factory": here, "alpha": cloud}) as router:
        assert (await router.decide(hard)).plan[0].id == "alpha"
        rows = [Row(hard, "x"), Row("What is 2 + 2?", "4"), Row("What is 3 + 1?", "4"), Row("What is 1 + 3?", "4")]
        found = await gather(router, rows, model="factory", task="sum", judge=judge)
    assert (found.gated, found.passed_on, [row.loss for row in found.labels]) == (1, 1, [0.0, 1.0])
    assert [row.own for row in found.labels] == [None, None], "the confidence of tokens alone is no model's own"
    assert [round(row.features[0], 1) for row in found.labels] == [-0.5, -2.0]
    assert cloud.calls == [], "a label is about the device"


async def test_a_model_that_has_a_confidence_keeps_it(open_router):
    async def judge(row, answer):
        return 0.0

    async with open_router(backends={"factory": ScriptedBackend(["4", finish(-0.5, confidence=0.42)])}) as router:
        found = await gather(router, [Row("What is 2 + 2?")], model="factory", task="sum", judge=judge)
        answer = await router.infer("What is 2 + 2?")
    assert found.labels[0].own == 0.42
    assert (answer.confidence, answer.confidence_by) == (0.42, "model")


async def test_an_answer_says_whose_confidence_it_has(open_router):
    async with open_router(backends={"factory": ScriptedBackend(["4", finish(-0.5)], ["4", Finish("stop")])}) as router:
        answer = await router.infer("What is 2 + 2?")
        assert answer.confidence == pytest.approx(0.6065, abs=1e-4)
        assert (answer.confidence_by, answer.certificate.state, answer.certified) == ("tokens", "uncertified", False)
        assert answer.evidence is not None
        answer = await router.infer("What is 2 + 2?")
        assert (answer.confidence, answer.confidence_by) == (None, "")


# ---- comparing


async def answer_of(open_router, *script):
    async with open_router(backends={"factory": ScriptedBackend(list(script))}) as router:
        return await router.infer("Say it.")


@pytest.mark.parametrize(
    ("kind", "script", "wanted", "loss"),
    [
        ("exact", ["Paris ", "\nFrance"], "Paris France", 0.0),
        ("exact", ["paris"], "Paris", 1.0),
        ("json", ['{"a": 1.0, "b": ["X"]}'], {"b": ["x"], "a": 1}, 0.0),
        ("json", ['{"a": 1}'], '{"a": 1}', 0.0),
        ("json", ['{"a": true}'], {"a": 1}, 1.0),
        ("json", ['{"a": 1, "b": 2}'], {"a": 1}, 1.0),
        ("json", ["no json"], {"a": 1}, 1.0),
        ("json", [ToolCall("timer.set", {"duration_s": 600})], TIMER, 0.0),
        ("json", [ToolCall("timer.set", {"duration_s": 60})], TIMER, 1.0),
        ("number", ["It is 1,299.50 EUR"], 1299.5, 0.0),
        ("number", ["first 3 then 4"], "4", 0.0),
        ("number", ["none"], 4, 1.0),
        ("number", ["5", Finish("stop", parsed=4.0)], 4, 0.0),
        ("f1", ["the red house"], "The house!", pytest.approx(0.2)),
        ("f1", ["nothing"], "alike", 1.0),
    ],
)
async def test_an_answer_is_compared(open_router, kind, script, wanted, loss):
    assert COMPARISONS[kind](await answer_of(open_router, *script), wanted) == loss


async def test_two_answers_agree_in_their_data_or_in_their_words(open_router):
    one, other = await answer_of(open_router, '{"a": 1}'), await answer_of(open_router, '{ "a": 1.0 }')
    assert agreement(one, other) == 0.0
    assert agreement(await answer_of(open_router, "in Paris"), await answer_of(open_router, "Paris")) == pytest.approx(1 / 3)
    assert isinstance(one.decision, Decision)


# ---- the application file


@pytest.mark.parametrize(
    ("entry", "line", "what"),
    [
        ("  - {model: factory}", 3, "a certificate has no `file`"),
        ("  - {file: c.json}", 3, "a certificate has no `model`"),
        ("  - {file: c.json, model: m, audit: 2}", 3, "`audit` is a share"),
        ("  - {file: c.json, model: m, audit_by: robot}", 3, "`audit_by`"),
        ("  - {file: c.json, model: m, share: 1}", 3, "share"),
        ("  - {file: c.json, model: m}\n  - {file: c.json, model: m}", 4, "have a certificate already"),
        ("  - {file: c.json, model: m, task: t}\n  - {file: d.json, model: m, task: t}", 4, "have a certificate already"),
    ],
)
def test_a_wrong_entry_is_named_with_its_place(tmp_path, entry, line, what):
    path = tmp_path / "hybridrt.yaml"
    path.write_text(f"hybridrt: 1\ncertificates:\n{entry}\n")
    with pytest.raises(ApplicationFileError) as caught:
        read_application(path)
    assert caught.value.line == line
    assert what in str(caught.value)


def test_one_model_may_have_a_certificate_for_each_task(tmp_path):
    path = tmp_path / "hybridrt.yaml"
    path.write_text("hybridrt: 1\ncertificates:\n  - {file: c.json, model: m}\n  - {file: d.json, model: m}\n")
    assert [named.file.name for named in read_application(path).certificates] == ["c.json", "d.json"]


def test_a_certificate_is_used_only_for_its_own_model_and_task(tmp_path):
    path = write(issued(actions(), kind="actions"), tmp_path / "c.json")
    assert take_up(CertificateFile(path, "factory", "extract"), {"factory"}, ()).issued.task == "extract"
    for named, models, tasks, what in (
        (CertificateFile(path, "other"), {"factory"}, (), "not here"),
        (CertificateFile(path, "other"), {"other"}, (), "about the model `factory`"),
        (CertificateFile(path, "factory", "translate"), {"factory"}, (), "about the task `extract`"),
        (CertificateFile(path, "factory"), {"factory"}, ("extract",), "has a certificate"),
        (CertificateFile(tmp_path / "none.json", "factory"), {"factory"}, (), "cannot be read"),
    ):
        with pytest.raises(FileError, match=what):
            take_up(named, models, tasks)


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 0},
        {"alpha": "0.1"},
        {"thresholds": {"": "high"}},
        {"thresholds": []},
        {"expires": "soon"},
        {"score": {"features": ["mood"], "weights": [1.0], "bias": 0.0}},
        {"compare": "taste"},
        {"n": -1},
        {"digests": {"model": 7}},
    ],
)
def test_a_damaged_certificate_is_refused_and_never_half_read(tmp_path, change):
    path = write(issued(actions(), kind="actions"), tmp_path / "c.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FileError, match="damaged"):
        read_issued(path)


async def test_a_certificate_that_cannot_be_used_closes_the_cloud_and_says_why(tmp_path, policy_file):
    (tmp_path / "c.json").write_text("{}")
    application = Application(
        policies=(policy_file(),),
        bindings=(Binding("alpha", "alpha-model"),),
        ledger=tmp_path / "ledger.jsonl",
        certificates=(CertificateFile(tmp_path / "c.json", "factory"),),
    )
    backends = {"factory": ScriptedBackend("here"), "alpha": ScriptedBackend("there")}
    async with Router.open(application, backends=backends, ledger=MemoryLedger()) as router:
        assert [target.id for target in (await router.decide("Hello there")).plan] == ["factory"]
        assert "c.json" in router.status().problems[0]
