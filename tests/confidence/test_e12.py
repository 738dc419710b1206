"""E12: a certificate is bound to what makes answers and to whose requests they were; any change voids it. Each is shown with its opposite."""

from __future__ import annotations

import ast
import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from hybridrt.application import Application, Binding, CertificateFile, LocalModel
from hybridrt.confidence import binding as bound
from hybridrt.confidence.binding import PARTS, bind, changed, code_of
from hybridrt.errors import UnavailableError
from hybridrt.local.action.backend import read_certificate
from hybridrt.local.factory import actions, placeholder
from hybridrt.local.gguf import read_facts
from hybridrt.router import Router
from hybridrt.testing import MemoryLedger, ScriptedBackend
from tests.confidence.kit import finish, issued, write

LOCAL = Path(bound.__file__).parent.parent / "local"
ASK = "Extract the city from: we met in Paris."
ROUTING = "routing:\n  - id: certified\n    order: [device, cloud]\n    escalate: {unless: {certified: 0.10%s}}\n"


@pytest.fixture
def model(tmp_path) -> Path:
    return Path(shutil.copy(placeholder(), tmp_path / "model.gguf"))


def flip(path: Path, at: int, value: int | None = None) -> None:
    data = bytearray(path.read_bytes())
    data[at] = data[at] ^ 1 if value is None else value
    path.write_bytes(data)


def change_weights(path: Path) -> None:
    flip(path, path.stat().st_size - 1)


def change_template(path: Path) -> None:
    template = read_facts(path).chat_template
    flip(path, path.read_bytes().index(template.encode()) + len(template) // 2)


def change_quantisation(path: Path) -> None:
    """One tensor of 32-bit floats is said to hold 32-bit whole numbers: as long, and another type."""
    data = path.read_bytes()
    name = b"output_norm.weight"
    at = data.index(name) + len(name) + 4 + 8
    assert data[at : at + 4] == b"\0\0\0\0"
    flip(path, at, 26)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda path: None, ()),
        (change_weights, ("model",)),
        (change_template, ("model", "template")),
        (change_quantisation, ("model", "quantisation")),
    ],
)
def test_e12_one_byte_of_the_file_is_noticed_and_named(model, change, parts):
    before = bind(model, "llama")
    change(model)
    assert changed(before, bind(model, "llama")) == parts


