"""Terms and patterns in a policy: what may be written, what is found, and that none can slow a scan."""

import time
from pathlib import Path

import pytest

from hybridrt.application import Application, Binding
from hybridrt.errors import PolicyError
from hybridrt.policy import intersect, load
from hybridrt.policy.detection import Detection
from hybridrt.request import make_request
from hybridrt.router import Router
from hybridrt.sense import Senses
from hybridrt.sense.custom import Custom, own_meanings
from hybridrt.sense.passage import prepare
from hybridrt.testing import MemoryLedger, ScriptedBackend

BASE = """
hybridrt_policy: 1
name: base
vocabulary: {{labels: [claim_number]}}
detect:
  terms: {terms}
  patterns: {patterns}
recipients: [{{id: on-device, kind: local}}, {{id: us, kind: cloud, endpoint: "https://a.example", adapter: openai}}]
rules: [{{id: p, effect: permit, when: {{data: [source_code], unless: {{data: [claim_number]}}}}, to: {{id: us}}}}]
"""
CHILD = "hybridrt_policy: 1\nname: child\nextends: base.yaml\ndetect: {terms: {%s: [%s]}}\n"


def write(folder: Path, terms="{trade_secret: [Blue Heron]}", patterns="{claim_number: ['CLM-[0-9]{8}']}", child=None):
    (folder / "base.yaml").write_text(BASE.format(terms=terms, patterns=patterns).lstrip(), "utf-8")
    if child is None:
        return load(folder / "base.yaml")
    (folder / "child.yaml").write_text(child, "utf-8")
    return load(folder / "child.yaml")


def senses(policy):
    return Senses([Custom(policy.detection)], meanings=own_meanings(policy.detection))


async def present(policy, text):
    privacy = (await senses(policy).sense(make_request(text, {}))).privacy
    return {(finding.label, text[finding.start : finding.end]) for finding in privacy.findings}, privacy


FOUND = (
    ("we launch Blue Heron soon", ("trade_secret", "Blue Heron")),
    ("BLUE  HERON", ("trade_secret", "BLUE  HERON")),
    ("the blue-heron branch", ("trade_secret", "blue-heron")),
    ("Blue\nHeron", ("trade_secret", "Blue\nHeron")),
    ("B\u200blue Her\u00adon", ("trade_secret", "B\u200blue Her\u00adon")),
    ("file CLM-20261120 now", ("claim_number", "CLM-20261120")),
    ("é CLM-20261120", ("claim_number", "CLM-20261120")),
)


@pytest.mark.parametrize(("text", "expected"), FOUND)
async def test_terms_and_patterns_are_found_through_normal_text(tmp_path, text, expected):
    findings, privacy = await present(write(tmp_path), text)
    assert expected in findings
    assert privacy.labels[expected[0]] == "present"


def test_half_a_surrogate_pair_before_it_moves_nothing(tmp_path):
    passage = prepare("\ud800é CLM-20261120")
    (hit,) = Custom(write(tmp_path).detection).scan(passage)
    assert passage.text[hit.start : hit.end] == "CLM-20261120"


@pytest.mark.parametrize("text", ["bluebird heron", "Blue Herons' nest in blueheronry", "a heron is blue", "CLM-2026"])
async def test_parts_of_words_are_no_terms(tmp_path, text):
    findings, privacy = await present(write(tmp_path), text)
    assert findings == set()
    assert privacy.labels == {"trade_secret": "absent", "claim_number": "absent"}


async def test_a_label_of_the_vocabulary_keeps_its_level_and_an_own_one_is_internal(tmp_path):
    policy = write(tmp_path)
    assert (await present(policy, "Blue Heron"))[1].sensitivity == "confidential"
    assert (await present(policy, "CLM-20261120"))[1].sensitivity == "internal"


async def test_a_term_under_a_name_that_findings_have_is_a_reason_all_the_same(tmp_path):
    policy = write(tmp_path, terms="{location: [Camp Kestrel]}")
    assert (await present(policy, "see you at camp kestrel"))[1].labels["location"] == "present"


