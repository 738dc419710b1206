"""The schema for editors and the loader say the same."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from hybridrt.errors import PolicyError
from hybridrt.policy import load, shipped_policies
from hybridrt.policy.schema import FILE_NAME, schema
from hybridrt.policy.tree import parse
from hybridrt.policy.vocabulary import FIELDS, LABELS
from tests.policy.test_bad_input import DEVICE, EXAMPLES, WRONG, written

SCHEMA = schema()
FILES = sorted([*EXAMPLES.glob("*.yaml"), *shipped_policies().glob("*.yaml")])


def plain(node):
    """A tree as JSON, read as the loader reads it."""
    if isinstance(node.value, dict):
        return {key: plain(inner) for key, (_, inner) in node.value.items()}
    return [plain(inner) for inner in node.value] if isinstance(node.value, list) else node.value


def test_it_is_a_schema_of_draft_7():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_that_loads_satisfies_it(path):
    load(path)
    jsonschema.validate(plain(parse(path.read_bytes(), path.name)), SCHEMA, cls=jsonschema.Draft7Validator)


# What only the loader can know: other files, other entries, the calendar, dates in order, addresses, bytes.
BEYOND = {"duplicate_id", "cycle", "extends", "endpoint", "version", "duplicate_word"}


def test_most_wrong_files_are_wrong_in_an_editor_too(tmp_path):
    seen, missed = 0, []
    for text, code, _, word in WRONG:
        if isinstance(text, bytes) or code in BEYOND:
            continue
        try:
            value = plain(parse(text.encode(), "x.yaml"))
        except PolicyError:
            continue
        seen += 1
        if jsonschema.Draft7Validator(SCHEMA).is_valid(value):
            missed.append((text, word))
    assert seen >= 40
    # What is left needs more than one entry to be looked at.
    assert len(missed) <= 13, [text for text, _ in missed]


def test_every_field_and_label_has_words_to_hover_over():
    condition = SCHEMA["definitions"]["condition"]["properties"]
    assert set(condition) == {*FIELDS, "data", "any", "unless"}
    assert all(len(SCHEMA["definitions"][f"field_{name}"]["description"]) > 10 for name in FIELDS)
    assert all(f"- {label}: {about}" in SCHEMA["definitions"]["labels"]["description"] for label, about in LABELS.items())


def test_the_file_beside_the_packs_is_the_one_made_from_the_vocabulary():
    kept = json.loads((shipped_policies() / FILE_NAME).read_text(encoding="utf-8"))
    assert kept == SCHEMA, "run `hybridrt policy schema policies/policy-1.schema.json`"


def test_every_pack_names_the_schema_on_its_first_line():
    for path in shipped_policies().glob("*.yaml"):
        assert path.read_text(encoding="utf-8").startswith(f"# yaml-language-server: $schema={FILE_NAME}\n")


def test_an_ordinary_yaml_parser_reads_the_packs_too():
    """Other tools read these files; none of their words may mean something else there, apart from 1.1's `on` and `off`."""
    for path in FILES:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["hybridrt_policy"] == 1


def test_a_word_of_ones_own_passes_the_schema_made_for_the_file(tmp_path):
    text = DEVICE + "vocabulary: {purposes: [sewing], labels: [pattern]}\nrules:\n"
    text += "  - {id: r, effect: forbid, when: {purpose: [sewing], data: [pattern]}, to: {kind: cloud}}\n"
    value = plain(parse(text.encode(), "x"))
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(value)
    jsonschema.validate(value, schema(load(written(tmp_path, text)).vocabulary), cls=jsonschema.Draft7Validator)


def test_the_examples_stay_what_they_are():
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {"default", "gdpr-eu", "hipaa"}
    assert isinstance(EXAMPLES, Path)
