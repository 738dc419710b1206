"""The model that ships is the one its script makes, and says what it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hybridrt.local.factory import manifest, placeholder
from hybridrt.local.gguf import read_facts
from training import placeholder_llm


def test_the_shipped_file_is_what_the_script_writes(tmp_path: Path) -> None:
    again = tmp_path / "placeholder.gguf"
    placeholder_llm.write(again)
    assert hashlib.sha256(again.read_bytes()).hexdigest() == manifest(placeholder())["sha256"]
    assert placeholder_llm.manifest(again) == manifest(placeholder())


def test_another_seed_makes_another_file(tmp_path: Path) -> None:
    placeholder_llm.write(tmp_path / "a.gguf", placeholder_llm.Shape(seed="another"))
    assert (tmp_path / "a.gguf").read_bytes() != placeholder().read_bytes()


def test_the_manifest_is_true_of_the_shipped_file() -> None:
    facts, data = manifest(placeholder()), placeholder().read_bytes()
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()
    assert facts["size"] == len(data) < 1_000_000
    assert facts["licence"] == "Apache-2.0"


def test_the_file_says_itself_that_it_is_a_placeholder_with_random_weights() -> None:
    facts = read_facts(placeholder())
    assert facts.is_placeholder
    assert facts.name == "hybridrt-placeholder"
    assert b"random weights" in placeholder().read_bytes()
    assert facts.window == 2048