REFUSED = (
    ("patterns", "{claim_number: ['(?=a)b']}", "RE2", "no look-around"),
    ("patterns", "{claim_number: ['(a)\\1']}", "RE2", "back-references"),
    ("patterns", "{claim_number: ['[']}", "RE2", "syntax"),
    ("patterns", "{claim_number: ['((x{1,100}){1,100}){1,100}']}", "RE2", "count less"),
    ("patterns", "{claim_number: ['a*']}", "everywhere", "at least one character"),
    ("patterns", "{claim_number: [5]}", "must be text", "quotes"),
    ("patterns", "{claim_numer: ['a']}", "did you mean `claim_number`", "vocabulary"),
    ("patterns", "{claim_number: []}", "lists nothing", "remove it"),
    ("terms", "{trade_secret: [x]}", "two letters", "everywhere"),
    ("terms", "{trade_secret: [[a]]}", "must be text", ""),
    ("terms", "{trade_secret: Heron}", "must be a list", ""),
    ("terms", f"{{trade_secret: [{'ab ' * 100}]}}", "200 characters", ""),
)


@pytest.mark.parametrize(("key", "value", "said", "hint"), REFUSED)
def test_what_cannot_be_looked_for_is_refused_with_its_place_and_a_remedy(tmp_path, key, value, said, hint):
    with pytest.raises(PolicyError) as caught:
        write(tmp_path, **{key: value})
    assert said in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.line == (5 if key == "terms" else 6)


def test_a_policy_that_extends_another_adds_to_what_it_finds(tmp_path):
    policy = write(tmp_path, child=CHILD % ("trade_secret", "Red Kite"))
    assert policy.detection.terms == {"trade_secret": ("Blue Heron", "Red Kite")}
    assert policy.detection.patterns == {"claim_number": ("CLM-[0-9]{8}",)}


def test_it_adds_nothing_under_a_label_that_a_permit_asks_for(tmp_path):
    with pytest.raises(PolicyError, match="a permit asks for `source_code`") as caught:
        write(tmp_path, child=CHILD % ("source_code", "Makefile"))
    assert caught.value.detail == "widens"
    # A permit that asks for its absence only narrows.
    write(tmp_path, child=CHILD % ("claim_number", "claim sheet"))


def test_of_several_policies_each_finds_for_all(tmp_path):
    one = write(tmp_path)
    other = write(tmp_path, terms="{trade_secret: [Red Kite]}")
    assert intersect([one, other]).detection.terms["trade_secret"] == ("Blue Heron", "Red Kite")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+b", "(x+x+)+y", "([a-zA-Z]+)*1"])
@pytest.mark.parametrize("text", ["a" * 1_000_000, "x" * 1_000_000])
async def test_no_pattern_can_slow_a_scan(tmp_path, pattern, text):
    policy = write(tmp_path, patterns=f"{{claim_number: ['{pattern}']}}")
    ready = senses(policy)
    began = time.thread_time()
    await ready.sense(make_request(text, {}))
    # Python's `re` would need longer than the age of the universe.
    assert time.thread_time() - began < 3


async def test_a_pattern_that_matches_everywhere_fails_and_leaves_the_sensitivity_unknown(tmp_path):
    policy = write(tmp_path, patterns="{claim_number: ['a|b.*z']}")
    _, privacy = await present(policy, "ab" * 2_000)
    assert privacy.failed == ("policy-terms",)
    assert privacy.sensitivity == "unknown"
    assert privacy.labels == {"claim_number": "present", "trade_secret": "unknown"}


def test_nothing_to_detect_is_nothing():
    assert Detection().labels == frozenset()


REDACTING = """
hybridrt_policy: 1
name: redacting
vocabulary: {labels: [claim_number]}
detect: {patterns: {claim_number: ['CLM-[0-9]{8}']}}
recipients:
  - {id: on-device, kind: local}
  - {id: us, kind: cloud, endpoint: "https://a.example/v1", adapter: openai}
rules:
  - {id: p, effect: permit, when: {sensitivity: {at_least: public}}, to: {id: us}}
  - {id: hide, effect: oblige, when: {data: [claim_number]}, do: {redact: [claim_number]}}
routing: [{id: up, order: [cloud, device]}]
"""


async def test_what_the_policy_lists_is_masked_by_its_own_mark(tmp_path):
    (tmp_path / "p.yaml").write_text(REDACTING.lstrip())
    cloud = ScriptedBackend("done")
    application = Application(policies=(tmp_path / "p.yaml",), bindings=(Binding("us", "m"),))
    async with Router.open(application, backends={"us": cloud}, ledger=MemoryLedger()) as router:
        answer = await router.infer("please file CLM-20261120 for me today")
    assert answer.target == "us"
    assert cloud.calls[0].messages[0].text == "please file [CLAIM_NUMBER] for me today"
