"""The slips of somebody who writes a policy for the first time are met with their remedy."""

from __future__ import annotations

from datetime import date

import pytest

from hybridrt.errors import PolicyError
from hybridrt.policy import load
from hybridrt.policy.check import check
from hybridrt.policy.condition import Reader
from hybridrt.policy.corpus import read_one
from hybridrt.policy.tree import parse
from hybridrt.policy.trial import as_text
from hybridrt.policy.vocabulary import STANDARD
from tests.policy.test_bad_input import DEVICE, FORBID, HEAD, rule, written

TODAY = date(2026, 11, 20)
CLOUD = '  - {id: c, kind: cloud, adapter: openai, endpoint: "https://a.example/v1"}\n'
BASE = DEVICE + CLOUD + "rules:\n  - {id: p, effect: permit, when: {sensitivity: [public]}, to: {kind: cloud}, because: x}\n"
TESTED = "tests:\n  - {name: t, request: {sensitivity: public}, expect: {may_reach: [on-device, c]}}\n"


def expecting(expect: str) -> str:
    return DEVICE + f"tests:\n  - {{name: t, request: {{}}, expect: {{{expect}}}}}\n"


SLIPS = [
    (CLOUD.replace("kind", "region: EU, kind"), "`eu`"),
    (CLOUD.replace("kind", "region: eea, kind"), "`eu`"),
    (rule(f"{FORBID}, when: {{subject_region: [eu]}}"), "`eea`"),
    (rule(f"{FORBID}, when: {{subject_region: EEA}}"), "`eea`"),
    (rule(f"{FORBID}, when: {{sensitivity: Public}}"), "`public`"),
    (rule(f"{FORBID}, when: {{data: [source-code]}}"), "`source_code`"),
    (rule(f"{FORBID}, when: {{data: health, child}}"), "`data: [health, child]`"),
    (rule(f"{FORBID}, when: {{data: [health], child}}"), "`data: [..., child]`"),
    (rule(f"{FORBID}, when: {{sensitivity: public, internal}}"), "`sensitivity: [public, internal]`"),
    (rule(f"{FORBID}, if: {{data: [health]}}"), "`when`"),
    (rule(f"{FORBID}, when: {{or: [{{data: [health]}}]}}"), "`any`"),
    (rule(f"{FORBID}, when: {{not: {{data: [health]}}}}"), "`unless`"),
    (rule(f"{FORBID}, when: {{data: {{not: [health]}}}}"), "`none_of`"),
    (rule("effect: deny, when: always, to: {kind: cloud}"), "`forbid`"),
    (rule("effect: allow, when: always, to: {kind: cloud}"), "`permit`"),
    (rule("effect: require, when: always"), "must: {dpa: current}"),
    (rule("effect: oblige, when: always"), "do: {log: decision}"),
    (rule("effect: oblige, when: always, do: {log_days: 190 days}"), "alone: 190"),
    (rule("effect: oblige, when: always, do: {confirm: yes}"), "write `true`"),
    (CLOUD.replace("kind", "trains_on_data: no, kind"), "write `false`"),
    (CLOUD.replace("kind", "retention_days: 30d, kind"), "alone: 30"),
    (DEVICE + "rules:\n  - id: r\n    effect: forbid\n    when: always\n    because: a: b\n", 'quotes: `because: "..."`'),
    (rule(f"{FORBID}, when: always, because: a: b"), "quotes"),
    (DEVICE + "owner: the team: support\n", 'quotes: `owner: "..."`'),
    (DEVICE + "rules:\n  - id: r\n    when: data: [health]\n", "braces"),
    (expecting("decided_by: []"), "could not fail"),
    (expecting("obligations: {}"), "could not fail"),
    (expecting("must_not_reach: [], outcome: stays"), "could not fail"),
    (DEVICE + "vocabulary: {labels: [mine, mine]}\n", "twice"),
    (DEVICE + "vocabulary: {purposes: [mine, other, mine]}\n", "twice"),
    *(
        (DEVICE + f"vocabulary: {{labels: [{word}]}}\n", "already means")
        for word in ("labels", "sensitivity", "data", "any_of", "at_least")
    ),
    *((DEVICE + f"vocabulary: {{labels: [{word}]}}\n", "already means") for word in ("true", "null", "unknown", "purpose")),
    *((DEVICE + f"owner: 'a{mark}b'\n", "hidden") for mark in "\x80\x84\x85\x9b\x9f\ufffe\uffff"),
]


