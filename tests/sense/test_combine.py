"""What several findings mean together, who introduces whom, and what is unknown when combining fails."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrt.request import make_request
from hybridrt.sense import Senses
from hybridrt.sense.combine import RULES, combined, uncertain
from hybridrt.sense.combine import given as given_labels
from hybridrt.sense.meaning import MEANINGS
from hybridrt.sense.privacy import Scan
from hybridrt.sense.texts import SensedText
from hybridrt.signals import Finding, Presence
from tests.sense.kit import found


def at(label, start, end, text=0):
    return Finding(text, start, end, label, 1.0, "made-up")


CASES = (
    ("a name alone is nobody", [at("person", 0, 3)], set()),
    ("a name beside an address of mail", [at("person", 0, 3), at("email", 10, 20)], {"private_person"}),
    ("a name far from it", [at("person", 0, 3), at("email", 2000, 2020)], set()),
    ("a name in another text", [at("person", 0, 3), at("email", 10, 20, 1)], set()),
    ("a name inside a statement", [at("person", 5, 9), at("criminal", 0, 60)], {"private_person"}),
    ("a name inside a statement on health", [at("person", 5, 9), at("health", 0, 60)], {"private_person", "phi"}),
    ("a number and health, wherever they stand", [at("us_ssn", 0, 9), at("health", 900, 960, 2)], {"phi"}),
    ("health without anybody", [at("health", 0, 60)], set()),
    ("a record number alone", [at("medical_record_number", 0, 9)], set()),
    ("two record numbers", [at("medical_record_number", 0, 9), at("health_plan_number", 20, 29)], {"phi"}),
    ("an address alone is a shop's", [at("address", 0, 20)], set()),
    ("an address with its postcode", [at("address", 0, 20), at("postcode", 22, 28)], {"home_address"}),
    ("an address and a name", [at("person", 0, 9), at("address", 11, 30)], {"private_person", "home_address"}),
    ("an age alone", [at("age", 0, 2)], set()),
    ("the age of a child", [at("age", 30, 32), at("child", 0, 60)], {"personal_date"}),
)


@pytest.mark.parametrize(("case", "findings", "gives"), CASES, ids=[case for case, *_ in CASES])
def test_what_stands_beside_what_decides(case, findings, gives):
    assert case
    assert {finding.label for finding in combined(findings)} == gives


@given(
    st.lists(st.builds(at, st.sampled_from(sorted(MEANINGS)), st.integers(0, 900), st.integers(901, 950), st.integers(0, 2)), max_size=12)
)
def test_what_is_added_stands_where_a_finding_stood_and_order_does_not_matter(findings):
    added = combined(findings)
    places = {(finding.text, finding.start, finding.end) for finding in findings}
    assert {(one.text, one.start, one.end) for one in added} <= places
    backwards = combined(findings[::-1])
    assert {(one.label, one.text, one.start, one.end) for one in backwards} == {(one.label, one.text, one.start, one.end) for one in added}


def test_every_rule_speaks_of_findings_that_the_table_means():
    for rule in RULES:
        assert rule.lifts | rule.beside | {rule.gives} <= MEANINGS.keys()


def test_what_is_unknown_makes_unknown_what_it_could_have_given():
    labels = dict.fromkeys(("name", "contact", "health", "phi"), Presence.ABSENT)
    assert uncertain(labels, MEANINGS) == frozenset()
    labels["health"] = Presence.UNKNOWN
    assert "phi" not in uncertain(labels, MEANINGS), "with nobody in it there is no patient"
    labels["contact"] = Presence.PRESENT
    assert "phi" in uncertain(labels, MEANINGS)


def test_labels_are_given_only_where_their_parts_are_covered():
    assert "phi" in given_labels(frozenset({"health", "contact"}), MEANINGS)
    assert "phi" not in given_labels(frozenset({"contact"}), MEANINGS)


@pytest.mark.parametrize("text", ["What is the capital of France? mail jane@example.com", "I have diabetes. Mail jane@example.com"])
def test_combining_that_fails_leaves_unknown_what_it_would_have_given(text):
    def fail(findings):
        raise RuntimeError

    senses = Senses()
    scan = Scan(senses.detectors, senses.meanings, combine=fail)
    asyncio.run(scan.run([SensedText(text)], {}))
    privacy = scan.verdict(has_images=False).privacy
    assert privacy.failed == ("combinations",)
    assert privacy.labels["phi"] == "unknown"
    assert privacy.labels["contact"] == "present"
    assert privacy.sensitivity == "unknown"


INTRODUCED = (
    ("my name is Farid Amini and I need help", "Farid Amini"),
    ("Dear Mr Brandt,\nthank you", "Mr Brandt"),
    ("our employee J. Smith was late", "J. Smith"),
    ("patient: Harold Nwosu, seen today", "Harold Nwosu"),
    ("my neighbour Raj Patel plays drums", "Raj Patel"),
    ("Thanks\nBest,\nIngrid Solberg", "Ingrid Solberg"),
    ("this is Dolores Prieto speaking", "Dolores Prieto"),
)


@pytest.mark.parametrize(("text", "name"), INTRODUCED)
def test_words_introduce_a_person(text, name):
    assert ("private_person", name) in found(text, "people")


@pytest.mark.parametrize(
    "text",
    [
        "Tom has 5 apples, gives 2 to Jane",
        "who wrote Hamlet",
        "write a story about my friend Tom and a dragon",
        "My Python script fails",
        "our Docker image is large",
        "Dear all, lunch is at 12",
        "my boss wants a report",
        "Her friend Anna has 12 pens and gives 4 away. How many are left?",
    ],
)
def test_names_that_nobody_introduces_are_not_named(text):
    assert found(text, "people") == []


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("my neighbour Raj Patel at 12 Elm Road owes me money", "confidential"),
        ("I live at 2214 Birch Hollow Lane, how far is the vet", "confidential"),
        ("i live at 4410 sycamore st apt 2b, is that in a flood zone?", "confidential"),
        ("directions to 350 Fifth Avenue", "public"),
        ("what's at 10 Downing Street", "public"),
    ],
)
def test_an_address_counts_where_somebody_lives(text, level):
    assert asyncio.run(Senses().sense(make_request(text, {}))).privacy.sensitivity == level
