"""The commands, as a person or a script meets them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hybridrt.cli.policy import policy
from hybridrt.policy import load, shipped_policies
from hybridrt.policy.vocabulary import LABELS
from tests.policy.test_bad_input import DEVICE, EXAMPLES, written

ROOT = Path(__file__).parents[2]


def run(*arguments, given=None):
    return CliRunner().invoke(policy, [str(one) for one in arguments], input=given, catch_exceptions=False)


def test_check_prints_what_it_promises_and_ends_with_0_only_when_all_is_well(tmp_path):
    good = run("check", EXAMPLES / "gdpr-eu.yaml", "--json")
    said = json.loads(good.output)
    assert good.exit_code == 0
    assert said["ok"] is True
    assert set(said) >= {"ok", "errors", "warnings", "tests", "claims", "pairs", "mutation_score", "seconds"}
    assert {claim["status"] for claim in said["claims"]} == {"proved"}
    assert all(set(test) == {"name", "ok"} for test in said["tests"])
    bad = run("check", written(tmp_path, DEVICE + "rulez: []\n"), "--json")
    said = json.loads(bad.output)
    assert bad.exit_code == 1
    assert said["ok"] is False
    assert set(said["errors"][0]) >= {"code", "message", "line", "column", "hint"}


def test_check_says_for_people_what_is_proved_and_what_is_missing(tmp_path):
    said = run("check", "private-first").output
    assert "9/9 tests pass and exercise 100% of the rules" in said
    assert "PROVED" in said
    assert "ok" in said.splitlines()[-1]
    lost = run("check", EXAMPLES / "hipaa.yaml").output
    assert "nobody would notice: audit deleted" in lost


def test_a_counterexample_can_be_pasted_into_decide(tmp_path):
    written(tmp_path, (EXAMPLES / "default.yaml").read_bytes(), "default.yaml")
    text = (EXAMPLES / "hipaa.yaml").read_text(encoding="utf-8")
    start, end = text.index("  - id: phi-needs-baa\n"), text.index("  - id: phi-in-the-us\n")
    path = written(tmp_path, text[:start] + text[end:])
    checked = run("check", path, "--json")
    assert checked.exit_code == 1
    broken = [claim for claim in json.loads(checked.output)["claims"] if claim["status"] == "false"]
    assert broken
    for claim in broken:
        decided = run("decide", path, "--json", "--as-of", "2026-11-10", given=json.dumps(claim["counterexample"]))
        assert decided.exit_code == 0
        assert set(claim["reaches"]) <= set(json.loads(decided.output)["may_reach"])


def test_decide_reads_lines_and_goes_on_after_a_wrong_one():
    lines = ['{"id": "a", "sensitivity": "public", "purpose": "coding"}', "not json", '{"id": "b", "sensitivity": "pubic"}', "", "[1]"]
    result = run("decide", EXAMPLES / "default.yaml", "--json", given="\n".join(lines))
    said = [json.loads(line) for line in result.output.splitlines()]
    assert result.exit_code == 1
    assert set(said[0]) == {"id", "may_reach", "obligations", "decided_by"}
    assert said[0]["may_reach"] == sorted(said[0]["may_reach"])
    assert [one["id"] for one in said] == ["a", 2, 3, 5]
    assert "public" in said[2]["hint"]


def test_decide_takes_its_policy_in_front_or_by_name(tmp_path):
    corpus = written(tmp_path, '{"id": 1, "sensitivity": "public"}', "corpus.jsonl")
    said = {
        run("decide", *arguments, "--json", given=corpus.read_text()).output
        for arguments in (
            ["private-first"],
            ["private-first", corpus],
            ["--policy", "private-first"],
            [corpus, "--policy", "private-first"],
        )
    }
    assert len(said) == 1
    assert json.loads(said.pop())["id"] == 1
    for arguments in ([], ["a", "b", "c"], ["a", "b", "--policy", "private-first"], ["private-first", tmp_path / "absent.jsonl"]):
        assert CliRunner().invoke(policy, ["decide", *map(str, arguments)]).exit_code == 2


def test_decide_reads_what_the_classifier_prints():
    row = {
        "id": 7,
        "complexity": {"score": 0.4, "band": "medium", "reasons": []},
        "sensitivity": "internal",
        "data": {"contact": "present", "health": "unknown", "credential": "absent", "child": "who knows"},
        "findings": [{"start": 0, "end": 3, "label": "email", "score": 1.0, "rule": "r"}],
        "tokens": {"value": 9, "kind": "upper_bound"},
        "language": "en",
        "task": "unknown",
        "injection": "low",
    }
    result = run("decide", "private-first", "--json", given=json.dumps(row))
    said = json.loads(result.output)
    assert result.exit_code == 0
    assert said["may_reach"] == ["on-device"]
    assert said["obligations"]["redact"] == ["contact"]
    row["data"] = {"child": "who knows"}
    assert json.loads(run("decide", "private-first", "--json", given=json.dumps(row)).output)["may_reach"] == ["on-device"]


def test_a_line_of_text_without_labels_is_not_taken_for_a_harmless_request():
    result = run("decide", "private-first", "--json", given='{"id": 1, "text": "my password is x"}')
    assert result.exit_code == 1
    assert "classify it first" in json.loads(result.output)["hint"]


@pytest.mark.parametrize(
    "line", ['{"a": ' * 5000, '{"data": "' + "x" * 200_000 + '"}', '{"data": [[["phi"]]]}', '{"data": null}', '"\\ud800"']
)
def test_a_hostile_line_is_an_error_and_no_traceback(line):
    assert run("decide", "private-first", "--json", given=line).exit_code == 1


def test_try_counts_what_moves_and_names_what_leaves_now(tmp_path):
    rows = [
        {"id": 1, "sensitivity": "public", "purpose": "support"},
        {"id": 2, "sensitivity": "special", "data": ["health"], "purpose": "support"},
        {"id": 3},
    ]
    corpus = written(tmp_path, "\n".join(json.dumps(row) for row in rows), "corpus.jsonl")
    said = json.loads(run("try", corpus, "--policy", EXAMPLES / "default.yaml", "--against", EXAMPLES / "gdpr-eu.yaml", "--json").output)
    assert said["outcomes"] == {"leaves": 2, "stays": 1}
    assert said["moved_off_device"] == [2]
    assert said["moved_to_device"] == []
    assert said["unknown_share"] == pytest.approx(1 / 3)
    text = run("try", corpus, "--policy", EXAMPLES / "gdpr-eu.yaml", "--against", EXAMPLES / "default.yaml").output
    assert "moved to the device   1  2" in text


def test_diff_prints_what_it_promises_and_can_stand_guard(tmp_path):
    old, new = EXAMPLES / "gdpr-eu.yaml", EXAMPLES / "default.yaml"
    result = run("diff", old, new, "--json")
    said = json.loads(result.output)
    assert result.exit_code == 0
    assert set(said) >= {"widens", "tightens", "duties", "unchanged_classes", "total_classes"}
    assert said["widens"]
    assert run("diff", old, new, "--no-new-egress").exit_code == 2
    assert run("diff", new, old, "--no-new-egress").exit_code == 0
    assert "WIDENS" in run("diff", old, new).output


def test_explain_report_ropa_and_export_print_something_to_read():
    assert (
        "What would change it"
        in run("explain", EXAMPLES / "gdpr-eu.yaml", '{"sensitivity": "special", "purpose": "support"}', "--as-of", "2026-11-20").output
    )
    assert run("explain", "private-first", '{"sensitivity": "pubic"}').exit_code == 1
    page = run("report", "hipaa").output
    assert page.startswith("# hipaa")
    assert page.count("- proved:") == len(load("hipaa").claims)
    assert "| Recipient |" in run("ropa", "gdpr-eu").output
    assert run("ropa", "gdpr-eu", "--format", "csv").output.startswith("Recipient,")
    cedar = run("export", "gdpr-eu", "--to", "cedar")
    assert cedar.output.count("@id(") >= len(load("gdpr-eu").rules) - 2
    assert json.loads(run("export", "gdpr-eu", "--to", "cedar", "--entities").output)


def test_the_exported_packs_are_cedar():
    cedarpy = pytest.importorskip("cedarpy")
    for path in shipped_policies().glob("*.yaml"):
        assert len(cedarpy.PolicySet.from_str(run("export", path, "--to", "cedar").output)) > 1


def test_init_copies_a_pack_with_its_base_and_overwrites_nothing(tmp_path):
    assert run("init", "quality-first", tmp_path / "ours").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == [
        "policy-1.schema.json",
        "private-first.yaml",
        "quality-first.yaml",
    ]
    assert run("check", tmp_path / "ours" / "quality-first.yaml", "--strict").exit_code == 0
    again = run("init", "quality-first", tmp_path / "ours")
    assert again.exit_code == 1
    assert "already there" in again.output
    assert "private-first" in run("init", "privat-first", tmp_path).output
    assert "gdpr-eu" in run("init").output


def test_schema_is_written_where_it_is_wanted(tmp_path):
    assert run("schema", tmp_path / "s.json").exit_code == 0
    assert json.loads((tmp_path / "s.json").read_text(encoding="utf-8")) == json.loads(run("schema").output)


@pytest.mark.parametrize("command", ["decide", "diff", "explain", "report", "ropa", "export"])
def test_a_wrong_file_is_two_lines_and_no_traceback(tmp_path, command):
    path = written(tmp_path, DEVICE + "rulez: []\n")
    more = {"diff": [path], "explain": ["{}"], "export": ["--to", "cedar"]}.get(command, [])
    result = run(command, path, *more, given="")
    assert result.exit_code == 1
    assert "x.yaml:5:1" in result.output
    assert "did you mean `rules`?" in result.output


def test_what_cannot_be_walked_or_written_is_said_and_no_traceback(tmp_path):
    labels = list(LABELS)[:24]
    rules = "".join(
        f"  - {{id: f{label}, effect: forbid, when: {{data: [{label}], consent: [none]}}, to: {{kind: cloud}}}}\n" for label in labels
    )
    path = written(tmp_path, DEVICE + '  - {id: c, kind: cloud, adapter: a, endpoint: "https://a.example"}\nrules:\n' + rules)
    for arguments in (["ropa", path], ["diff", path, path]):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "more classes" in result.output
    assert run("schema", tmp_path / "absent" / "s.json").exit_code == 1
    assert run("init", "private-first", path).exit_code == 1


def test_the_policy_in_the_readme_holds_and_so_does_each_rule_it_shows(tmp_path):
    text = (ROOT / "policies" / "README.md").read_text(encoding="utf-8")
    whole = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(whole) == 1
    assert run("check", written(tmp_path, whole[0]), "--strict").exit_code == 0
    conditions = re.findall(r"^\| `(\{.*?\})` \|", text, re.MULTILINE)
    assert len(conditions) >= 5
    for number, condition in enumerate(conditions):
        rule = f"  - {{id: x{number}, effect: forbid, when: {condition}, to: {{kind: cloud}}}}\n"
        load(written(tmp_path, whole[0].replace("never:", rule + "never:")))
    for pack in shipped_policies().glob("*.yaml"):
        assert f"`{pack.stem}`" in text


def test_the_language_is_on_one_page():
    assert len((ROOT / "policies" / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_python_in_the_documentation_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "policy.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], check=False, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
