"""Random-weight language models to measure an engine with: what they say means nothing, how fast they say it is real.

`MID` has the shape of a 134 M parameter model in Q4_0; `TINY` fits the cache of a core, which shows what Python costs per token.

    python -m benchmarks.local_models FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from training.placeholder_llm import BYTE, CHAT_TEMPLATE, CONTROL, NORMAL, ROLES, UNKNOWN

BOS, EOS, UNK = 1, 2, 0
_SYLLABLES = [a + b for a in "bcdfghjklmnprstvwz" for b in "aeiou"]


@dataclass(frozen=True)
class Shape:
    """How large a model is. Widths are multiples of 32, the row length of Q4_0 and Q8_0."""

    name: str
    width: int
    layers: int
    heads: int
    feed_forward: int
    kind: gguf.GGMLQuantizationType
    vocabulary: int = 32_000
    window: int = 8192
    seed: int = 1


MID = Shape("mid", 768, 12, 12, 2048, gguf.GGMLQuantizationType.Q4_0)
TINY = Shape("tiny", 256, 4, 4, 704, gguf.GGMLQuantizationType.Q8_0)


def _words(count: int) -> list[str]:
    """Return `count` made-up words of two to four syllables, the same ones every time."""
    rng, words = np.random.default_rng(7), {}
    while len(words) < count:
        picked = rng.integers(0, len(_SYLLABLES), size=(4096, 4))
        lengths = rng.integers(2, 5, size=4096)
        for row, length in zip(picked, lengths, strict=True):
            words["".join(_SYLLABLES[at] for at in row[:length])] = None
    return list(words)[:count]


def prompt(tokens: int, seed: int) -> str:
    """Return a text of so many tokens: letters, each of which is a token of these models."""
    rng = np.random.default_rng(seed)
    return "".join(chr(at) for at in rng.integers(ord("a"), ord("z") + 1, size=tokens))


def write_model(path: Path, shape: Shape) -> None:
    """Write a model of this shape."""
    texts: list[bytes] = [
        b"<unk>",
        b"<s>",
        b"</s>",
        *(f"<0x{byte:02X}>".encode() for byte in range(256)),
        *(role.encode() for role in ROLES),
        "\u2581".encode(),
    ]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[CONTROL] * len(ROLES), NORMAL]
    pieces = _words(shape.vocabulary - len(texts))
    texts += [f"\u2581{word}".encode() for word in pieces]
    kinds += [NORMAL] * len(pieces)
    file = gguf.GGUFWriter(path, "llama")
    file.add_name(f"random-{shape.name}")
    file.add_context_length(shape.window)
    file.add_embedding_length(shape.width)
    file.add_block_count(shape.layers)
    file.add_feed_forward_length(shape.feed_forward)
    file.add_head_count(shape.heads)
    file.add_head_count_kv(shape.heads)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(shape.width // shape.heads)
    file.add_rope_freq_base(10000.0)
    file.add_vocab_size(len(texts))
    file.add_tokenizer_model("llama")
    file.add_tokenizer_pre("default")
    file.add_token_list(texts)
    file.add_token_scores([-float(number) for number in range(len(texts))])
    file.add_token_types(kinds)
    file.add_bos_token_id(BOS)
    file.add_eos_token_id(EOS)
    file.add_unk_token_id(UNK)
    file.add_add_bos_token(True)
    file.add_add_space_prefix(False)
    file.add_chat_template(CHAT_TEMPLATE)
    file.add_bool("hybridrt.placeholder", True)
    rng = np.random.default_rng(shape.seed)

    def matrix(name: str, rows: int, columns: int, silent: tuple[int, ...] = ()) -> None:
        values = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(columns**-0.5)
        values[list(silent)] = 0.0
        file.add_tensor(name, gguf.quants.quantize(values, shape.kind), raw_dtype=shape.kind)

    def ones(name: str) -> None:
        file.add_tensor(name, np.ones(shape.width, dtype=np.float32))

    matrix("token_embd.weight", len(texts), shape.width)
    ones("output_norm.weight")
    # What is no word scores zero and loses to the best of thousands: answers have the length that was asked for, and a blank before
    # each word tells how many tokens were said.
    matrix("output.weight", len(texts), shape.width, silent=tuple(range(len(texts) - len(pieces))))
    for layer in range(shape.layers):
        ones(f"blk.{layer}.attn_norm.weight")
        ones(f"blk.{layer}.ffn_norm.weight")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(f"blk.{layer}.{part}.weight", shape.width, shape.width)
        matrix(f"blk.{layer}.ffn_gate.weight", shape.feed_forward, shape.width)
        matrix(f"blk.{layer}.ffn_up.weight", shape.feed_forward, shape.width)
        matrix(f"blk.{layer}.ffn_down.weight", shape.width, shape.feed_forward)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def main() -> None:
    folder = Path(sys.argv[1])
    for shape in (TINY, MID):
        write_model(folder / f"{shape.name}.gguf", shape)
        print(folder / f"{shape.name}.gguf", (folder / f"{shape.name}.gguf").stat().st_size)


if __name__ == "__main__":
    main()
