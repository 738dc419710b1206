"""What a decision and a proof cost: 40 rules and 12 recipients, beside Cedar, and the whole table filled.

    python -m benchmarks.policy

`decide_us` is a whole decision over 12 recipients with its duties and its order, for requests drawn at random, so that
nearly each is of another class; `decide_over_cedarpy` sets it beside one question to Cedar about one recipient, with the policies
parsed beforehand, interleaved in the same loop. Prints one JSON object, last.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from hybridrt.policy import load, shipped_policies
from hybridrt.policy.cedar import entities, export, request
from hybridrt.policy.facts import Facts
from hybridrt.policy.policy import Policy
from hybridrt.policy.prove import Status, groups, prove, space_of
from hybridrt.policy.vocabulary import FIELDS
from hybridrt.signals import UNKNOWN

TODAY = date(2026, 11, 20)
DECISIONS = 20_000
SIDE_BY_SIDE = 1_500
ROUNDS = 5

SECRETS, MONEY, PEOPLE, SPECIAL = "credential", "payment_card, bank_account", "contact, address", "health, genetic, religion"
CHILDREN, CODE, RECORDS, LEGAL = "child, student", "source_code", "phi, mrn", "trade_secret, legal_privilege"
LABELS = (SECRETS, MONEY, PEOPLE, SPECIAL, CHILDREN, CODE, RECORDS, LEGAL)
REGIONS = ("eu", "us", "ch", "uk")


def forty_rules() -> str:
    """A policy of the size a large company ends up with: 40 rules over 12 recipients, eight fields and eight groups of labels."""
    lines = ["hybridrt_policy: 1", "name: forty", "recipients:", "  - {id: on-device, kind: local}"]
    for number in range(11):
        facts = f"region: {REGIONS[number % 4]}, retention_days: {(0, 30)[number % 2]}, trains_on_data: {str(number % 5 == 4).lower()}"
        contract = ", dpa: {ref: D}" if number % 3 else ""
        lines.append(f'  - {{id: c{number}, kind: cloud, adapter: openai, endpoint: "https://c{number}.example/v1", {facts}{contract}}}')
    rules = [
        "effect: permit, when: {sensitivity: [public]}, to: {kind: cloud}",
        "effect: permit, when: {sensitivity: [internal]}, to: {kind: cloud, dpa: current}",
        "effect: permit, when: {sensitivity: [confidential]}, to: {kind: cloud, dpa: current, retention_days: 0}",
        "effect: permit, when: {sensitivity: [special], consent: [explicit]}, to: {kind: cloud, dpa: current, region: [eu]}",
    ]
    rules += [
        f"effect: forbid, when: {{data: [{labels}], consent: [none]}}, to: {{kind: cloud}}" for labels in (SPECIAL, CHILDREN, RECORDS)
    ]
    rules += [f"effect: forbid, when: {{data: [{labels}]}}, to: {{kind: cloud, region: {{none_of: [eu]}}}}" for labels in (PEOPLE, LEGAL)]
    rules += [f"effect: forbid, when: {{data: [{labels}]}}, to: {{kind: cloud}}" for labels in (SECRETS, MONEY)]
    rules += ["effect: forbid, when: {user_choice: [local_only]}, to: {kind: cloud}"]
    rules += [
        f"effect: forbid, when: {{purpose: [{purpose}], data: [{labels}]}}, to: {{kind: cloud}}"
        for purpose, labels in zip(("advertising", "marketing", "hiring", "training", "analytics"), LABELS[2:7], strict=True)
    ]
    rules += [
        f"effect: require, when: {{subject_region: [{region}], sensitivity: {{at_least: internal}}}}, must: {{region: [{home}]}}"
        for region, home in (("eea", "eu"), ("uk", "uk, eu"), ("ch", "ch, eu"), ("us", "us, eu"))
    ]
    rules += [f"effect: require, when: {{data: [{labels}]}}, must: {{trains_on_data: false}}" for labels in (CODE, PEOPLE, RECORDS, LEGAL)]
    rules += [f"effect: require, when: {{data: [{labels}]}}, must: {{retention_days: {{at_most: 0}}}}" for labels in (CODE, SPECIAL)]
    rules += [
        "effect: require, when: {any: [{sensitivity: special}, {purpose: treatment}], unless: {consent: explicit}}, must: {region: eu}",
        "effect: forbid, when: {deadline: [interactive], sensitivity: [special]}, to: {region: [us]}",
        "effect: forbid, when: {modality: [image, audio], sensitivity: {at_least: confidential}}, to: {kind: cloud}",
        "effect: forbid, when: {purpose: [unspecified], sensitivity: {at_least: confidential}}, to: {kind: cloud}",
    ]
    rules += [f"effect: oblige, when: {{data: [{labels}]}}, do: {{redact: [{labels}]}}" for labels in (PEOPLE, MONEY, RECORDS, SPECIAL)]
    kept = (("internal", 90), ("special", 400))
    rules += [f"effect: oblige, when: {{sensitivity: {{at_least: {level}}}}}, do: {{log_days: {days}}}" for level, days in kept]
    rules += [
        "effect: oblige, when: {purpose: [treatment, payment]}, do: {confirm: true}",
        "effect: oblige, when: {deadline: {at_least: normal}}, do: {max_cost_usd: 0.5}",
        "effect: oblige, when: always, do: {log: decision, provider_cache: off}",
    ]
    lines += ["rules:", *(f"  - {{id: r{number}, {rule}}}" for number, rule in enumerate(rules))]
    lines += [
        "routing:",
        "  - {id: up, when: {complexity: [hard]}, order: [cloud, device]}",
        "  - {id: otherwise}",
        "never:",
        f"  - {{id: no-secret, claim: {{data: [{SECRETS}], reaches: {{kind: cloud}}}}}}",
        f"  - {{id: no-record-without-consent, claim: {{data: [{RECORDS}], consent: [none], reaches: {{kind: cloud}}}}}}",
        "  - {id: special-stays-in-the-eu, claim: {sensitivity: [special], reaches: {kind: cloud, region: {none_of: [eu]}}}}",
    ]
    return "\n".join(lines) + "\n"


def written(text: str) -> Policy:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forty.yaml"
        path.write_text(text)
        return load(path)


def some_facts(count: int) -> list[Facts]:
    chance = random.Random(11)
    words = [label for labels in LABELS for label in labels.split(", ")]
    found = []
    for _ in range(count):
        values = {name: chance.choice([*field.values, UNKNOWN]) for name, field in FIELDS.items()}
        states = {word: chance.choice(["", "", "", "present", "unknown"]) for word in words}
        present = frozenset(word for word, state in states.items() if state == "present")
        found.append(Facts(**values, present=present, unknown=frozenset(word for word, state in states.items() if state == "unknown")))
    return found


def decide_us(policy: Policy) -> dict[str, float]:
    facts = some_facts(DECISIONS)
    times = []
    for one in facts:
        began = time.perf_counter_ns()
        policy.decide(one, TODAY)
        times.append(time.perf_counter_ns() - began)
    times.sort()
    explained = []
    for one in facts[: DECISIONS // 10]:
        began = time.perf_counter_ns()
        assert policy.decide(one, TODAY).reasons().standings
        explained.append(time.perf_counter_ns() - began)
    explained.sort()
    reasons = {"decide_with_reasons_us": explained[len(explained) // 2] / 1000}
    return reasons | {"decide_us": times[len(times) // 2] / 1000, "decide_p95_us": times[len(times) * 95 // 100] / 1000}


def beside_cedar(policy: Policy) -> dict[str, float]:
    import cedarpy

    parsed = cedarpy.PolicySet.from_str(export(policy, TODAY))
    known = cedarpy.Entities.from_json_str(json.dumps(entities(policy, TODAY)))
    ours, theirs, whole = [], [], []
    for number, facts in enumerate(some_facts(SIDE_BY_SIDE)):
        questions = [request(facts, one.id, policy.vocabulary) for one in policy.recipients]
        asked = number % len(questions)
        began = time.perf_counter_ns()
        ruling = policy.decide(facts, TODAY)
        ours.append(time.perf_counter_ns() - began)
        began = time.perf_counter_ns()
        answer = cedarpy.is_authorized(questions[asked], parsed, known)
        theirs.append(time.perf_counter_ns() - began)
        assert answer.allowed is (policy.recipients[asked].id in ruling.may_reach)
        if number % 10 == 0:
            began = time.perf_counter_ns()
            cedarpy.is_authorized_batch(questions, parsed, known)
            whole.append(time.perf_counter_ns() - began)
    ours_us, theirs_us, whole_us = (statistics.median(times) / 1000 for times in (ours, theirs, whole))
    return {
        "cedarpy_us": theirs_us,
        "decide_over_cedarpy": ours_us / theirs_us,
        "decide_over_cedarpy_for_all": ours_us / whole_us,
    }


def fill(policy: Policy) -> tuple[int, float]:
    """Fill the whole table: for every class of request and every recipient, may it be reached?"""
    began = time.perf_counter()
    reached = 0
    space = space_of(policy)
    every = groups(policy, TODAY)
    for table in space.slices():
        reached += sum(group.allowed(table).bit_count() * len(group.recipients) for group in every)
    assert 0 < reached < space.size * len(policy.recipients)
    return space.size * len(policy.recipients), time.perf_counter() - began


def prove_s(policy: Policy) -> float:
    began = time.perf_counter()
    assert all(verdict.status is Status.PROVED for verdict in prove(policy, TODAY))
    return time.perf_counter() - began


def load_ms() -> float:
    path = shipped_policies() / "gdpr-eu.yaml"
    times = []
    for _ in range(ROUNDS * 2):
        began = time.perf_counter()
        load(path)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def main() -> dict[str, Any]:
    policy = written(forty_rules())
    assert (len(policy.rules), len(policy.recipients)) == (40, 12), (len(policy.rules), len(policy.recipients))
    gc.collect()
    pairs, filled_s = min((fill(policy) for _ in range(3)), key=lambda one: one[1])
    figures = {
        **decide_us(policy),
        **beside_cedar(policy),
        "pairs_40x12": pairs,
        "pairs_per_s": pairs / filled_s,
        "prove_s": statistics.median(prove_s(policy) for _ in range(3)),
        "load_ms": load_ms(),
    }
    return {name: value if isinstance(value, int) else float(f"{value:.4g}") for name, value in figures.items()}


if __name__ == "__main__":
    print(json.dumps(main()))