@pytest.mark.parametrize(("text", "word"), SLIPS)
def test_a_slip_is_met_with_its_place_and_its_remedy(tmp_path, text, word):
    text = text if text.startswith("hybridrt_policy") else DEVICE + text
    with pytest.raises(PolicyError) as caught:
        load(written(tmp_path, text))
    assert word in f"{caught.value.what} {caught.value.hint}"
    assert caught.value.line >= 5


def test_an_expectation_that_nobody_may_receive_is_one(tmp_path):
    assert load(written(tmp_path, expecting("may_reach: []"))).tests


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [
        ("{any_of: [special, unknown], none_of: [public]}", "{none_of: [public], any_of: [special, unknown]}", {"special", "unknown"}),
        ("{any_of: [special, unknown], at_least: internal}", "{at_least: internal, any_of: [special, unknown]}", {"special"}),
        ("{none_of: [public], at_most: internal}", "{at_most: internal, none_of: [public]}", {"internal"}),
        ("{any_of: [unknown], none_of: [special]}", "{none_of: [special], any_of: [unknown]}", {"unknown"}),
        ("{none_of: [public, unknown]}", "{none_of: [unknown, public]}", {"internal", "confidential", "special"}),
    ],
)
def test_what_a_claim_asks_does_not_depend_on_the_order_of_its_words(one, other, values):
    reader = Reader(STANDARD, in_claim=True)
    read = [reader.mapping(parse(f"sensitivity: {text}".encode(), "x"), "`claim`", 1) for text in (one, other)]
    assert read[0] == read[1]
    assert read[0].values == values


def test_of_two_rules_that_say_the_same_one_is_named_and_the_other_said_to_be_it(tmp_path):
    twins = "".join(f"  - {{id: {name}, {FORBID}, when: {{data: [health]}}, because: x}}\n" for name in ("one", "two", "three"))
    tests = TESTED + "  - {name: h, request: {sensitivity: public, data: [health]}, expect: {may_reach: [on-device]}}\n"
    found = check(written(tmp_path, BASE + twins + tests), today=TODAY)
    said = [remark.message for remark in found.warnings if remark.code == "shadowed_rule"]
    assert said == ["the rule `two` says the same as `one` on line 8", "the rule `three` says the same as `one` on line 8"]


def test_a_rule_that_a_base_has_already_is_said_to_be_there(tmp_path):
    stop = f"  - {{id: @, {FORBID}, when: {{data: [health]}}, because: x}}\n"
    written(tmp_path, BASE + stop.replace("@", "below"), "base.yaml")
    found = check(written(tmp_path, HEAD + "extends: base.yaml\nrules:\n" + stop.replace("@", "above")), today=TODAY)
    assert [remark.message for remark in found.warnings if remark.code == "shadowed_rule"] == [
        "the rule `above` says the same as `below` in base.yaml on line 8"
    ]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (BASE.replace("  - {id: on-device, kind: local}\n", ""), "list a recipient of kind `local`"),
        (BASE + "  - {id: shut, effect: forbid, when: {data: [health], sensitivity: special}, to: {kind: local}, because: x}\n", "`shut`"),
    ],
)
def test_a_request_that_nobody_can_answer_offline_can_be_pasted_into_a_test(tmp_path, text, remedy):
    found = check(written(tmp_path, text), today=TODAY)
    remark = next(remark for remark in found.warnings if remark.code == "dead_zone")
    assert remedy in remark.hint
    shown = remark.message.split("`")[1]
    tests = f"tests:\n  - {{name: z, request: {shown}, expect: {{may_reach: []}}}}\n"
    case = load(written(tmp_path, text + tests)).tests[0]
    assert as_text(case.facts) == shown


def test_every_request_is_written_as_it_is_read():
    for line in (
        '{"sensitivity": "unknown"}',
        '{"data": ["health", "child"], "purpose": "coding", "online": "no", "data_unknown": ["phi"]}',
    ):
        facts = read_one(line, STANDARD)
        policy = DEVICE + f"tests:\n  - {{name: t, request: {as_text(facts)}, expect: {{outcome: stays}}}}\n"
        node = parse(policy.encode(), "x")
        assert node.value["tests"]
        from hybridrt.policy.case import read_request

        assert read_request(node.value["tests"][1].value[0].value["request"][1], STANDARD) == facts


def test_a_file_without_rules_has_no_score_of_its_own(tmp_path):
    written(tmp_path, BASE, "base.yaml")
    found = check(written(tmp_path, HEAD + "extends: base.yaml\n" + TESTED), today=TODAY)
    assert found.ok
    assert found.score is None
    assert found.as_dict()["mutation_score"] is None
