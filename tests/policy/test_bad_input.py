"""Everything a hand-edited file can contain ends in an error that says where and what to do."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from pathlib import Path

import pytest

from hybridrt.errors import PolicyError
from hybridrt.policy import load
from hybridrt.policy.endpoint import fault

EXAMPLES = Path(__file__).parent / "examples"
HEAD = "hybridrt_policy: 1\nname: x\n"
DEVICE = HEAD + "recipients:\n  - {id: on-device, kind: local}\n"


def written(folder: Path, text: str | bytes, name: str = "x.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rule(body: str) -> str:
    return f"{DEVICE}rules:\n  - {{id: r, {body}}}\n"


def cloud(endpoint: str, kind: str = "cloud") -> str:
    return f'{DEVICE}  - {{id: c, kind: {kind}, adapter: openai, endpoint: "{endpoint}"}}\n'


FORBID = "effect: forbid, to: {kind: cloud}"
# What is in the file, the code of the error, the line it names, and a word its message or hint must hold.
WRONG = [
    ("", "empty", 1, "init"),
    ("# only a comment\n", "empty", 1, "init"),
    ("- a\n", "invalid_value", 1, "mapping"),
    ("just words", "invalid_value", 1, "mapping"),
    ("name: x\n", "missing_key", 1, "hybridrt_policy: 1"),
    ("hybridrt_policy: 2\nname: x\n", "version", 1, "hybridrt_policy: 1"),
    ("hybridrt_policy: true\nname: x\n", "version", 1, "version 1"),
    ("hybridrt_policy: 1\n", "missing_key", 1, "name"),
    (HEAD, "missing_key", 1, "recipients"),
    (HEAD + "recipients: []\n", "invalid_value", 3, "empty"),
    (HEAD + "recipient: []\n", "unknown_key", 3, "`recipients`"),
    (DEVICE + "name: y\n", "duplicate_key", 5, "line 2"),
    (DEVICE + "owner: &me a\napproved_by: [*me]\n", "anchor", 5, "anchors"),
    (DEVICE + "owner: *me\n", "alias", 5, "aliases"),
    (DEVICE + "valid: {<<: {from: 2026-01-01}}\n", "merge", 5, "merge"),
    (DEVICE + "owner: !!python/object:os.system a\n", "tag", 5, "tags"),
    (DEVICE + "---\nname: y\n", "documents", 5, "one document"),
    ("%YAML 1.1\n---\n" + DEVICE, "directive", 1, "%"),
    (DEVICE + "rules:\n\t- a\n", "character", 6, "tab"),
    (DEVICE + "owner: a\u202eb\n", "character", 5, "hidden"),
    (DEVICE + "owner: a # \u2028rules: []\n", "character", 5, "hidden"),
    (DEVICE + "owner: 'a\x00b'\n", "character", 5, "hidden"),
    (DEVICE + "owner: a # all is well\rrules: []\n", "character", 5, "hidden"),
    (b"\xef\xbb\xbf" + DEVICE.encode(), "encoding", 1, "byte order mark"),
    (DEVICE.encode("utf-16"), "encoding", 1, "UTF-16"),
    (DEVICE.encode() + b"owner: \xff\n", "encoding", 5, "UTF-8"),
    (DEVICE + "rules: [a, b\n", "yaml", 6, "brackets"),
    (DEVICE + "rules: " + "[" * 5000, "too_deep", 5, "levels"),
    (DEVICE + "rules: " + "{a: " * 5000, "too_deep", 5, "levels"),
    (DEVICE + "? [a]\n: b\n", "key", 5, "key"),
    (DEVICE + "  - {id: on-device, kind: local}\n", "duplicate_id", 5, "line 4"),
    (DEVICE + "  - {id: other, kind: locla}\n", "unknown_word", 5, "`local`"),
    (DEVICE + "  - {id: Über, kind: local}\n", "invalid_value", 5, "small letters"),
    (DEVICE + "  - {id: c, kind: cloud}\n", "missing_key", 5, "adapter"),
    (DEVICE + "  - {id: d, kind: local, endpoint: 'https://a.example'}\n", "invalid_value", 5, "near_edge"),
    (DEVICE + "valid: {from: 2026-13-01}\n", "invalid_value", 5, "2026-11-30"),
    (DEVICE + "valid: {from: 2026-02-02, until: 2026-01-01}\n", "invalid_value", 5, "before"),
    (DEVICE + "approved_by: [ada, ada]\n", "duplicate_word", 5, "different people"),
    (DEVICE + "extends: ../up.yaml\n", "extends", 5, "folder"),
    (DEVICE + "extends: /etc/passwd\n", "extends", 5, "folder"),
    (DEVICE + "extends: absent.yaml\n", "extends", 5, "not there"),
    (DEVICE + "extends: x.yaml\n", "cycle", 5, "circle"),
    (DEVICE + "vocabulary: {purposes: [coding]}\n", "duplicate_word", 5, "already"),
    (DEVICE + "vocabulary: {labels: [unknown]}\n", "invalid_value", 5, "already means"),
    (DEVICE + "vocabulary: {regions: [mars]}\n", "unknown_key", 5, "purposes"),
    (DEVICE + "declared: {settles_unknown: [consent]}\n", "unknown_word", 5, "sensitivity"),
    (DEVICE + "rules: {a: b}\n", "invalid_value", 5, "list"),
    (rule("effect: allow, when: always"), "unknown_word", 6, "permit"),
    (rule("effect: permit, when: always"), "missing_key", 6, "`to`"),
    (rule("effect: forbid, to: {kind: cloud}"), "missing_key", 6, "always"),
    (rule("effect: oblige, when: always, do: {}"), "invalid_value", 6, "duty"),
    (rule("effect: oblige, when: always, do: {log: decision}, to: {kind: cloud}"), "invalid_value", 6, "no `to`"),
    (rule("effect: oblige, when: always, do: {confirm: false}"), "invalid_value", 6, "switched off"),
    (rule("effect: oblige, when: always, do: {max_cost_usd: -1}"), "invalid_value", 6, "number from 0"),
    (rule("effect: oblige, when: always, do: {max_cost_usd: .nan}"), "invalid_value", 6, "number from 0"),
    (rule("effect: oblige, when: always, do: {max_cost_usd: 1e999}"), "invalid_value", 6, "number from 0"),
    (rule("effect: oblige, when: always, do: {log_days: 99999999999999999999}"), "invalid_value", 6, "whole number"),
    (rule("effect: require, when: always, must: {region: [mars]}"), "unknown_word", 6, "eu"),
    (rule(f"{FORBID}, when: {{}}"), "invalid_value", 6, "always"),
    (rule(f"{FORBID}, when: allways"), "invalid_value", 6, "always"),
    (rule(f"{FORBID}, when: {{sensitivty: [public]}}"), "unknown_key", 6, "`sensitivity`"),
    (rule(f"{FORBID}, when: {{sensitivity: [pubic]}}"), "unknown_word", 6, "`public`"),
    (rule(f"{FORBID}, when: {{sensitivity: []}}"), "invalid_value", 6, "empty"),
    (rule(f"{FORBID}, when: {{sensitivity: [unknown]}}"), "unknown_in_rule", 6, "claims"),
    (rule(f"{FORBID}, when: {{data: {{unknown_any_of: [phi]}}}}"), "unknown_in_rule", 6, "claims"),
    (rule(f"{FORBID}, when: {{purpose: {{at_least: coding}}}}"), "invalid_value", 6, "no order"),
    (rule(f"{FORBID}, when: {{sensitivity: {{at_least: special, at_most: public}}}}"), "invalid_value", 6, "no value"),
    (rule(f"{FORBID}, when: {{data: {{any_of: [helth]}}}}"), "unknown_word", 6, "`health`"),
    (rule(f"{FORBID}, when: {{language: false}}"), "invalid_value", 6, "quotes"),
    (rule(f"{FORBID}, when: {{any: []}}"), "invalid_value", 6, "empty"),
    (rule(f"{FORBID}, when: {{any: [{{any: [{{any: [{{any: [{{consent: none}}]}}]}}]}}]}}"), "too_deep", 6, "levels"),
    (rule("effect: forbid, when: always, to: {kind: clod}"), "unknown_word", 6, "`cloud`"),
    (rule("effect: forbid, when: always, to: {id: [nobody]}"), "unknown_word", 6, "on-device"),
    (rule("effect: forbid, when: always, to: {id: [on-device]}"), "invalid_value", 6, "kind: local"),
    (rule("effect: forbid, when: always, to: off_device"), "invalid_value", 6, "`to: {kind: off_device}`"),
    (rule("effect: forbid, when: always, to: {kind: cloud}") + "    because: a: b\n", "yaml", 7, ""),
    (DEVICE + "rules:\n  - id: r\n    when: data: [health]\n", "yaml", 7, "braces"),
    (
        DEVICE + "  - {id: c, kind: cloud, adapter: a, endpoint: 'https://a.example', dpa: current}\n",
        "invalid_value",
        5,
        "name the contract",
    ),
    (rule("effect: forbid, when: always, to: {}"), "invalid_value", 6, "kind"),
    (rule(f"{FORBID}, when: always") + "  - {id: r, effect: forbid, when: always, to: {kind: cloud}}\n", "duplicate_id", 7, "line 6"),
    (DEVICE + "routing: []\n", "invalid_value", 5, "section"),
    (DEVICE + "routing:\n  - {id: a, when: {complexity: [hard]}}\n", "invalid_value", 6, "last"),
    (DEVICE + "routing:\n  - {id: a}\n  - {id: b}\n", "invalid_value", 6, "never used"),
    (DEVICE + "routing:\n  - {id: a, budget: 3}\n", "not_built", 6, "not built"),
    (DEVICE + "routing:\n  - {id: a, resume: later}\n", "unknown_word", 6, "restart, continue"),
    (DEVICE + "routing:\n  - {id: a, resume: continu}\n", "unknown_word", 6, "did you mean `continue`"),
    (DEVICE + "routing:\n  - {id: a, resume: continue, escalate: {when: []}}\n", "invalid_value", 6, "nothing goes on"),
    (DEVICE + "routing:\n  - {id: a, hedge: p95}\n", "invalid_value", 6, "mapping"),
    (DEVICE + "routing:\n  - {id: a, hedge: {}}\n", "missing_key", 6, "after"),
    (DEVICE + "routing:\n  - {id: a, hedge: {afer: p95}}\n", "unknown_key", 6, "did you mean `after`"),
    (DEVICE + "routing:\n  - {id: a, hedge: {after: p50}}\n", "unknown_word", 6, "p95"),
    (DEVICE + "routing:\n  - {id: a, hedge: {after: 800}}\n", "invalid_value", 6, "800 ms"),
    (DEVICE + "routing:\n  - {id: a, hedge: {after: 0 s}}\n", "unknown_word", 6, "800 ms"),
    (DEVICE + "routing:\n  - {id: a, hedge: {after: 3600 s}}\n", "unknown_word", 6, "800 ms"),
    (DEVICE + "routing:\n  - {id: a, fit: [summarise]}\n", "unknown_word", 6, "not a word of `fit`"),
    (DEVICE + "routing:\n  - {id: a, order: [cloud, cloud]}\n", "duplicate_word", 6, "twice"),
    (DEVICE + "routing:\n  - {id: a, escalate: {unless: {certified: 10}}}\n", "invalid_value", 6, "share"),
    (DEVICE + "never:\n  - {id: c, claim: {data: [phi]}}\n", "missing_key", 6, "reaches"),
    (DEVICE + "tests:\n  - {name: t, request: {}, expect: {}}\n", "invalid_value", 6, "could not fail"),
    (DEVICE + "tests:\n  - {name: t, request: {}, expect: {may_raech: []}}\n", "unknown_key", 6, "`may_reach`"),
    (DEVICE + "tests:\n  - {name: t, request: {}, expect: {may_reach: [nobody]}}\n", "unknown_word", 6, "on-device"),
    (
        DEVICE + "tests:\n  - {name: t, request: {data: [phi], data_unknown: [phi]}, expect: {outcome: stays}}\n",
        "invalid_value",
        6,
        "not both",
    ),
]


@pytest.mark.parametrize(("text", "code", "line", "word"), WRONG)
def test_a_wrong_file_is_an_error_with_its_place_and_its_remedy(tmp_path, text, code, line, word):
    with pytest.raises(PolicyError) as caught:
        load(written(tmp_path, text))
    error = caught.value
    assert (error.detail, error.line) == (code, line), str(error)
    assert error.file == "x.yaml"
    assert error.column >= 1
    assert word in f"{error.what} {error.hint}"
    assert str(tmp_path) not in f"{error} {error.hint}"


def test_the_limits_are_where_they_are_said_to_be(tmp_path):
    def permits(count: int) -> str:
        return DEVICE + "rules:\n" + "".join(f"  - {{id: r{n}, {FORBID}, when: always}}\n" for n in range(count))

    def recipients(count: int) -> str:
        return HEAD + "recipients:\n" + "".join(f"  - {{id: d{n}, kind: local}}\n" for n in range(count))

    assert len(load(written(tmp_path, permits(500))).rules) == 500
    assert len(load(written(tmp_path, recipients(64))).recipients) == 64
    for text in (permits(501), recipients(65)):
        with pytest.raises(PolicyError) as caught:
            load(written(tmp_path, text))
        assert caught.value.detail == "too_large"


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"a" * 100_000_000),
        lambda path: path.write_text(DEVICE + "rules: [" + "a, " * 80_000 + "a]\n"),
        lambda path: path.write_text(DEVICE + "rules: [" + "[" * 100_000),
        lambda path: path.write_text("a: &a [" + "x, " * 100 + "]\n" + "b: &b [*a, *a]\n" * 100),
        lambda path: path.write_text(DEVICE + "owner: " + "'" * 200_000 + "\n"),
        lambda path: path.mkdir(),
        lambda path: None,
        pytest.param(
            lambda path: os.mkfifo(path) and None, marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
        ),
    ],
    ids=["100 MB", "80,000 entries", "nesting bomb", "alias bomb", "quotes", "folder", "absent", "pipe"],
)
def test_a_hostile_file_costs_little_memory_and_ends_in_an_error(tmp_path, make):
    path = tmp_path / "x.yaml"
    make(path)
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(PolicyError):
            load(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 200_000_000
    # A bound against minutes, not a measurement.
    assert time.process_time() - began < 30


def test_a_condition_of_too_many_combinations_is_refused_and_says_how_to_split_it(tmp_path):
    fields = ["{consent: [none], metered: [yes]}", "{task: [code], online: [no]}", "{purpose: [coding], battery: [low]}"]
    options = ", ".join(f"{one[:-1]}, data: [{label}]}}" for one in fields for label in ("health", "phi", "child"))
    with pytest.raises(PolicyError) as caught:
        load(written(tmp_path, rule(f"{FORBID}, when: {{unless: {{any: [{options}]}}}}")))
    assert caught.value.detail == "too_large"
    assert "split" in caught.value.hint


@pytest.mark.parametrize("section", ["recipients:\n  - {id: a, kind: local}\n", "vocabulary: {labels: [mine]}\n"])
def test_a_file_that_extends_another_cannot_widen_it(tmp_path, section):
    written(tmp_path, DEVICE, "base.yaml")
    child = HEAD + "extends: base.yaml\n"
    assert load(written(tmp_path, child)).recipients[0].id == "on-device"
    with pytest.raises(PolicyError) as caught:
        load(written(tmp_path, child + section))
    assert caught.value.detail == "widens"


def test_a_child_cannot_permit_reuse_an_id_or_settle_more(tmp_path):
    base = (
        rule(f"{FORBID}, when: always")
        + "never:\n  - {id: c, claim: {reaches: {kind: cloud}}}\ndeclared: {settles_unknown: [health, child]}\n"
    )
    written(tmp_path, base, "base.yaml")
    child = HEAD + "extends: base.yaml\n"
    for section, code in [
        ("rules:\n  - {id: p, effect: permit, when: always, to: {kind: cloud}}\n", "widens"),
        (f"rules:\n  - {{id: r, {FORBID}, when: always}}\n", "duplicate_id"),
        ("never:\n  - {id: c, claim: {reaches: {kind: cloud}}}\n", "duplicate_id"),
        ("declared: {settles_unknown: [sensitivity]}\n", "widens"),
    ]:
        with pytest.raises(PolicyError) as caught:
            load(written(tmp_path, child + section))
        assert caught.value.detail == code
    assert load(written(tmp_path, child + "declared: {settles_unknown: []}\n")).declared_settles == frozenset()
    assert load(written(tmp_path, child)).declared_settles == {"health", "child"}


def test_a_chain_reaches_only_its_folder_links_followed(tmp_path):
    (tmp_path / "in").mkdir()
    written(tmp_path, DEVICE, "outside.yaml")
    link = tmp_path / "in" / "link.yaml"
    try:
        link.symlink_to(tmp_path / "outside.yaml")
    except OSError:
        pytest.skip("links cannot be made here")
    with pytest.raises(PolicyError) as caught:
        load(written(tmp_path / "in", HEAD + "extends: link.yaml\n"))
    assert caught.value.detail == "extends"


def test_two_files_that_extend_each_other_are_a_circle(tmp_path):
    written(tmp_path, HEAD + "extends: b.yaml\n", "a.yaml")
    with pytest.raises(PolicyError) as caught:
        load(written(tmp_path, HEAD + "extends: a.yaml\n", "b.yaml"))
    assert (caught.value.detail, caught.value.file) == ("cycle", "a.yaml")


def test_an_error_in_a_file_that_is_extended_names_that_file(tmp_path):
    written(tmp_path, DEVICE + "rulez: []\n", "base.yaml")
    with pytest.raises(PolicyError) as caught:
        load(written(tmp_path, HEAD + "extends: base.yaml\n"))
    assert (caught.value.file, caught.value.line) == ("base.yaml", 5)


def test_no_damage_to_a_file_ends_in_anything_but_a_located_error(tmp_path):
    source = (EXAMPLES / "default.yaml").read_bytes() + b"routing:\n  - {id: a, order: fastest}\n"
    pieces = [
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"- ",
        b"\n",
        b"'",
        b'"',
        b"null",
        b"~",
        b"1e9",
        b"\xff",
        b"? ",
        b"| ",
        b"*a",
        b"&a ",
        b"!t ",
        b"#",
        b"\\",
        b"0x1",
    ]
    chance = random.Random(7)
    broken = []
    for _ in range(400):
        data = bytearray(source)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    del data[at : at + chance.randint(1, 40)]
                case 1:
                    data[at:at] = chance.choice(pieces)
                case _:
                    other = chance.randrange(len(data))
                    data[at:at] = data[other : other + chance.randint(1, 60)]
        try:
            load(written(tmp_path, bytes(data)))
        except PolicyError as error:
            broken.append(error)
    assert len(broken) > 100
    assert all(error.line >= 1 and error.column >= 1 and error.what for error in broken)


ENDPOINTS = [
    ("https://api.openai.com/v1", "cloud", True),
    ("https://xn--bcher-kva.example/v1", "cloud", True),
    ("https://8.8.8.8/v1", "cloud", True),
    ("https://10.1.2.3/v1", "private_cloud", True),
    ("https://models.corp/v1", "private_cloud", True),
    ("http://127.0.0.1:8080/v1", "near_edge", True),
    ("http://192.168.1.20:8000", "near_edge", True),
    ("http://[::1]:8080/v1", "near_edge", True),
    ("http://localhost:1234", "near_edge", True),
    ("https://nas.local/v1", "near_edge", True),
    ("http://nas.local/v1", "near_edge", False),
    ("https://api.openai.com/v1", "near_edge", False),
    ("http://api.openai.com/v1", "cloud", False),
    ("http://10.1.2.3/v1", "private_cloud", False),
    ("https://127.0.0.1/v1", "private_cloud", False),
    ("ftp://api.openai.com", "cloud", False),
    ("api.openai.com", "cloud", False),
    ("https://", "cloud", False),
    ("https:///v1", "cloud", False),
    ("https://user:secret@api.openai.com", "cloud", False),
    ("https://api.openai.com@evil.example", "cloud", False),
    ("https://api.openai.com/v1?key=a", "cloud", False),
    ("https://api.openai.com/v1#a", "cloud", False),
    ("https://api.openai.com:99999", "cloud", False),
    ("https://api.openai.com:0", "cloud", False),
    ("https://api.openai.com:", "cloud", False),
    ("https://api.openai.com./v1", "cloud", False),
    ("https://API.openai.com/v1", "cloud", False),
    ("https://api.öpenai.com", "cloud", False),
    ("https://api.openai.com\\@evil.example", "cloud", False),
    ("https://api.openai.com/../v1", "cloud", False),
    ("https://api openai.com", "cloud", False),
    ("https://169.254.169.254/v1", "cloud", False),
    ("https://169.254.169.254/v1", "private_cloud", False),
    ("http://169.254.169.254/v1", "near_edge", False),
    ("https://169.254.1.1", "private_cloud", False),
    ("https://2852039166", "cloud", False),
    ("https://0xa9fea9fe", "cloud", False),
    ("https://0xa9.0xfe.0xa9.0xfe", "cloud", False),
    ("https://0251.0376.0251.0376", "cloud", False),
    ("https://169.254.43518", "cloud", False),
    ("https://169.16689662", "cloud", False),
    ("https://[::ffff:169.254.169.254]", "private_cloud", False),
    ("https://[::ffff:a9fe:a9fe]", "private_cloud", False),
    ("https://[::a9fe:a9fe]", "private_cloud", False),
    ("https://[64:ff9b::a9fe:a9fe]", "private_cloud", False),
    ("https://[2002:a9fe:a9fe::1]", "private_cloud", False),
    ("https://[fe80::1]", "private_cloud", False),
    ("https://[fe80::1%25eth0]", "private_cloud", False),
    ("https://[fd00:ec2::254]", "private_cloud", False),
    ("https://100.100.100.200", "private_cloud", False),
    ("https://168.63.129.16", "cloud", False),
    ("https://metadata.google.internal", "private_cloud", False),
    ("https://localhost", "cloud", False),
    ("https://a.localhost", "private_cloud", False),
    ("https://10.0.0.1", "cloud", False),
    ("https://[::1]", "cloud", False),
    ("https://[::]", "cloud", False),
    ("https://0.0.0.0", "cloud", False),
    ("https://0", "cloud", False),
    ("https://255.255.255.255", "cloud", False),
    ("https://224.0.0.1", "cloud", False),
    ("https://[2001:db8::1", "cloud", False),
    ("https://169。254。169。254", "cloud", False),
    ("https://169.254.169.254.", "private_cloud", False),
    ("https://%31%36%39.254.169.254", "cloud", False),
]


@pytest.mark.parametrize(("endpoint", "kind", "is_right"), ENDPOINTS)
def test_an_endpoint_is_one_host_in_one_spelling_of_its_kind(tmp_path, endpoint, kind, is_right):
    assert (fault(endpoint, kind) is None) is is_right
    if is_right:
        assert load(written(tmp_path, cloud(endpoint, kind))).recipients[1].endpoint == endpoint
    else:
        with pytest.raises(PolicyError):
            load(written(tmp_path, cloud(endpoint.replace("\\", "\\\\"), kind)))


def test_words_are_read_as_yaml_1_2_reads_them(tmp_path):
    text = rule("effect: oblige, when: {online: [no]}, do: {provider_cache: off, offline_queue: off}") + "version: 2026.10\nowner: 'on'\n"
    policy = load(written(tmp_path, text))
    assert policy.rules[0].do == {"provider_cache": "off", "offline_queue": "off"}
    older = text.replace(": off", ": false").replace("[no]", "[false]")
    assert load(written(tmp_path, older)).rules[0].do == policy.rules[0].do
    assert load(written(tmp_path, older)).rules[0].when == policy.rules[0].when
    assert policy.version == "2026.10"


def test_lines_may_end_as_windows_ends_them(tmp_path):
    assert load(written(tmp_path, DEVICE.replace("\n", "\r\n"))).recipients == load(written(tmp_path, DEVICE)).recipients


def test_a_bare_name_is_a_shipped_pack_and_an_unknown_one_says_what_to_do():
    assert load("private-first").name == "private-first"
    with pytest.raises(PolicyError) as caught:
        load("privat-first")
    assert caught.value.detail == "unreadable"
    assert "private-first" in caught.value.hint
