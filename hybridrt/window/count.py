"""How many tokens a request can be at most, by counting bytes."""

from __future__ import annotations

import json

from hybridrt.request import Image, Request
from hybridrt.signals import TokenCount

# Byte-level tokenizers never make more tokens than bytes. What a chat template writes around a message (role names and
# marks of begin and end) is at most this many tokens in the templates of the Llama, ChatML, Gemma and Mistral families.
MESSAGE_OVERHEAD_TOKENS = 16
# A tool is written out as JSON with its own frame, and the first tool brings a paragraph of instructions.
TOOL_OVERHEAD_TOKENS = 32
TOOLS_PREAMBLE_TOKENS = 512
# A schema that the answer must have is introduced by a paragraph where it is not a field of its own.
OUTPUT_OVERHEAD_TOKENS = 256
# What the providers charge for a large picture; the true number depends on its size and on the model.
IMAGE_TOKENS = 2048


def upper_bound(request: Request, mask_bytes: int = 0) -> TokenCount:
    """Return a number of tokens that no byte-level tokenizer exceeds; with pictures it is only an estimate.

    `mask_bytes` is what masks may add to the text of the request.
    """
    total, images = mask_bytes, 0
    for message in request.messages:
        total += MESSAGE_OVERHEAD_TOKENS + _bytes(message.tool_call_id)
        for part in message.parts:
            if isinstance(part, Image):
                images += 1
            else:
                total += _bytes(part.text)
        for call in message.tool_calls:
            total += MESSAGE_OVERHEAD_TOKENS + _bytes(call.name) + _bytes(call.id) + _json_bytes(call.arguments)
    if request.tools:
        total += TOOLS_PREAMBLE_TOKENS
        total += sum(
            TOOL_OVERHEAD_TOKENS + _bytes(tool.name) + _bytes(tool.description) + _json_bytes(tool.parameters) for tool in request.tools
        )
    if request.output is not None:
        total += OUTPUT_OVERHEAD_TOKENS + _bytes(request.output.name) + _json_bytes(request.output.schema)
    total += sum(map(_bytes, request.stop))
    return TokenCount(total + images * IMAGE_TOKENS, "estimate" if images else "upper_bound")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _json_bytes(value: object) -> int:
    # Escaped, and with the blanks that some templates write between keys and values.
    return len(json.dumps(value, default=str, skipkeys=True))
