"""What is known of models: every row is whole and says where it is from; what is not certain stays unknown."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files

import pytest

from hybridrt.application import Binding
from hybridrt.equipment import _with_known_facts
from hybridrt.plugins import plugin_names
from hybridrt.target import LongPrice, Place, Price, Target
from hybridrt.window.catalogue import FAMILIES, Model, all_models, find_model

ROWS = json.loads((files("hybridrt.window") / "models.json").read_text(encoding="utf-8"))["models"]
FIELDS = {
    *("id", "aliases", "dated", "family", "kind", "window", "max_input_tokens", "max_output_tokens", "modalities", "tools"),
    *("json_schema", "tokenizer", "image_tokens", "input_usd_per_mtok", "output_usd_per_mtok", "cached_input_usd_per_mtok"),
    *("long_context", "verified_at", "source"),
}
RULES = {
    "tiles": {"base", "per_tile", "tile_px", "long_px", "short_px"},
    "area": {"px_per_token", "long_px", "most"},
    "crops": {"per_crop", "small_px", "crop_px"},
}


def test_there_are_about_eighty_models_or_more() -> None:
    assert len(ROWS) >= 80
    assert len(all_models()) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['family']}-{row['id']}")
def test_every_row_is_whole_and_says_where_it_is_from(row: dict[str, object]) -> None:
    assert row.keys() == FIELDS
    assert row["family"] in FAMILIES.values()
    assert row["kind"] in ("chat", "embedding")
    assert isinstance(row["source"], str)
    assert "." in row["source"].partition("/")[0], "a source begins with a host"
    assert date(2026, 1, 1) <= date.fromisoformat(str(row["verified_at"])) <= date(2100, 1, 1)
    for name in ("window", "max_input_tokens", "max_output_tokens"):
        assert row[name] is None or (isinstance(row[name], int) and 1_000 <= row[name] <= 20_000_000), name
    window = row["window"]
    assert window is None or all(row[name] is None or row[name] <= window for name in ("max_input_tokens", "max_output_tokens"))
    assert row["modalities"] is None or ("text" in row["modalities"] and set(row["modalities"]) <= {"text", "image"})
    assert row["tokenizer"] in (None, "o200k_base", "cl100k_base", "o200k_harmony")
    rule = row["image_tokens"]
    assert rule is None or rule.keys() - {"rule"} == RULES[rule["rule"]]
    assert rule is None or "image" in row["modalities"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['family']}-{row['id']}")
def test_a_price_is_whole_and_grows_with_the_prompt(row: dict[str, float]) -> None:
    given, made, cached = (row[f"{name}_usd_per_mtok"] for name in ("input", "output", "cached_input"))
    assert (given is None) == (made is None)
    assert cached is None or 0 <= cached <= given
    assert given is None or 0 < given <= 200
    if row["long_context"] is not None:
        assert row["long_context"]["input_usd_per_mtok"] > given
        assert row["long_context"]["output_usd_per_mtok"] > made


def test_no_name_means_two_models() -> None:
    names = [(row["family"], name) for row in ROWS for name in (row["id"], *row["aliases"])]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("adapter", "model", "found"),
    [
        ("openai", "gpt-5", "gpt-5"),
        ("openai-responses", "gpt-5.6", "gpt-5.6-sol"),
        ("openai", "gpt-5-2025-08-07", "gpt-5"),
        ("openai", "gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("openai", "gpt-4o-2024-11-20", "gpt-4o"),
        # Its first snapshot had other limits and prices.
        ("openai", "gpt-4o-2024-05-13", None),
        ("openai", "gpt-5-turbo", None),
        ("openai", "GPT-5", None),
        ("openai", "-2025-08-07", None),
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("anthropic", "gpt-5", None),
        ("gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("bedrock-sigv4", "amazon.nova-micro-v1:0", "amazon.nova-micro-v1:0"),
        ("groq", "openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        # Names that are somebody's own choice.
        ("azure-openai", "gpt-5", None),
        ("openai-compatible", "gpt-5", None),
        ("openrouter", "openai/gpt-5", None),
        ("nobody", "gpt-5", None),
        (None, "gpt-5", None),
    ],
)
def test_a_model_is_found_where_that_is_certain_and_nowhere_else(adapter: str | None, model: str, found: str | None) -> None:
    row = find_model(adapter, model)
    assert (row and row.id) == found


@pytest.mark.parametrize(("adapter", "model"), [("vertex", "gemini-2.5-flash"), ("bedrock", "eu.amazon.nova-lite-v1:0")])
def test_where_the_region_makes_the_price_there_is_none(adapter: str, model: str) -> None:
    row = find_model(adapter, model)
    assert isinstance(row, Model)
    assert row.window is not None
    assert row.price is None


def test_every_family_belongs_to_an_adapter_that_is_installed() -> None:
    assert FAMILIES.keys() <= set(plugin_names("adapters"))


def test_a_long_prompt_costs_what_long_prompts_cost() -> None:
    price = Price(2.0, 10.0, LongPrice(1_000, 4.0, 15.0))
    assert price.bound_usd(1_000, 100) == pytest.approx((1_000 * 2 + 100 * 10) / 1e6)
    assert price.bound_usd(1_001, 100) == pytest.approx((1_001 * 4 + 100 * 15) / 1e6)


def filled(binding: Binding, adapter: str = "openai", place: Place = Place.CLOUD) -> Target:
    bare = Target(
        binding.recipient,
        place,
        binding.model,
        adapter,
        window=binding.window,
        max_output_tokens=binding.max_output_tokens,
        modalities=binding.modalities or frozenset({"text"}),
        price=binding.price,
    )
    return _with_known_facts(bare, binding)


def test_a_recipient_without_limits_takes_those_of_its_model() -> None:
    target = filled(Binding("openai", "gpt-5-mini"))
    assert (target.window, target.max_output_tokens, target.modalities) == (400_000, 128_000, {"text", "image"})
    assert target.price == Price(0.25, 2, cached_input_usd_per_mtok=0.025)


def test_what_the_application_says_of_a_model_counts_more_than_the_catalogue() -> None:
    own = Binding("openai", "gpt-5-mini", window=1000, max_output_tokens=10, modalities=frozenset({"text"}), price=Price(1, 1))
    target = filled(own)
    assert (target.window, target.max_output_tokens, target.modalities, target.price) == (1000, 10, {"text"}, Price(1, 1))


def test_an_unknown_model_has_unknown_limits() -> None:
    target = filled(Binding("openai", "gpt-5-turbo"))
    assert (target.window, target.max_output_tokens, target.modalities, target.price) == (None, None, {"text"}, None)


def test_a_server_nearby_sets_its_limits_itself() -> None:
    target = filled(Binding("llama-server", "gpt-5-mini"), place=Place.NEAR_EDGE)
    assert (target.window, target.price) == (None, None)