@pytest.mark.parametrize(
    ("kind", "part", "name"),
    [
        ("llama", "grammar", "grammar.py"),
        ("llama", "sampler", "sampler.py"),
        ("llama", "template", "template.py"),
        ("actions", "grammar", "action/grammar.py"),
        ("actions", "grammar", "action/moment.py"),
        ("actions", "grammar", "action/reading.py"),
        ("actions", "sampler", "sampler.py"),
    ],
)
def test_e12_one_byte_of_the_code_is_noticed_and_named(model, kind, part, name):
    def code(*, is_changed: bool):
        sources = {which: [(LOCAL / one).read_bytes() for one in names] for which, names in bound._FILES[kind].items()}
        assert name in bound._FILES[kind][part], "and that file is what runs"
        if is_changed:
            at = bound._FILES[kind][part].index(name)
            data = bytearray(sources[part][at])
            data[len(data) // 2] ^= 1
            sources[part][at] = bytes(data)
        return code_of(sources)

    shipped = bind(model, kind)
    assert changed(shipped, bind(model, kind, code(is_changed=False))) == ()
    assert changed(shipped, bind(model, kind, code(is_changed=True))) == (part,)


def test_e12_the_files_that_are_bound_are_those_that_make_grammars_and_choose_tokens():
    from hybridrt.local.action import grammar as action_grammar
    from hybridrt.local.llama import CSampler
    from hybridrt.local.tool import call_grammar

    for kind, part, made_by in (
        ("llama", "grammar", call_grammar.__module__),
        ("actions", "grammar", action_grammar.to_grammar.__module__),
        ("llama", "sampler", CSampler.__module__),
    ):
        assert made_by.removeprefix("hybridrt.local.").replace(".", "/") + ".py" in bound._FILES[kind][part]


# Types and interfaces: nothing in it runs while an answer is made.
ONLY_TYPES = {"model.py"}


@pytest.mark.parametrize("kind", ["llama", "actions"])
def test_e12_what_a_bound_file_takes_its_part_in_answers_from_is_bound_too(kind):
    files = {name for names in bound._FILES[kind].values() for name in names}
    for name in files:
        tree = ast.parse((LOCAL / name).read_text(encoding="utf-8"))
        taken = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        near = {
            module.removeprefix("hybridrt.local.").replace(".", "/") + ".py" for module in taken if module.startswith("hybridrt.local.")
        }
        assert near - files <= ONLY_TYPES, name


@pytest.mark.parametrize("part", PARTS)
def test_e12_a_certificate_that_does_not_name_a_part_is_not_bound_to_it_and_void(model, part):
    certificate = issued(model)
    present = bind(model, "llama")
    assert certificate.void_reason(present, date(2026, 6, 1)) == ""
    silent = replace(certificate, digests={name: digest for name, digest in certificate.digests.items() if name != part})
    assert part in silent.void_reason(present, date(2026, 6, 1))
    other = replace(certificate, digests={**certificate.digests, part: "0" * 64})
    assert part in other.void_reason(present, date(2026, 6, 1))
    assert certificate.void_reason({}, date(2026, 6, 1))


def test_e12_code_that_cannot_be_read_is_not_the_code_it_was(model):
    packed = replace(issued(model), digests=bind(model, "llama", bound.Code(*[bound.UNREADABLE] * 3)))
    reason = packed.void_reason(bind(model, "llama", bound.Code(*[bound.UNREADABLE] * 3)), date(2026, 6, 1))
    assert "grammar, sampler" in reason


@pytest.fixture
def opened(tmp_path, policy_file, model):
    """A router over a scripted model with a certificate in force, and a cloud behind it."""

    def make(
        *,
        asked: str = "",
        audit: float = 0.0,
        by_cloud: bool = False,
        script=None,
        cloud=True,
        ledger=None,
        routing=ROUTING,
        window=None,
        confirm=None,
        **given,
    ) -> Router:
        file = write(issued(model, **given), tmp_path / "certificate.json")
        application = Application(
            policies=(policy_file(routing % asked if "%s" in routing else routing),),
            models=(LocalModel("factory", model, window=window),),
            bindings=(Binding("alpha", "alpha-model"),) if cloud else (),
            ledger=tmp_path / "ledger.jsonl",
            certificates=(CertificateFile(file, "factory", audit=audit, audits_by_cloud=by_cloud),),
        )
        backends = {"factory": ScriptedBackend(script or ["Paris", finish(-0.1)])} | (
            {"alpha": cloud if isinstance(cloud, ScriptedBackend) else ScriptedBackend("Lyon")} if cloud else {}
        )
        return Router.open(application, backends=backends, ledger=ledger or MemoryLedger(), confirm=confirm)

    return make


async def test_e12_an_answer_stays_under_its_certificate_and_leaves_when_the_model_changes(opened, model):
    async with opened() as router:
        answer = await router.infer(ASK)
        assert (answer.text, answer.certified, answer.certificate.state) == ("Paris", True, "certified")
        assert (answer.certificate.alpha, answer.certificate.delta, answer.certificate.n, answer.certificate.coverage) == (
            0.1,
            0.05,
            700,
            0.7,
        )
        change_weights(model)
        answer = await router.infer(ASK)
        assert (answer.text, answer.certified) == ("Lyon", False), "the file was changed under a router that runs"
    async with opened(cloud=False) as router:
        assert (await router.infer(ASK)).certificate.state == "certified", "made anew for the changed file"
        change_weights(model)
        answer = await router.infer(ASK)
    assert (answer.text, answer.certified, answer.certificate.state) == ("Paris", False, "expired")
    assert "model" in answer.certificate.reason


def test_e12_a_clock_that_was_set_back_makes_no_certificate_hold_again(model):
    ended = issued(model, made=date(2026, 1, 1), expires=date(2026, 6, 1))
    assert ended.void_reason(bind(model, "llama"), date(2026, 1, 1)) == ""
    for day in (date(1970, 1, 1), date(2025, 12, 31), date(2026, 6, 1)):
        assert "2026" in ended.void_reason(bind(model, "llama"), day)


async def test_e12_a_certificate_ends_on_its_day(opened):
    async with opened(expires=date(2026, 1, 2), cloud=False) as router:
        answer = await router.infer(ASK)
    assert (answer.certified, answer.certificate.state) == (False, "expired")
    assert "2026-01-02" in answer.certificate.reason


@pytest.mark.parametrize(
    ("population", "asked", "text"),
    [
        ("", "", "Paris"),
        ("invoices of 2025", "", "Lyon"),
        ("invoices of 2025", ", population: invoices of 2025", "Paris"),
        ("invoices of 2025", ", population: invoices of 2026", "Lyon"),
        ("", ", population: invoices of 2025", "Lyon"),
    ],
)
async def test_e12_a_certificate_satisfies_a_policy_only_for_the_population_named(opened, population, asked, text):
    async with opened(population=population, asked=asked) as router:
        answer = await router.infer(ASK)
    assert answer.text == text
    if text == "Paris":
        assert answer.certificate.population == answer.certified_for == population


async def test_e12_a_task_without_a_certificate_has_none(opened):
    async with opened() as router:
        assert (await router.infer("Where did we meet?", task="extract")).text == "Paris"
        assert (await router.infer("Where did we meet?")).text == "Lyon"
        assert (await router.infer(ASK, task="translate")).text == "Lyon"


async def test_e12_an_answer_at_another_temperature_is_not_covered(opened):
    async with opened(cloud=False) as router:
        assert (await router.infer(ASK)).certified
        answer = await router.infer(ASK, temperature=0.8)
    assert not answer.certified
    assert "temperature" in answer.certificate.reason


async def test_e12_what_was_meant_for_another_place_is_not_of_the_population(opened, tmp_path, policy_file):
    elsewhere_first = "routing:\n  - {id: up, order: [cloud, device]}\n"
    async with opened(cloud=ScriptedBackend(UnavailableError("down")), routing=elsewhere_first) as router:
        answer = await router.infer(ASK)
    assert (answer.text, answer.certified, answer.certificate.state) == ("Paris", False, "uncertified")
    assert "first" in answer.certificate.reason


async def test_e12_a_request_that_was_made_to_fit_is_not_of_the_population(opened, tmp_path):
    cut = "routing:\n  - {id: cut, order: [device], fit: [truncate, fail]}\n"
    words = "The committee met again and agreed to postpone the vote. " * 40
    talk = [{"role": "user", "content": words}, {"role": "assistant", "content": words}, {"role": "user", "content": ASK}]
    async with opened(cloud=False, routing=cut, window=1_500) as router:
        assert (await router.infer(talk[-1:], task="extract")).certificate.state == "certified"
        answer = await router.infer(talk, task="extract")
        assert (answer.window.remedy, answer.certified) == ("truncate", False)
        assert (answer.certificate.state, answer.certificate.reason) == ("uncertified", "the request was made to fit the window")
        assert not await answer.feedback(correct=False), "and what is said of it counts neither for nor against the promise"
    assert not (tmp_path / "certificate.counts.json").exists()


def test_e12_the_certificate_that_ships_is_in_force_and_one_byte_of_its_model_voids_it(tmp_path):
    shipped = read_certificate(actions())
    assert shipped is not None
    assert shipped.changed == (), "calibrate the factory model again: python -m training.factory_llm.calibrate"
    assert shipped.promise(1.0).state == "certified"
    assert shipped.promise(0.0).state == "uncertified"
    manifest = json.loads(actions().with_suffix(".json").read_text(encoding="utf-8"))
    for part in PARTS:
        del (found := json.loads(json.dumps(manifest)))["confidence"]["digests"][part]
        model = Path(shutil.copy(actions(), tmp_path / "actions.gguf"))
        model.with_suffix(".json").write_text(json.dumps(found), encoding="utf-8")
        void = read_certificate(model)
        assert (void.promise(1.0).state, void.changed) == ("expired", (part,))
    change_weights(model)
    assert read_certificate(model) is None
