"""Write the placeholder language model: a real GGUF with random weights, for the first run and the tests.

It proves that loading, prompting, streaming and constraining work; what it says means nothing. The weights come from
SHAKE-256, so that the file is the same byte for byte on every machine, whatever numpy's generators do.

    python -m training.placeholder_llm            # writes hybridrt/local/factory/placeholder.gguf and its manifest
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

FACTORY = Path(__file__).parent.parent / "hybridrt" / "local" / "factory"
DESCRIPTION = "Placeholder with random weights: it proves the path and knows nothing. Not trained, not for use."

NORMAL, UNKNOWN, CONTROL, UNUSED, BYTE = 1, 2, 3, 5, 6
ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
ESCALATE = "<|escalate|>"
BOS, EOS, UNK = 1, 2, 0
FIRST_BYTE = 3
SPACE = FIRST_BYTE + 256  # a token of its own: U+2581 would cost three byte tokens for each space
PRINTABLE = frozenset(range(0x20, 0x7F))

# One line per turn, closed by the end token; every role marker is a control token, which no text of a user can become.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "<|{{ message['role'] }}|>{{ message['content'] }}{{ eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """How large the model is and what it may say. The defaults are the shipped file; tests ask for others.

    Widths are multiples of 32, the row length of Q8_0. `says` are the bytes that can win: printable ASCII in the shipped
    file, so that a demonstration shows letters. `end_scale` is the length of the end token's row against the others: 2.5
    makes it win often enough for answers of some tens of tokens, 0 never.
    """

    width: int = 64
    layers: int = 2
    heads: int = 4
    feed_forward: int = 128
    window: int = 2048
    seed: str = "hybridrt placeholder 1"
    says: frozenset[int] = PRINTABLE
    end_scale: float = 2.5


def vocabulary() -> tuple[list[bytes], list[int], list[float]]:
    """Return texts, types and scores: three specials, 256 bytes, the space, the role markers, padding to a multiple of 32."""
    texts = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256)), "\u2581".encode()]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, NORMAL]
    scores = [0.0] * 259 + [-1.0]
    for marker in (*ROLES, ESCALATE):
        texts.append(marker.encode())
        kinds.append(CONTROL)
        scores.append(0.0)
    while len(texts) % 32:
        texts.append(f"<pad{len(texts)}>".encode())
        kinds.append(UNUSED)
        scores.append(-1000.0)
    return texts, kinds, scores


def random_matrix(seed: str, name: str, rows: int, columns: int) -> np.ndarray:
    """Draw a matrix of uniform numbers whose rows keep the length of what they multiply."""
    raw = np.frombuffer(hashlib.shake_256(f"{seed}/{name}".encode()).digest(rows * columns * 2), dtype="<u2")
    uniform = (raw.astype(np.float32) - 32767.5) / 32767.5
    return (uniform * np.float32(np.sqrt(3.0 / columns))).reshape(rows, columns)


def output_rows(shape: Shape, count: int) -> np.ndarray:
    """Draw the rows that score the next token; what the model must not say scores zero and loses to a hundred others."""
    rows = random_matrix(shape.seed, "output", count, shape.width)
    keep = np.zeros(count, dtype=np.float32)
    for byte in shape.says:
        keep[FIRST_BYTE + byte] = 1.0
    if 0x20 in shape.says:
        keep[FIRST_BYTE + 0x20], keep[SPACE] = 0.0, 1.0
    keep[EOS] = shape.end_scale
    return rows * keep[:, None]


def write(path: Path, shape: Shape = Shape()) -> None:
    """Write the model."""
    texts, kinds, scores = vocabulary()
    file = gguf.GGUFWriter(path, "llama")
    file.add_name("hybridrt-placeholder")
    file.add_description(DESCRIPTION)
    file.add_license("apache-2.0")
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
    file.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    file.add_tokenizer_model("llama")
    file.add_tokenizer_pre("default")
    file.add_token_list(texts)
    file.add_token_scores(scores)
    file.add_token_types(kinds)
    file.add_bos_token_id(BOS)
    file.add_eos_token_id(EOS)
    file.add_unk_token_id(UNK)
    file.add_add_bos_token(True)
    file.add_add_eos_token(False)
    file.add_add_space_prefix(False)
    file.add_chat_template(CHAT_TEMPLATE)
    # Ours: the token by which a local model says that a stronger one is needed.
    file.add_uint32("hybridrt.escalate_token_id", texts.index(ESCALATE.encode()))
    file.add_bool("hybridrt.placeholder", True)

    def matrix(name: str, rows: int, columns: int) -> None:
        quantised(name, random_matrix(shape.seed, name, rows, columns))

    def quantised(name: str, values: np.ndarray) -> None:
        file.add_tensor(name, gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    def ones(name: str) -> None:
        file.add_tensor(name, np.ones(shape.width, dtype=np.float32))

    matrix("token_embd.weight", len(texts), shape.width)
    ones("output_norm.weight")
    quantised("output.weight", output_rows(shape, len(texts)))
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


def manifest(path: Path) -> dict[str, object]:
    """Say what the file is, as it ships beside it."""
    data = path.read_bytes()
    return {
        "schema": 1,
        "name": "hybridrt-placeholder",
        "what": DESCRIPTION,
        "placeholder": True,
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "licence": "Apache-2.0",
        "architecture": "llama",
        "quantisation": "Q8_0",
        "made_by": "python -m training.placeholder_llm",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=FACTORY / "placeholder.gguf")
    path = parser.parse_args().out
    write(path)
    facts = manifest(path)
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8", newline="\n")
    print(f"{path}: {facts['size']} bytes, sha256 {facts['sha256']}")


if __name__ == "__main__":
    main()
