"""What is known of models elsewhere: windows, modalities, prices, tokenizer. Read once from `models.json`, never guessed.

A model is found by the name of the adapter that speaks to it and its own id, exactly: under its id, an alias its row lists,
or, where the row says that its snapshots are the same model, its id with a date behind it. Whatever is not found is unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from hybridrt.target import LongPrice, Price

# Whose models an adapter asks for. Not here: services where the name of a model is the customer's own choice (deployments of
# Azure, servers of one's own) or where others answer under it on terms of their own (OpenRouter, the router of Hugging Face).
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "openai": "openai",
        "openai-responses": "openai",
        "anthropic": "anthropic",
        "gemini": "google",
        "vertex": "google",
        "mistral": "mistral",
        "groq": "groq",
        "cerebras": "cerebras",
        "deepseek": "deepseek",
        "xai": "xai",
        "bedrock": "bedrock",
        "bedrock-sigv4": "bedrock",
    }
)
# Prices of a model on Vertex depend on the region; the rows have those of AI Studio.
_PRICED_ELSEWHERE = frozenset({"vertex"})
_DATE = re.compile(r"-20\d\d-?[01]\d-?[0-3]\d\Z")
# An inference profile of Bedrock: the same model, in regions whose prices may differ.
_PROFILE = re.compile(r"(?:us|us-gov|eu|apac|jp|au|ca|global)\.(?=[a-z0-9-]+\.)")


@dataclass(frozen=True, slots=True)
class Model:
    """One row. None is unknown, here as in the file.

    `window` bounds input and output together, `max_input_tokens` the input where it is bounded for itself. `tokenizer` names an
    encoding that counts its text exactly. `image_tokens` is the published rule for what a picture counts, as `docs/catalogue.md`
    writes it.
    """

    id: str
    family: str
    kind: str
    window: int | None
    max_input_tokens: int | None
    max_output_tokens: int | None
    modalities: frozenset[str] | None
    tools: bool | None
    json_schema: bool | None
    tokenizer: str | None
    image_tokens: Mapping[str, Any] | None
    price: Price | None
    verified_at: date
    source: str


def find_model(adapter: str | None, model: str) -> Model | None:
    """Return what is known of a model that an adapter asks for; none where it is not certain to be one of the catalogue."""
    family = FAMILIES.get(adapter or "")
    if family is None:
        return None
    named, dated = _index()
    bare = _PROFILE.sub("", model, count=1) if family == "bedrock" else model.removeprefix("models/") if family == "google" else model
    found = named.get((family, bare)) or dated.get((family, _DATE.sub("", bare)) if _DATE.search(bare) else ("", ""))
    if found is not None and (adapter in _PRICED_ELSEWHERE or (family == "bedrock" and bare != model)):
        return replace(found, price=None)
    return found


def all_models() -> tuple[Model, ...]:
    """Return every row, in the order of the file."""
    return tuple(_model(row) for row in _rows())


@cache
def _index() -> tuple[Mapping[tuple[str, str], Model], Mapping[tuple[str, str], Model]]:
    """Rows by every name they have, and those whose snapshots are the same model. Made once; nothing in it changes."""
    named: dict[tuple[str, str], Model] = {}
    dated: dict[tuple[str, str], Model] = {}
    for row in _rows():
        model = _model(row)
        for name in (model.id, *row["aliases"]):
            named[model.family, name] = model
        if row["dated"]:
            dated[model.family, model.id] = model
    return MappingProxyType(named), MappingProxyType(dated)


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((files("hybridrt.window") / "models.json").read_text(encoding="utf-8"))["models"]
    return rows


def _model(row: Mapping[str, Any]) -> Model:
    modalities, image_tokens = row["modalities"], row["image_tokens"]
    return Model(
        id=row["id"],
        family=row["family"],
        kind=row["kind"],
        window=row["window"],
        max_input_tokens=row["max_input_tokens"],
        max_output_tokens=row["max_output_tokens"],
        modalities=None if modalities is None else frozenset(modalities),
        tools=row["tools"],
        json_schema=row["json_schema"],
        tokenizer=row["tokenizer"],
        image_tokens=None if image_tokens is None else MappingProxyType(image_tokens),
        price=_price(row),
        verified_at=date.fromisoformat(row["verified_at"]),
        source=row["source"],
    )


def _price(row: Mapping[str, Any]) -> Price | None:
    if row["input_usd_per_mtok"] is None:
        return None
    long = row["long_context"]
    return Price(
        row["input_usd_per_mtok"],
        row["output_usd_per_mtok"],
        None if long is None else LongPrice(long["above_tokens"], long["input_usd_per_mtok"], long["output_usd_per_mtok"]),
        cached_input_usd_per_mtok=row["cached_input_usd_per_mtok"],
    )
